"""A small clustered data set of real files, for tests of the screens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from engine.clustering.registry import find_method
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import find_encoder
from engine.geometry.projection import ProjectionSettings
from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.runs.fit import cluster
from engine.runs.rows import Rows, embed_dataset, map_of
from engine.runs.run import Run, new_folder


def coloured_pictures(folder: Path, count: int = 30) -> Path:
    """Write noisy pictures in three colours."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = rng.integers(0, 40, (32, 32, 3), dtype=np.uint8)
        pixels[..., number % 3] += 200
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def clustered_pictures(workspace: Workspace, folder: Path, *, with_map: bool = False) -> tuple[Rows, Run]:
    """Scan, embed and cluster the pictures of a folder into three clusters; optionally draw their UMAP."""
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    rows = embed_dataset(workspace, dataset.id, "descriptor", find_encoder("descriptor").settings_class())
    settings = find_method("kmeans").settings_class.parse({"n_clusters": 3})
    target = new_folder(workspace.runs, "kmeans_colours")
    run = cluster(workspace, rows, "kmeans", settings, target)
    if with_map:
        map_of(workspace, rows, ProjectionSettings())
    return rows, run
