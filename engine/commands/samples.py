"""Make the sample sets ready to look at: digits, made pictures and pieces of photographs, none of them downloaded."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.core.workspace import Workspace
from engine.images.sets.registry import SAMPLES
from engine.jobs.tasks.samples import SamplesRequest, prepare_samples


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare which sets, and the workspace."""
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"which of {', '.join(SAMPLES)}; all when left out")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")


def main(arguments: argparse.Namespace) -> int:
    """Make the sets ready and print the folder of the last clustering."""
    request = SamplesRequest(sets=tuple(arguments.sets) or SAMPLES)
    runs = prepare_samples(Workspace.open(arguments.workspace), request, ConsoleProgress())
    return finish(runs[-1].folder)
