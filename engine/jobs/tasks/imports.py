"""Labels on their way in: from a file or folder onto the images of a data set, previewed or done as one event."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.core.errors import InputError
from engine.core.ids import IdIndex, pack
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.images.datasets import find_dataset
from engine.images.tables import files_of, load_images
from engine.jobs.tasks.requests import DatasetRequest
from engine.labels.events import LabelHistory
from engine.labels.importing.settings import ImportSettings

if TYPE_CHECKING:
    from engine.labels.importing.plan import ImportReport


class ImportLabelsRequest(DatasetRequest):
    """Take labels in from a file or folder."""

    labels: str = setting(..., "The file or folder of labels.", runtime=True)
    settings: ImportSettings = setting(ImportSettings(), "How they are taken.")
    dry_run: bool = setting(False, "Only say what would happen.")


def import_labels(workspace: Workspace, request: ImportLabelsRequest, progress: Progress = SILENT) -> ImportReport:
    """Import labels as one event that can be undone, or say what that would do.

    Raises
    ------
    InputError
        No such file, nothing in it that can be read, no image of the data set is known, or nothing would change.
    """
    from engine.labels.importing.match import match
    from engine.labels.importing.plan import carry_out, plan_import
    from engine.labels.importing.read import read_labels

    dataset = find_dataset(workspace, request.dataset)
    images = load_images(workspace, dataset.id)
    if not len(images):
        raise InputError(f"No image of {dataset.name} has been read yet.", "Scan the data set first.")
    path = Path(request.labels).expanduser()
    file = read_labels(path, request.settings, progress=progress)
    files = [one for one in files_of(workspace, dataset.id) if one.content and not one.failure]
    readable = [(one.path, one.content) for one in files]
    now = {one.data_id: one.content for one in files}  # a file may have other bytes than its image was first read with
    file = replace(file, contents=[now.get(content, content) for content in file.contents])
    rows = IdIndex(images.contents).find(pack([content for _, content in readable if content]))
    root = os.path.abspath(dataset.location) if dataset.kind == "folder" else b""
    found = match(file, [one for one, _ in readable], rows, images.contents, root)
    history = LabelHistory(workspace, dataset.id)
    state = history.state(images.contents, np.full(len(images), -1, np.int32), run="")
    planned = plan_import(file, found, state, request.settings, name=path.name)
    if not request.dry_run:
        carry_out(history, planned, file, state)
    return planned.report


def import_labels_summary(report: ImportReport) -> dict[str, Any]:
    """Return the whole report: its lists are short."""
    return asdict(report) | {"sentences": report.sentences()}
