"""Which neighbours of an image may be its partner in TEMI: the same number for all, or as many as its own say.

Rows of the shared neighbour graph flow in; for each image its partners come out, the nearest first, and their number.
No torch here.

References
----------
Baydar, Akbas, "Unsupervised Image Classification with Adaptive Nearest Neighbor Selection and Cluster Ensembles",
2025, arXiv:2511.16213, has per-image numbers of neighbours; the two rules are our own.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.geometry.neighbors import NeighborGraph

PartnerRule = Literal["fixed", "mutual", "gap"]
LEAST_PARTNERS = 5


def partners_of(graph: NeighborGraph, k: int, rule: PartnerRule) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (n, k) partners of each image, those that count first, and (n,) how many of them count.

    Parameters
    ----------
    k : int
        Neighbours that are looked at; all that the graph has where it has fewer.
    rule : "fixed" | "mutual" | "gap"
        fixed: all k. mutual: those that also have the image among their own k. gap: those before the largest fall of
        the similarity from one neighbour to the next. At least `LEAST_PARTNERS`, filled up with the nearest.
    """
    near = graph.first(k)
    indices, (count, k) = near.indices.astype(np.int64), near.indices.shape
    least = min(LEAST_PARTNERS, k)
    if rule == "fixed" or least == k:
        return indices, np.full(count, k)
    if rule == "gap":
        falls = near.similarities[:, least - 1 : -1] - near.similarities[:, least:]
        # Where no fall is larger than the others by more than rounding, all k count.
        clear = falls.max(axis=1) > falls.mean(axis=1) + 1e-6
        return indices, np.where(clear, least + falls.argmax(axis=1), k)
    edges = np.arange(count)[:, None] * count + indices
    mutual = np.isin(indices * count + np.arange(count)[:, None], edges)
    order = np.argsort(~mutual, axis=1, kind="stable")
    return np.take_along_axis(indices, order, axis=1), np.maximum(mutual.sum(axis=1), least)
