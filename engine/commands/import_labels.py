"""Take labels in from a file or folder: CSV, JSON, Parquet, class folders, COCO, Label Studio, Kindred's own exports.

Images are found by path, then by name where only one has it, then by content id. --dry-run says what would happen;
what is done is one step that undo takes back.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_source_arguments, load_data, some_path
from engine.commands.requests import add_request_flags, read_request
from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.core.workspace import Workspace
from engine.jobs.tasks.imports import ImportLabelsRequest, import_labels

if TYPE_CHECKING:
    from engine.images.datasets import Dataset

_KINDS = ("unmatched", "ambiguous", "contradictory", "unusable")


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the file, the data set and the settings."""
    parser.add_argument("labels", type=some_path, help="the file or folder of labels")
    add_source_arguments(parser)
    parser.add_argument("--run", type=some_path, help="a run of the data set, in place of --folder")
    add_request_flags(parser, ImportLabelsRequest, skip={"labels"})


def main(arguments: argparse.Namespace) -> int:
    """Import, say what was found and what was not, then the file."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    dataset = _dataset(arguments, workspace, progress)
    request = read_request(arguments, ImportLabelsRequest, dataset=dataset.id, labels=str(arguments.labels))
    report = import_labels(workspace, request, progress)
    for sentence in report.sentences():
        progress.say(sentence)
    for kind in _KINDS:
        for name, reason in getattr(report, kind)[:20]:
            progress.say(f"{name}: {reason}")
    progress.say(f"{report.event}." if report.event else "Nothing was changed: this was a dry run.")
    return finish(arguments.labels)


def _dataset(arguments: argparse.Namespace, workspace: Workspace, progress: Progress) -> Dataset:
    """Return the data set that is named, by its source or a run; the only one where none is."""
    from engine.images.datasets import find_dataset, list_datasets
    from engine.jobs.tasks.requests import named_run

    if arguments.run is not None:
        return find_dataset(workspace, named_run(workspace, str(Path(arguments.run))).dataset)
    if arguments.dataset is None and arguments.folder is None and arguments.vectors is None:
        known = list_datasets(workspace)
        if len(known) != 1:
            raise InputError(
                f"There are {len(known):,} data sets, so the one that the labels belong to must be named.",
                "Give --folder FOLDER, or --run RUN.",
            )
        return known[0]
    return load_data(arguments, workspace, progress)
