"""Look at every image of a data set: what can be read, what is broken and why, what is there twice."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_source_arguments, load_data
from engine.core.settings import add_flags
from engine.core.workspace import Workspace


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare where the images are, and whether the range of deep ones is measured anew."""
    from engine.jobs.tasks.data import ScanRequest

    add_source_arguments(parser)
    add_flags(parser, ScanRequest, skip=("dataset", "reading"))


def main(arguments: argparse.Namespace) -> int:
    """Scan and print the data set's id."""
    from engine.images.tables import files_of

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    dataset = load_data(arguments, workspace, progress)
    files = files_of(workspace, dataset.id)
    readable = [file for file in files if file.content is not None and file.failure is None]
    distinct = len({file.content for file in readable})
    progress.say(
        f"{dataset.name}: {len(files):,} files, {len(readable):,} readable, {distinct:,} of them distinct, "
        f"{len(files) - len(readable):,} broken."
    )
    return finish(dataset.id)
