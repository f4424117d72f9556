"""Verbs that make the data ready: scan the images, embed them, find their neighbours, draw them as a map."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import default_encoder, encoder_of_vectors, find_encoder
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.projection import ProjectionSettings
from engine.images.datasets import Dataset, add_folder, find_dataset, list_datasets, set_reading
from engine.images.decode import PreprocessSettings
from engine.images.identity import keep_changed
from engine.images.moved import relocate
from engine.images.reading import FolderSettings
from engine.images.report import ScanReport, report
from engine.images.scan import scan
from engine.jobs.tasks.requests import DatasetRequest, EmbeddedRequest, Request, SampledRequest, training_contents
from engine.labels.adopt import adopt_labels
from engine.runs.rows import Rows, embed_dataset, graph_of, load_rows, map_of
from engine.runs.run import list_runs


class ScanRequest(DatasetRequest):
    """Look at every image of a data set."""

    measure_again: bool = setting(
        False,
        "Measure anew between which values images of more than 8 bits are shown.",
        label="Measure again",
    )
    reading: FolderSettings | None = setting(None, "What of a folder is read from now on; as before when empty.")
    keep_labels: bool = setting(
        False, "Files whose pixels have changed keep their labels and clusters; else they count as new images."
    )


def scan_images(workspace: Workspace, request: ScanRequest, progress: Progress = SILENT) -> ScanReport:
    """Look at every image: what is new, changed, broken, double.

    Raises
    ------
    InputError
        The data set is unknown, or its folder is gone.
    """
    if request.reading is not None:
        set_reading(workspace, request.dataset, request.reading)
    found = scan(workspace, request.dataset, progress=progress, measure_again=request.measure_again)
    if request.keep_labels and found.changed_pixels:
        progress.say(f"{keep_changed(workspace, request.dataset)}.")
        found = replace(found, changed_pixels=report(workspace, request.dataset).changed_pixels)
    return found


def scan_images_summary(report: ScanReport) -> dict[str, Any]:
    """Return how many files there are, how many could be read and how many are deeper than 8 bits."""
    deep = sum(found.images for found in report.depths.values())
    return {"files": report.files, "readable": report.readable, "failed": len(report.failed), "deep": deep}


class RelocateRequest(Request):
    """Say where folders lie now that were moved, renamed or mounted elsewhere."""

    old: str = setting(..., "The data set's id, the folder it had, or a folder above it.")
    new: str = setting(..., "The folder it has now.")
    copy_labels: bool = setting(
        False, "The old folder stays as it is; the new one, a copy, becomes a data set with the same labels."
    )


def relocate_data(workspace: Workspace, request: RelocateRequest, progress: Progress = SILENT) -> list[Dataset]:
    """Take moved folders for the data sets that they were, or give a copied one the same labels; nothing is moved.

    Raises
    ------
    InputError
        Nothing is known of the old place, or the new one is not there, holds other images, or has work of its own.
    """
    new = Path(request.new).expanduser()
    if request.copy_labels:
        (old, _), *_ = _at_place(workspace, request.old, new)
        dataset = add_folder(workspace, new)
        scan(workspace, dataset.id, progress=progress)
        steps = adopt_labels(workspace, old.id, dataset.id)
        progress.say(f"{steps:,} {'step' if steps == 1 else 'steps'} of labelling taken over from {old.name!r}.")
        return [find_dataset(workspace, dataset.id)]
    moved = []
    for dataset, place in _at_place(workspace, request.old, new):
        other = next((one for one in list_datasets(workspace) if one.id != dataset.id and one.path == place), None)
        if other is not None and list_runs(workspace, other.id):
            raise InputError(
                f"{place} is already the data set {other.name!r}, which has runs of its own.",
                "Copy the labels to it instead, or forget it first.",
            )
        moved.append(relocate(workspace, dataset.id, place))
        progress.say(f"{dataset.name!r} lies in {place} now; its labels, clusters and vectors stay.")
    return moved


def _at_place(workspace: Workspace, old: str, new: Path) -> list[tuple[Dataset, Path]]:
    """Return the data sets that are meant by an id, a folder or a folder above, each with its new place."""
    datasets = [one for one in list_datasets(workspace) if one.kind != "benchmark"]
    place = Path(os.path.normpath(Path(old).expanduser().absolute()))
    fitting = [(one, new) for one in datasets if one.id == old or one.path in (place, place.resolve())]
    if not fitting:
        below = [(one, one.path.relative_to(place)) for one in datasets if one.path.is_relative_to(place)]
        fitting = [(one, new / rest) for one, rest in below if (new / rest).exists()]
    if not fitting:
        known = "; ".join(str(one.path) for one in datasets[:10])
        raise InputError(f"There is no data set at {old}.", f"Known: {known}." if known else "Add the folder first.")
    return fitting


class EmbedRequest(SampledRequest):
    """Embed a data set, or a sample of it."""

    encoder: str = setting("", "What turns images into vectors; the built-in one for such images when empty.")
    settings: dict[str, Any] = setting({}, "The encoder's own settings.")
    preprocess: PreprocessSettings = setting(PreprocessSettings(), "How images become the squares that it takes.")
    training_only: bool = setting(False, "Leave the test part out.")
    device: str = setting("auto", "Where it computes: auto, cpu, cuda, cuda:1, mps.", runtime=True)
    neighbors: bool = setting(True, "Find the neighbours as well, so that the next step begins at once.", runtime=True)
    force: bool = setting(
        False, "Embed every image again; the old vectors serve until all are made.", runtime=True, label="Again"
    )


def embed_images(workspace: Workspace, request: EmbedRequest, progress: Progress = SILENT) -> Rows:
    """Embed what is missing, find the neighbours, and return the rows.

    Raises
    ------
    InputError
        The encoder does not fit the data, or no image could be read.
    WeightsError
        The encoder's weights are absent and cannot be had.
    """
    if request.encoder:
        encoder = find_encoder(request.encoder)
    else:
        dataset = find_dataset(workspace, request.dataset)
        encoder = encoder_of_vectors() if dataset.kind == "vectors" else default_encoder(dataset.holds)
    settings = encoder.settings_class.parse(request.settings)
    sample = request.chosen_sample(workspace)
    only = None if sample is None else sample.contents
    for sentence in () if sample is None else sample.warnings:
        progress.say(sentence)
    if request.training_only:
        only = training_contents(workspace, request.dataset, sample)
    rows = embed_dataset(
        workspace,
        request.dataset,
        encoder.name,
        settings,
        preprocess=request.preprocess,
        device=request.device,
        progress=progress,
        force=request.force,
        only=only,
    )
    if len(rows) == 0:
        raise InputError("None of the images could be read, so nothing was embedded.", "See the list on Images.")
    if request.neighbors and len(rows) > 1:
        graph_of(workspace, rows, progress=progress)
    return rows


def embed_images_summary(rows: Rows) -> dict[str, Any]:
    """Return the configuration's key and the number of images."""
    return {"config_key": rows.embedding.config_key, "images": len(rows)}


class GraphRequest(EmbeddedRequest):
    """Find the neighbours of every image in one configuration's embeddings."""


def find_neighbors(workspace: Workspace, request: GraphRequest, progress: Progress = SILENT) -> NeighborGraph:
    """Return the shared neighbour graph, from the cache or made now."""
    return graph_of(workspace, load_rows(workspace, request.dataset, request.config_key), progress=progress)


def find_neighbors_summary(graph: NeighborGraph) -> dict[str, Any]:
    """Return the number of images."""
    return {"images": len(graph)}


class MapRequest(EmbeddedRequest):
    """Draw one configuration's embeddings as a flat map."""

    settings: ProjectionSettings = setting(ProjectionSettings(), "How the map is drawn.")


def project(workspace: Workspace, request: MapRequest, progress: Progress = SILENT) -> NDArray[np.float32]:
    """Return the (n, 2) map of the rows, from the cache or made now."""
    rows = load_rows(workspace, request.dataset, request.config_key)
    return map_of(workspace, rows, request.settings, progress=progress)


def project_summary(xy: NDArray[np.float32]) -> dict[str, Any]:
    """Return the number of images."""
    return {"images": len(xy)}
