"""The verb that compares embeddings: which models at which resolutions see the same sample, and what survives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.workspace import Workspace
from engine.embeddings.embed import EmbeddingSet, embed
from engine.embeddings.encoders.registry import default_encoder, expand_grid
from engine.geometry.neighbors import NeighborGraph, cached_graph
from engine.images.datasets import find_dataset
from engine.images.decode import PreprocessSettings
from engine.images.sampling import SampleSettings, draw_sample, kept_sample
from engine.images.tables import load_images
from engine.jobs.tasks.requests import SampledRequest, training_contents
from engine.runs.run import make_parent
from engine.selection.experiments import (
    MODELS,
    RESOLUTIONS,
    EmbeddingCandidate,
    ExperimentResult,
    run_experiments,
)
from engine.selection.sweep.settings import SweepSettings


class ExperimentRequest(SampledRequest):
    """Compare models and resolutions on the same images."""

    models: tuple[str, ...] = setting(
        (),
        "architecture[:training], hub ids, folders, encoder:model; the built-in one and some of CLIP when empty.",
    )
    resolutions: tuple[int, ...] = setting(RESOLUTIONS, "Pixels of the square.")
    settings: SweepSettings = setting(SweepSettings(), "How each embedding is swept.")
    preprocess: PreprocessSettings = setting(PreprocessSettings(), "How images become squares.")
    device: str = setting("auto", "Where it computes: auto, cpu, cuda, cuda:1, mps.", runtime=True)
    folder: str = setting("", "Where the comparison goes; the library when empty.", runtime=True)

    def for_job(self, workspace: Workspace, folder: Path) -> ExperimentRequest:
        """Return the request with a folder of its own in the library: comparisons are a person's work.

        An older job names a number of images and means the sample that the person keeps, where there is one.
        """
        changes: dict[str, Any] = {}
        if not self.folder:
            changes["folder"] = str(experiments_folder(workspace, self.dataset) / folder.name)
        older = self.sample is not None and self.sample.model_fields_set == {"count"}
        if older and kept_sample(workspace, self.dataset) is not None:
            changes["sample"] = None
        return self.changed(**changes)


def experiments_folder(workspace: Workspace, dataset: str) -> Path:
    """Return where the experiments on a data set lie: a person's work, so in the library."""
    return workspace.library / "experiments" / dataset


def compare_models(workspace: Workspace, request: ExperimentRequest, progress: Progress = SILENT) -> ExperimentResult:
    """Embed the training part of a sample with every model, sweep each with the same grid and compare.

    sample.json beside the result says which images they were.

    Raises
    ------
    InputError
        The data set holds vectors, a resolution is out of bounds, or nothing worked.
    """
    dataset = find_dataset(workspace, request.dataset)
    if dataset.kind == "vectors":
        raise InputError("An experiment compares embeddings of images; these are vectors.", "Name a folder or a set.")
    models = request.models or (default_encoder(dataset.holds).name, *MODELS)
    wanted = expand_grid(models, request.resolutions)
    folder = Path(request.folder or experiments_folder(workspace, dataset.id))
    make_parent(folder)
    sample = request.chosen_sample(workspace) or draw_sample(workspace, dataset.id, SampleSettings())
    for sentence in sample.warnings:
        progress.say(sentence)
    sample.save(folder / "sample.json")
    only = training_contents(workspace, dataset.id, sample)

    def configuration(model: str, resolution: int, encoder: str, settings: Settings) -> EmbeddingCandidate:
        embedded: list[EmbeddingSet] = []

        def load() -> NDArray[np.float32]:
            embedded[:] = [
                embed(
                    workspace,
                    dataset.id,
                    encoder,
                    settings,
                    preprocess=request.preprocess,
                    device=request.device,
                    progress=progress,
                    only=only,
                )
            ]
            return embedded[0].vectors

        def graph() -> NeighborGraph:
            return cached_graph(workspace, embedded[0].key, embedded[0].vectors, progress=progress)

        return EmbeddingCandidate(model, resolution, load, graph)

    table = load_images(workspace, dataset.id)
    rows = np.flatnonzero(np.isin(table.contents, only))
    truth = [table.truth[row] for row in rows]
    return run_experiments(
        [configuration(*one) for one in wanted],
        output_dir=folder,
        settings=request.settings,
        paths=[table.paths[row] for row in rows],
        truth=truth if any(truth) else None,
        validation_pairs=sample.pair_rows(table.contents[rows]),
        progress=progress,
    )


def compare_models_summary(result: ExperimentResult) -> dict[str, Any]:
    """Return the folder and the configuration that came first."""
    return {"folder": str(result.folder), "best": result.rows[0].name}
