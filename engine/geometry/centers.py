"""Sums and means of the rows of each cluster: in flow rows and labels, out comes one row per cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import Vectors, blocks, unit


def cluster_sums(
    rows: NDArray[Any], labels: NDArray[np.integer[Any]], n_clusters: int, *, normalise: bool = False
) -> NDArray[np.float64]:
    """Return (K, d) sums of the (n, d) rows of each cluster, added up in float64; negative labels left out.

    With `normalise` each row is scaled to length one first. `rows` may be a memory map; it is read in blocks.
    """
    from scipy.sparse import csr_array

    sums = np.zeros((n_clusters, rows.shape[1]), dtype=np.float64)
    for part in blocks(len(labels)):
        own = labels[part]
        inside = np.flatnonzero(own >= 0)
        spread = csr_array((np.ones(len(inside)), (own[inside], inside)), shape=(n_clusters, len(own)))
        block = unit(rows[part]) if normalise else np.asarray(rows[part])
        sums += spread @ block.astype(np.float64)
    return sums


def cluster_means(rows: NDArray[Any], labels: NDArray[np.integer[Any]], n_clusters: int) -> Vectors:
    """Return (K, d) means of the (n, d) rows of each cluster, zero for an empty one; negative labels left out."""
    labels = np.asarray(labels)
    counts = np.bincount(labels[labels >= 0], minlength=n_clusters)
    return (cluster_sums(rows, labels, n_clusters) / np.maximum(counts, 1)[:, None]).astype(np.float32)


def mean_directions(rows: NDArray[Any], labels: NDArray[np.integer[Any]], n_clusters: int) -> Vectors:
    """Return (K, d) unit-length means of the (n, d) rows of each cluster, zero for an empty one."""
    return unit(cluster_sums(rows, labels, n_clusters))
