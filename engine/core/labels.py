"""What every room asks of a column of labels: its type, codes without gaps, an order by size, truth as codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.int32]


def compact(labels: ArrayLike) -> Labels:
    """Return (n,) labels renumbered 0..K-1 without gaps in their numerical order; negative ones become -1."""
    array = np.asarray(labels)
    kept, codes = np.unique(array, return_inverse=True)
    return np.maximum(codes.reshape(-1) - int(np.searchsorted(kept, 0)), -1).astype(np.int32)


def rank_by_size(labels: NDArray[np.integer[Any]], n_clusters: int = 0) -> Labels:
    """Return (K,) the place of each cluster when the largest comes first.

    Parameters
    ----------
    labels : (n,) int
        Negative ones count for no cluster.
    n_clusters : int
        K at least; empty clusters come last, and clusters of equal size keep their order.
    """
    labels = np.asarray(labels)
    counts = np.bincount(labels[labels >= 0], minlength=n_clusters)
    rank = np.empty(len(counts), dtype=np.int32)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
    return rank


def by_size(labels: NDArray[np.integer[Any]]) -> Labels:
    """Return (n,) labels renumbered so that 0 is the largest cluster; negative ones become -1."""
    codes = compact(labels)
    return np.append(rank_by_size(codes), np.int32(-1))[codes]


def encode(values: ArrayLike | Sequence[str | None]) -> tuple[Labels, list[str]]:
    """Return (codes, names) of a truth column; None, "" and negative integers become -1, unknown.

    Returns
    -------
    codes : (n,) int32
        0..C-1 in the order of `names`, -1 where the truth is unknown.
    names : list of str
        Integers in numerical order, text in code-point order.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        kept = np.unique(array)
        return compact(array), [str(name) for name in kept[kept >= 0]]
    texts = ["" if value is None or (isinstance(value, int) and value < 0) else str(value) for value in array.tolist()]
    names = sorted(set(texts) - {""})
    place = {name: code for code, name in enumerate(names)} | {"": -1}
    return np.fromiter((place[text] for text in texts), dtype=np.int32, count=len(texts)), names
