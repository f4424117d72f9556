"""Agglomerative clustering of k-means micro-clusters: a tree of clusters that a map can zoom through.

Micro-clusters keep it fast at any size; merging weighs them by their images, so Ward's criterion is that of
the images themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator, Labels, Vectors, check_embeddings
from engine.clustering.density.linkage import LinkageTree, single_linkage
from engine.clustering.kmeans import assign, mean_directions, train_kmeans
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.evaluation.agreement import compact
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.reduce import Reduce, Space, reduce_embeddings, reduce_setting

WHOLE = 5000


class AgglomerativeSettings(Settings):
    """Settings of agglomerative clustering."""

    n_clusters: int = setting(10, "How many clusters to cut the tree into.", ge=1, le=2000, log=True, search=(2, 300))
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


class Agglomerative(ClusterEstimator):
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
    settings: AgglomerativeSettings
    hierarchy_: LinkageTree
    micro_labels_: Labels

    @property
    def wants_graph(self) -> bool:
        """Only a UMAP reduction reads the graph."""
        return self.settings.reduce.startswith("umap")

    def fit(
        self,
        embeddings: Vectors,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> Self:
        """Cluster `embeddings` (n, d); see `ClusterEstimator.fit`."""
        settings = self.settings
        array = check_embeddings(embeddings, settings.n_clusters)
        self._space = space = reduce_embeddings(
            array,
            settings.reduce,
            graph=neighbors,
            random_state=settings.random_state,
            cache=self.cache,
            progress=progress,
        )
        micro = max(settings.n_micro, settings.n_clusters)
        if len(array) <= min(3 * micro, WHOLE):
            centers, where = np.unique(space.vectors, axis=0, return_inverse=True)
            raw = where.reshape(-1).astype(np.int32)
        else:
            seeds = train_kmeans(
                space.vectors,
                micro,
                spherical=space.spherical,
                max_iter=10,
                points_per_cluster=32,
                random_state=settings.random_state,
            )
            raw = compact(assign(space.vectors, seeds)[0])
            sums = np.zeros((int(raw.max()) + 1, space.vectors.shape[1]))
            np.add.at(sums, raw, space.vectors)
            centers = (sums / np.bincount(raw)[:, None]).astype(np.float32)
        progress.update(1, 2, phase="agglomerative")
        self.micro_labels_, self._micro = raw, centers
        first, second, height = merge_all(centers, np.bincount(raw), settings.linkage)
        self.hierarchy_ = single_linkage(first, second, height)
        self.extra_ = {"micro_cluster": raw}
        self.recut(settings.n_clusters)
        progress.update(2, 2, phase="agglomerative")
        return self

    def recut(self, n_clusters: int) -> Self:
        """Cut the kept tree into `n_clusters`; `settings` follow."""
        self.settings = self.resolved_ = self.settings.changed(n_clusters=n_clusters)
        self.notes_ = []
        part = cut_into(self.hierarchy_, n_clusters)
        counts = np.bincount(part[self.micro_labels_])
        place = np.empty(len(counts), dtype=np.int32)
        place[np.argsort(-counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
        self._of_micro = place[part]
        self.labels_ = self._of_micro[self.micro_labels_]
        if len(counts) < n_clusters:
            self.notes_.append(f"{n_clusters} clusters were asked for; distinct images fill only {len(counts)}.")
        self.centers_ = mean_directions(self._space.original, self.labels_, len(counts))
        nearest, confidence = assign(self._space.original, self.centers_)
        self.confidence_ = np.where(nearest == self.labels_, confidence, 0).astype(np.float32)
        return self

    def predict(self, embeddings: Vectors) -> Labels:
        """Return the cluster of the nearest micro-cluster of each of (m, d) unseen embeddings."""
        return self._of_micro[assign(self._space.place(embeddings), self._micro)[0]]

    _space: Space
    _micro: Vectors
    _of_micro: Labels


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
    while not np.array_equal(further := pointer[pointer], pointer):
        pointer = further
    return np.unique(pointer[:count], return_inverse=True)[1].reshape(-1).astype(np.int64)
