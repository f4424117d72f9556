"""Clustered vectors for benchmarks: uneven groups on curved low-dimensional patches, as embeddings have."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

PLAIN_METHODS = ("kmeans", "gaussian_mixture", "hdbscan", "dbscan")
"""Methods of the sweep that a plain library's grid is compared with."""


def clustered(n: int, d: int = 512, groups: int = 240, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, d) float32 unit rows and their (n,) groups; sizes are uneven, a tenth of the rows is scattered."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((groups, d)).astype(np.float32)
    centers += (
        1.5 * rng.standard_normal((max(2, groups // 8), d)).astype(np.float32)[np.arange(groups) % max(2, groups // 8)]
    )
    truth = rng.choice(groups, n, p=rng.dirichlet(np.full(groups, 3.0)))
    rows = centers[truth] / np.linalg.norm(centers[truth], axis=1, keepdims=True)
    axes = rng.standard_normal((groups, 8, d)).astype(np.float32) / np.sqrt(d)
    spread = rng.standard_normal((n, 8)).astype(np.float32) * np.where(rng.random(n) < 0.1, 0.6, 0.25)[:, None].astype(
        "f"
    )
    for group in range(groups):
        mine = np.flatnonzero(truth == group)
        rows[mine] += spread[mine] @ axes[group]
    rows += 0.35 * rng.standard_normal((n, d)).astype(np.float32) / np.sqrt(d)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), truth


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return processor seconds (they mean something on a shared machine too) and the result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def median_seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Return the median processor seconds of a few runs."""
    return statistics.median(timed(work)[0] for _ in range(repeats))
