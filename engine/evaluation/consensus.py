"""Several clusterings of the same images at once: what all of them keep together, and what they dispute.

In flow label columns over the same rows and the shared neighbour graph; out come how disputed the surroundings of
each image are, the groups that every run keeps whole, and how alike the runs are. Clusters are never matched to
each other, so the runs may differ in their number of clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.labels import by_size
from engine.evaluation.agreement import ari_between
from engine.geometry.neighbors import NeighborGraph

SETTLED = 0.1


@dataclass(frozen=True)
class Consensus:
    """What several runs have in common.

    Attributes
    ----------
    disputed : (n,) float32
        Share of the (pair of runs, near neighbour) in which one run puts the neighbour into the image's cluster and
        the other does not: 0 where all runs see the same surroundings, in [0, 1].
    groups : (n,) int32
        The settled core: images that every run keeps together, 0 the largest group; -1 for the contested border,
        which is what is disputed, what some run set aside, and what is together with no other settled image.
    agreement : (R, R) float64
        Adjusted Rand index between the runs, noise counted as a cluster.
    """

    disputed: NDArray[np.float32]
    groups: NDArray[np.int32]
    agreement: NDArray[np.float64]

    @property
    def settled_share(self) -> float:
        """Share of the images in the settled core."""
        return float(np.mean(self.groups >= 0)) if len(self.groups) else 0.0

    @property
    def likeness(self) -> NDArray[np.float64]:
        """Mean agreement of each run with the others, (R,)."""
        runs = len(self.agreement)
        mean: NDArray[np.float64] = (self.agreement.sum(axis=1) - 1) / (runs - 1)
        return mean

    def border(self) -> NDArray[np.int64]:
        """Return the rows of the contested border, the most disputed first."""
        rows = np.flatnonzero(self.groups < 0)
        return rows[np.argsort(-self.disputed[rows], kind="stable")]


def consensus(
    labels: Sequence[NDArray[np.integer[Any]]], graph: NeighborGraph, *, k: int = 10, settled: float = SETTLED
) -> Consensus:
    """Compare runs over the same images.

    Parameters
    ----------
    labels : R sequences of (n,) int
        -1 is noise: it shares a cluster with nothing.
    graph : NeighborGraph
        Of these n images.
    k : int
        Near neighbours that make an image's surroundings.
    settled : float
        An image disputed at most so much belongs to the core.

    Raises
    ------
    InputError
        Fewer than two runs, or of different lengths.
    """
    if len(labels) < 2:
        raise InputError("A consensus needs at least two runs.", "Choose another run.")
    if {len(column) for column in labels} != {len(graph)}:
        raise InputError("The runs are over different images.", "Choose runs on the same images.")
    columns = np.stack([np.asarray(column) for column in labels])
    disputed = _disputed(columns, graph.indices[:, :k])
    inside = (columns >= 0).all(axis=0) & (disputed <= settled)
    groups = np.full(columns.shape[1], -1, np.int32)
    groups[inside] = by_size(np.unique(columns[:, inside], axis=1, return_inverse=True)[1].reshape(-1))
    alone = np.bincount(groups[inside]) < 2 if inside.any() else np.empty(0, bool)
    groups[inside & np.append(alone, False)[groups]] = -1
    agreement = np.eye(len(columns))
    for one, two in combinations(range(len(columns)), 2):
        agreement[one, two] = agreement[two, one] = ari_between(columns[one], columns[two])
    return Consensus(disputed, groups, agreement)


def _disputed(columns: NDArray[Any], near: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return (n,) mean shares of the pairs of runs that differ on whether a neighbour is in the same cluster."""
    runs = len(columns)
    together = np.zeros(near.shape, np.int32)
    for column in columns:
        together += (column[near] == column[:, None]) & (column >= 0)[:, None]
    if not near.shape[1]:
        return np.zeros(len(near), np.float32)
    differing: NDArray[np.float32] = (together * (runs - together)).mean(axis=1, dtype=np.float64).astype(np.float32)
    return differing / np.float32(runs * (runs - 1) / 2)
