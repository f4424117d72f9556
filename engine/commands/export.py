"""Write a run's labels, as they stand, as a table (csv, json, parquet) or as folders of images for another tool."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.results import ExportRequest, export_run
from engine.runs.judge import kept_verdict


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run, the target and the settings."""
    add_run_arguments(parser, ExportRequest)


def main(arguments: argparse.Namespace) -> int:
    """Export and print where it lies."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    request = read_run_request(arguments, ExportRequest)
    report = export_run(workspace, request, progress)
    for sentence in report.quality:
        progress.say(sentence)
    if verdict := kept_verdict(request.opened(workspace)):
        progress.say(verdict.line)
    for sentence in report.notes:
        progress.say(sentence)
    for path, reason in report.failed[:20]:
        progress.say(f"not written: {path}: {reason}")
    progress.say(f"{report.written:,} {'files' if request.settings.is_file else 'images'} written.")
    return finish(report.target)
