"""Say where a folder lies now that was moved, renamed or mounted elsewhere: its labels, clusters and vectors stay."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import some_path
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.jobs.tasks.data import RelocateRequest, ScanRequest, relocate_data, scan_images


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the two places."""
    parser.add_argument("old", help="the data set's id, the folder it had, or a folder above it")
    parser.add_argument("new", help="the folder it has now")
    parser.add_argument("--workspace", type=some_path, help="where cache/ and library/ live")
    add_flags(parser, RelocateRequest, skip=("old", "new"))


def main(arguments: argparse.Namespace) -> int:
    """Relocate, look at the images there, and print the data set's id."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    request = RelocateRequest.parse(from_flags(arguments, RelocateRequest))
    moved = relocate_data(workspace, request, progress)
    for dataset in moved:
        found = scan_images(workspace, ScanRequest(dataset=dataset.id), progress)
        progress.say(f"{dataset.name}: {found.files:,} files, {found.readable:,} readable, {found.added:,} new.")
    return finish(moved[-1].id)
