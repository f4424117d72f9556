"""Verbs that make the data ready: scan the images, embed them, find their neighbours, draw them as a map."""

from __future__ import annotations

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
from engine.images.datasets import find_dataset
from engine.images.decode import PreprocessSettings
from engine.images.report import ScanReport
from engine.images.scan import scan
from engine.jobs.tasks.requests import DatasetRequest, EmbeddedRequest, SampledRequest, training_contents
from engine.runs.rows import Rows, embed_dataset, graph_of, load_rows, map_of


class ScanRequest(DatasetRequest):
    """Look at every image of a data set."""

    measure_again: bool = setting(
        False,
        "Measure anew between which values images of more than 8 bits are shown.",
        label="Measure again",
    )


def scan_images(workspace: Workspace, request: ScanRequest, progress: Progress = SILENT) -> ScanReport:
    """Look at every image: what is new, changed, broken, double.

    Raises
    ------
    InputError
        The data set is unknown, or its folder is gone.
    """
    return scan(workspace, request.dataset, progress=progress, measure_again=request.measure_again)


def scan_images_summary(report: ScanReport) -> dict[str, Any]:
    """Return how many files there are, how many could be read and how many are deeper than 8 bits."""
    deep = sum(found.images for found in report.depths.values())
    return {"files": report.files, "readable": report.readable, "failed": len(report.failed), "deep": deep}


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
