"""The images that stand for a cluster, and how typical each image is of its own.

In flow embeddings and labels; out come rows near each centre, rows that show its breadth, and a cosine to the
centre for every image (the odd ones first when sorted).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.labels import compact
from engine.core.vectors import Vectors, blocks, unit
from engine.geometry.centers import cluster_sums

_SAMPLED = 512  # members looked at for the diverse prototypes of one cluster


@dataclass(frozen=True)
class Prototypes:
    """What a cluster list shows.

    Attributes
    ----------
    clusters : (K,) int32
        Cluster ids, rising; noise is left out.
    centers : (K, d) float32
        Unit-length centres.
    nearest : list of (<= k,) int64
        Rows nearest to each centre.
    diverse : list of (<= k,) int64
        Rows far from each other and from those, farthest first.
    typicality : (n,) float32
        Cosine to the own centre, in [-1, 1]; NaN for noise.
    """

    clusters: NDArray[np.int32]
    centers: Vectors
    nearest: list[NDArray[np.int64]]
    diverse: list[NDArray[np.int64]]
    typicality: NDArray[np.float32]

    def rows_of(self, cluster: int, count: int = 4) -> NDArray[np.int64]:
        """Return up to `count` rows that stand for a cluster: near ones, then diverse ones."""
        at = int(np.searchsorted(self.clusters, cluster))
        if at >= len(self.clusters) or self.clusters[at] != cluster:
            return np.empty(0, dtype=np.int64)
        half = (count + 1) // 2
        chosen = [*self.nearest[at][:half], *self.diverse[at], *self.nearest[at][half:]]
        return np.array(list(dict.fromkeys(chosen))[:count], dtype=np.int64)


def prototypes(embeddings: Vectors, labels: NDArray[np.int32], *, count: int = 4, random_state: int = 0) -> Prototypes:
    """Find the rows that stand for each cluster.

    Parameters
    ----------
    embeddings : (n, d) float32
    labels : (n,) int32
        -1 is noise.
    count : int
        How many near and how many diverse rows each cluster gets.
    random_state : int
        Seeds the sample of members from which the diverse ones are chosen.
    """
    place = compact(labels)
    clusters = np.unique(labels[labels >= 0])
    centers = unit(cluster_sums(embeddings, place, len(clusters), normalise=True))
    typicality = np.full(len(labels), np.nan, dtype=np.float32)
    for part in blocks(len(labels)):
        inside = np.flatnonzero(place[part] >= 0) + part.start
        typicality[inside] = np.einsum("ij,ij->i", unit(embeddings[inside]), centers[place[inside]])
    order = np.argsort(place, kind="stable")[int(np.sum(place < 0)) :]
    ends = (
        np.cumsum(np.bincount(place[place >= 0], minlength=len(clusters))) if len(clusters) else np.empty(0, np.int64)
    )
    rng = np.random.default_rng(random_state)
    nearest, diverse = [], []
    for members in np.split(order, ends[:-1]) if len(clusters) else []:
        best = members[np.argsort(-typicality[members], kind="stable")[:count]]
        nearest.append(best)
        diverse.append(_farthest(embeddings, members, best[0], count, rng))
    return Prototypes(clusters.astype(np.int32), centers, nearest, diverse, typicality)


def _farthest(
    embeddings: Vectors, members: NDArray[np.int64], start: np.int64, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose rows one by one, each farthest from all chosen before; `start` counts as chosen."""
    if len(members) > _SAMPLED:
        members = rng.choice(members, _SAMPLED, replace=False)
    vectors = unit(embeddings[members])
    closest = vectors @ unit(embeddings[start : start + 1])[0]
    chosen: list[int] = []
    for _ in range(min(count, len(members))):
        far = int(np.argmin(closest))
        chosen.append(int(members[far]))
        closest = np.maximum(closest, vectors @ vectors[far])
        closest[far] = np.inf
    return np.array(chosen, dtype=np.int64)
