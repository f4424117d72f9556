"""Keep a ranked clustering of a sweep as a run: the labels and scores of the board, without clustering again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_request_flags, read_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.boards import KeepRankRequest, keep_rank


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the board, the workspace and the fields of the request."""
    parser.add_argument("board", type=Path, help="the folder that the sweep wrote")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")
    add_request_flags(parser, KeepRankRequest, skip=("board",))


def main(arguments: argparse.Namespace) -> int:
    """Keep it, print the run's folder."""
    request = read_request(arguments, KeepRankRequest, board=str(arguments.board))
    run = keep_rank(Workspace.open(arguments.workspace), request, ConsoleProgress())
    return finish(run.folder)
