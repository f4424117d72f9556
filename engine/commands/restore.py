"""Fill an empty workspace from a file that `backup` wrote: all of it, or nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import some_path
from engine.core.workspace import Workspace
from engine.jobs.tasks.upkeep import RestoreRequest, restore_library


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the file and the workspace."""
    parser.add_argument("file", type=some_path, help="the file that `backup` wrote")
    parser.add_argument("--workspace", type=some_path, help="where the library shall lie; it must hold no work yet")


def main(arguments: argparse.Namespace) -> int:
    """Restore and print the workspace."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    found = restore_library(workspace, RestoreRequest(file=str(arguments.file)), progress)
    progress.say(f"{found.files:,} files restored. Embed again to see maps and galleries; what is cache was not in it.")
    return finish(workspace.root)
