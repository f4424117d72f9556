"""What tests of the core share: rows with planted groups in a workspace of their own."""

from __future__ import annotations

import numpy as np

from engine.embeddings.encoders.registry import find_encoder
from engine.images.datasets import add_vectors
from engine.runs.rows import Rows, embed_dataset


def planted(n=90, classes=3, dimension=8, *, noise=0.3, seed=0):
    """Return (n, d) float32 points around unit axes, and their (n,) classes."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % classes
    return (np.eye(dimension)[truth] * 3 + noise * rng.normal(size=(n, dimension))).astype(np.float32), truth


def rows_in(workspace, tmp_path, *, truth=True, name="planted", **options) -> Rows:
    """Return planted vectors as rows of a data set, labelled "c0", "c1", ... where `truth` is wanted."""
    vectors, codes = planted(**options)
    arrays = {"vectors": vectors, "ids": np.array([f"{at:04d}" for at in range(len(vectors))])}
    if truth:
        arrays["labels"] = np.array([f"c{code}" for code in codes])
    np.savez(tmp_path / f"{name}.npz", **arrays)
    dataset = add_vectors(workspace, tmp_path / f"{name}.npz")
    return embed_dataset(workspace, dataset.id, "precomputed", find_encoder("precomputed").settings_class())
