"""Recompute everything a run says about itself from its folder, without clustering again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.evaluation.verdict import verdict_of
from engine.jobs.tasks.results import AnalyseRequest, analyse
from engine.labels.quality import three_digits


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and what to add."""
    add_run_arguments(parser, AnalyseRequest)


def main(arguments: argparse.Namespace) -> int:
    """Analyse, print the main figures, then the file."""
    progress = ConsoleProgress()
    request = read_run_request(arguments, AnalyseRequest)
    analysis = analyse(Workspace.open(arguments.workspace), request, progress)
    if verdict := verdict_of(analysis):
        progress.say(verdict.line)
    for part in ("train", "test"):
        for name, value in (analysis[part] or {}).items():
            if isinstance(value, float):
                progress.say(f"{part} {name}: {three_digits(value)}")
    return finish(arguments.run / "analysis.json")
