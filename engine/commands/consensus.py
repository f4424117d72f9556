"""Make one clustering out of several runs of the same images: `consensus --runs RUN RUN ...`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_request_flags, read_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.consensus import ConsensusRequest, combine_runs


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the workspace, the runs and the fields of the request."""
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")
    parser.add_argument(
        "--runs",
        nargs="+",
        required=True,
        help="runs: folders, or names in the library; one of TEMI or TURTLE, or several",
    )
    add_request_flags(parser, ConsensusRequest, skip=("runs",))


def main(arguments: argparse.Namespace) -> int:
    """Combine them, print the new run's folder."""
    request = read_request(arguments, ConsensusRequest, runs=tuple(arguments.runs))
    run = combine_runs(Workspace.open(arguments.workspace), request, ConsoleProgress())
    return finish(run.folder)
