"""Write the library (data sets, label events, runs, samples, settings) into one file; images and caches stay out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import some_path
from engine.core.workspace import Workspace
from engine.jobs.tasks.upkeep import BackupRequest, back_up


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the file and the workspace."""
    parser.add_argument("file", type=some_path, help="the file to write, such as kindred.zip; it must not exist yet")
    parser.add_argument("--workspace", type=some_path, help="where cache/ and library/ live")


def main(arguments: argparse.Namespace) -> int:
    """Back up and print the file."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    found = back_up(workspace, BackupRequest(file=str(arguments.file)), progress)
    progress.say(f"{found.files:,} files, {found.size / 2**20:,.1f} MB before packing.")
    if found.left_out:
        progress.say(
            f"Left out: {found.left_out:,} files ({found.left_out_size / 2**20:,.1f} MB) from which interrupted "
            "trainings and sweeps would go on."
        )
    return finish(arguments.file)
