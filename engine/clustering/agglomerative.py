"""Agglomerative clustering of k-means micro-clusters: a tree of clusters that a map can zoom through.

Micro-clusters keep it fast at any size; merging weighs them by their images, so Ward's criterion is that of
the images themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import SpaceEstimator
from engine.clustering.density.linkage import LinkageTree, follow, single_linkage
from engine.clustering.kmeans import assign, train_kmeans
from engine.clustering.sweep_scope import SweepScope
from engine.core.labels import Labels, compact
from engine.core.progress import Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors
from engine.geometry.centers import cluster_means, mean_directions
from engine.geometry.reduce import Reduce, Space, reduce_setting

WHOLE = 5000


class AgglomerativeSettings(Settings):
    """Settings of agglomerative clustering."""

    n_clusters: int = setting(
        10, "How many clusters to cut the tree into.", ge=1, le=100_000, log=True, search=(2, 300)
    )
    linkage: Literal["ward", "average"] = setting(
        "ward", "ward keeps clusters tight and even; average joins those whose images are close on average."
    )
    n_micro: int = setting(
        1500,
        "Micro-clusters to begin with; up to three times as many images (at most 5,000) are merged themselves.",
        ge=10,
        le=5000,
        log=True,
        advanced=True,
    )
    reduce: Reduce = reduce_setting("none")
    random_state: int = setting(0, "Seed.", ge=0, le=2**31 - 1, advanced=True)


class Agglomerative(SpaceEstimator):
    """Bottom-up clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        1 - (distance to the own centre / to the next one); 0 where another centre is nearer.
    micro_labels_ : (n,) int32
        Micro-cluster of each image; also in `extra_["micro_cluster"]`.
    hierarchy_ : LinkageTree
        Merges of the micro-clusters, for the zoomable tree; `recut` cuts it into another number of clusters.

    References
    ----------
    Ward, Hierarchical grouping to optimize an objective function, 1963.
    Murtagh, A survey of recent advances in hierarchical clustering algorithms, 1983 (nearest-neighbour chain).
    """

    settings_class = AgglomerativeSettings
    cut_settings = ("n_clusters",)
    settings: AgglomerativeSettings
    hierarchy_: LinkageTree
    micro_labels_: Labels
    _micro: Vectors
    _part: NDArray[np.int64]

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> list[AgglomerativeSettings]:
        """Return numbers of clusters to cut one tree into."""
        wanted = {"fast": scope.spread(3), "comprehensive": scope.spread(5)}.get(scope.mode, scope.spread(3))
        return [AgglomerativeSettings(n_clusters=k) for k in wanted]

    def _cluster(self, space: Space, progress: Progress, checkpoints: Path | None) -> tuple[Labels, Vectors]:
        settings = self.settings
        micro = max(settings.n_micro, settings.n_clusters)
        if len(space.vectors) <= min(3 * micro, WHOLE):
            self._micro, where = np.unique(space.vectors, axis=0, return_inverse=True)
            self.micro_labels_ = where.reshape(-1).astype(np.int32)
        else:
            seeds = train_kmeans(
                space.vectors,
                micro,
                spherical=space.spherical,
                max_iter=10,
                points_per_cluster=32,
                random_state=settings.random_state,
            )
            self.micro_labels_ = compact(assign(space.vectors, seeds)[0])
            self._micro = cluster_means(space.vectors, self.micro_labels_, int(self.micro_labels_.max()) + 1)
        progress.update(1, 2, phase="agglomerative")
        first, second, height = merge_all(self._micro, np.bincount(self.micro_labels_), settings.linkage)
        self.hierarchy_ = single_linkage(first, second, height)
        self.extra_["micro_cluster"] = self.micro_labels_
        progress.update(2, 2, phase="agglomerative")
        return self._cut()

    def _cut(self) -> tuple[Labels, Vectors]:
        original = self._space.original
        self._part = cut_into(self.hierarchy_, self.settings.n_clusters)
        classes = self._part[self.micro_labels_].astype(np.int32)
        nearest, confidence = assign(original, mean_directions(original, classes, int(classes.max()) + 1))
        return classes, np.where(nearest == classes, confidence, 0).astype(np.float32)

    def _predict(self, placed: Vectors) -> Labels:
        """Return the cluster of the nearest micro-cluster."""
        return self._place[self._part[assign(placed, self._micro)[0]]]


def merge_all(
    centers: Vectors, sizes: NDArray[np.integer[Any]], linkage: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Merge M weighted points down to one by the nearest-neighbour chain.

    Returns
    -------
    first, second : (M - 1,) int64
        One member point of either side of each merge, in no particular order.
    height : (M - 1,) float64
        Ward: sqrt(2 n_i n_j / (n_i + n_j)) times the distance of means, as SciPy scales it. Average: mean
        Euclidean distance of the points, weighted.
    """
    count = len(centers)
    points = centers.astype(np.float64)
    weight = sizes.astype(np.float64)
    squares = np.einsum("ij,ij->i", points, points)
    distance = np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0)
    if linkage == "ward":
        distance *= 2 * np.outer(weight, weight) / (weight[:, None] + weight[None])
    else:
        distance = np.sqrt(distance)
    np.fill_diagonal(distance, np.inf)
    first, second, height = np.empty(count - 1, np.int64), np.empty(count - 1, np.int64), np.empty(count - 1)
    chain: list[int] = []
    alive = np.ones(count, dtype=bool)
    done = 0
    while done < count - 1:
        if not chain:
            chain.append(int(alive.argmax()))
        a = chain[-1]
        row = distance[a]
        b = int(row.argmin())
        if len(chain) > 1 and row[chain[-2]] <= row[b]:
            b = chain[-2]
        if len(chain) > 1 and b == chain[-2]:
            del chain[-2:]
            first[done], second[done], height[done] = a, b, row[b]
            done += 1
            _merge(distance, weight, a, b, ward=linkage == "ward")
            alive[b] = False
        else:
            chain.append(b)
    return first, second, np.sqrt(height) if linkage == "ward" else height


def _merge(distance: NDArray[np.float64], weight: NDArray[np.float64], a: int, b: int, *, ward: bool) -> None:
    """Put b into a by the Lance-Williams update, in place; b is infinitely far from everything afterwards."""
    gap, wa, wb = distance[a, b], weight[a], weight[b]
    if ward:
        row = ((wa + weight) * distance[a] + (wb + weight) * distance[b] - weight * gap) / (wa + wb + weight)
    else:
        row = (wa * distance[a] + wb * distance[b]) / (wa + wb)
    row[[a, b]] = np.inf
    distance[a] = distance[:, a] = row
    distance[b] = distance[:, b] = np.inf
    weight[a] = wa + wb


def cut_into(tree: LinkageTree, n_clusters: int) -> NDArray[np.int64]:
    """Return the cluster number of each leaf after undoing the last `n_clusters` - 1 merges."""
    count = len(tree)
    kept = max(0, count - n_clusters)
    pointer = np.arange(2 * count - 1, dtype=np.int64)
    merged = np.arange(kept) + count
    pointer[tree.left[:kept]] = merged
    pointer[tree.right[:kept]] = merged
    return np.unique(follow(pointer)[:count], return_inverse=True)[1].reshape(-1).astype(np.int64)
