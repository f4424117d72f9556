"""An experiment on a data set: which models at which resolutions see the same sample, and what survives the change.

In flow names of models, resolutions and a sample; each embedding is made or reused, swept and compared by
`engine.selection.experiments`. The command and the job of the screen both come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.embeddings.embed import EmbeddingSet, embed
from engine.embeddings.encoders.registry import expand_grid
from engine.geometry.neighbors import NeighborGraph, cached_graph
from engine.images.datasets import find_dataset
from engine.images.decode import PreprocessSettings
from engine.images.sampling import Sample, SampleSettings, draw_sample, kept_sample
from engine.images.tables import load_images
from engine.selection.experiments import EmbeddingCandidate, ExperimentResult, run_experiments
from engine.selection.sweep.settings import SweepSettings


def compare_embeddings(
    workspace: Workspace,
    sample: Sample,
    asked: Sequence[tuple[str, int, str, Settings]],
    *,
    output_dir: Path,
    settings: SweepSettings | None = None,
    preprocess: PreprocessSettings | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> ExperimentResult:
    """Embed a sample with every model that is asked for, cluster each with the same grid and compare.

    Parameters
    ----------
    sample : Sample
        Its test images are left out; sample.json beside the result says which ones they were.
    asked : sequence of (model, resolution, encoder, settings)
        From `expand_grid`.

    Raises
    ------
    InputError
        The data set holds vectors, or nothing worked.
    """
    dataset = find_dataset(workspace, sample.dataset)
    if dataset.kind == "vectors":
        raise InputError("An experiment compares embeddings of images; these are vectors.", "Name a folder or a set.")
    sample.save(output_dir / "sample.json")
    table = load_images(workspace, dataset.id)
    held_back = table.contents[[part == "test" for part in table.split]]
    wanted = sample.contents[~np.isin(sample.contents, held_back)]

    def configuration(model: str, resolution: int, encoder: str, values: Settings) -> EmbeddingCandidate:
        found: list[EmbeddingSet] = []

        def load() -> NDArray[np.float32]:
            found[:] = [
                embed(
                    workspace,
                    dataset.id,
                    encoder,
                    values,
                    preprocess=preprocess,
                    device=device,
                    progress=progress,
                    only=wanted,
                )
            ]
            return found[0].vectors

        def graph() -> NeighborGraph:
            return cached_graph(workspace, found[0].key, found[0].vectors, progress=progress)

        return EmbeddingCandidate(model, resolution, load, graph)

    rows = sample.rows(table.contents)
    rows = rows[np.isin(table.contents[rows], wanted)]
    truth = [table.truth[row] for row in rows]
    return run_experiments(
        [configuration(*one) for one in asked],
        output_dir=output_dir,
        settings=settings,
        paths=[table.paths[row] for row in rows],
        truth=truth if any(truth) else None,
        validation_pairs=sample.pair_rows(table.contents[rows]),
        progress=progress,
    )


def experiments_folder(workspace: Workspace, dataset: str) -> Path:
    """Return where the experiments on a data set lie: a person's work, so in the library."""
    return workspace.library / "experiments" / dataset


def experiment_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compare embeddings of the person's sample, else of as many images as are asked for."""
    dataset = config["dataset"]["id"]
    asked = expand_grid(config["models"], [int(side) for side in config["resolutions"]])
    sample = kept_sample(workspace, dataset)
    if sample is None:
        sample = draw_sample(workspace, dataset, SampleSettings.parse(config.get("sample", {})))
    result = compare_embeddings(
        workspace,
        sample,
        asked,
        output_dir=experiments_folder(workspace, dataset) / folder.name,
        settings=SweepSettings.parse(config.get("settings", {})),
        progress=progress,
    )
    return {"folder": str(result.folder), "best": result.rows[0].name}
