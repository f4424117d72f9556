"""Write what is known of the quality of a run's labels as one HTML file that needs nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.audits import QualityReportRequest, report_quality


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the file."""
    add_run_arguments(parser, QualityReportRequest)


def main(arguments: argparse.Namespace) -> int:
    """Write it and print where it lies."""
    request = read_run_request(arguments, QualityReportRequest)
    return finish(report_quality(Workspace.open(arguments.workspace), request, ConsoleProgress()))
