"""HDBSCAN on the shared neighbour graph: dense groups of any size, odd images set aside as noise.

Mutual reachability on the graph's edges, a minimum spanning tree, and a tree that is kept so that another
minimum size is a matter of milliseconds. "exact" runs the `hdbscan` package on up to 5,000 images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np

from engine.clustering.base import ClusterEstimator, Labels, Vectors, check_embeddings
from engine.clustering.density.linkage import Cut, LinkageTree, single_linkage
from engine.clustering.density.spanning import spanning_tree
from engine.clustering.kmeans import mean_directions
from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import blocks
from engine.geometry.neighbors import NeighborGraph, search
from engine.geometry.reduce import Reduce, Space, reduce_embeddings, reduce_setting

EXACT_LIMIT = 5_000
MANY = 200_000


class HDBSCANSettings(Settings):
    """Settings of HDBSCAN."""

    min_cluster_size: int = setting(
        15, "The smallest group that counts as a cluster.", ge=2, le=5000, log=True, search=(5, 500)
    )
    min_samples: int = setting(
        5,
        "How many close neighbours an image needs to count as dense; more means more noise.",
        ge=1,
        le=500,
        log=True,
        search=(1, 64),
    )
    cluster_selection_method: Literal["eom", "leaf"] = setting(
        "eom", "eom takes the most stable clusters, leaf the finest ones."
    )
    cluster_selection_epsilon: float = setting(
        0.0, "Clusters that part below this distance stay together; 0 is off.", ge=0, le=100, step=0.01, advanced=True
    )
    max_cluster_share: float = setting(
        0.4,
        "A cluster with a larger share of the images gives way to its parts when these are at least half as "
        "stable; 1 never divides one, as the hdbscan package does.",
        ge=0.05,
        le=1,
        step=0.05,
        advanced=True,
    )
    reduce: Reduce = reduce_setting("umap-10")
    mode: Literal["graph", "exact"] = setting(
        "graph", "graph is fast at any size; exact runs the hdbscan package, up to 5,000 images.", advanced=True
    )
    random_state: int = setting(0, "Seed of the reduction.", ge=0, le=2**31 - 1, advanced=True)


class HDBSCAN(ClusterEstimator):
    """Hierarchical density clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, -1 noise.
    confidence_ : (n,) float32
        How deep inside its cluster an image is.
    tree_ : LinkageTree
        Kept; `recut` needs nothing else. Also saved as tree.npz in the checkpoint folder, when one is given.

    References
    ----------
    Campello, Moulavi and Sander, Density-based clustering based on hierarchical density estimates, 2013.
    McInnes, Healy and Astels, hdbscan: hierarchical density based clustering, JOSS 2017.
    """

    settings_class = HDBSCANSettings
    settings: HDBSCANSettings
    tree_: LinkageTree

    def fit(
        self,
        embeddings: Vectors,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> Self:
        """Cluster `embeddings` (n, d); see `ClusterEstimator.fit`.

        Raises
        ------
        InputError
            NaN, one image, identical images, or more than 5,000 images in exact mode.
        """
        settings = self.settings
        array = check_embeddings(embeddings)
        if settings.mode == "exact" and len(array) > EXACT_LIMIT:
            raise InputError(
                f"The exact mode is for up to {EXACT_LIMIT:,} images; there are {len(array):,}.",
                "Use the graph mode; it finds nearly the same clusters.",
            )
        self._space = space = reduce_embeddings(
            array,
            settings.reduce,
            graph=neighbors,
            random_state=settings.random_state,
            cache=self.cache,
            progress=progress,
        )
        self.resolved_ = settings
        self._kept_notes: list[str] = []
        min_samples = min(settings.min_samples, len(array) - 1)
        if min_samples < settings.min_samples:
            self._kept_notes.append(f"min_samples was cut to {min_samples}: there are only {len(array)} images.")
        edges = 64 if len(array) <= MANY else 32
        progress.update(0, 3, phase="hdbscan")
        indices, distances = space.neighbors(max(min_samples, min(edges, len(array) - 1)), progress)
        self._core = np.ascontiguousarray(distances[:, min_samples - 1])
        if settings.mode == "exact":
            self.tree_ = self._exact_tree(space.vectors, min_samples)
        else:
            first, second, weight, parts = spanning_tree(indices, distances, self._core, space.vectors)
            progress.update(1, 3, phase="hdbscan")
            self.tree_ = single_linkage(first, second, weight)
            if parts > 1:
                self._kept_notes.append(f"The neighbour graph fell into {parts:,} parts; they were joined.")
        progress.update(2, 3, phase="hdbscan")
        if checkpoints is not None:
            self.tree_.save(checkpoints / "tree.npz")
        self.recut()
        progress.update(3, 3, phase="hdbscan")
        return self

    def _exact_tree(self, vectors: Vectors, min_samples: int) -> LinkageTree:
        """Return the single linkage tree of the `hdbscan` package."""
        import hdbscan

        model = hdbscan.HDBSCAN(
            min_cluster_size=min(max(2, self.settings.min_cluster_size), len(vectors)),
            min_samples=min_samples,
            core_dist_n_jobs=1,
            approx_min_span_tree=False,
        )
        merges = model.fit(vectors.astype(np.float64)).single_linkage_tree_.to_numpy()
        return LinkageTree(merges[:, 0].astype(np.int64), merges[:, 1].astype(np.int64), merges[:, 2])

    def recut(
        self,
        min_cluster_size: int | None = None,
        *,
        cluster_selection_method: Literal["eom", "leaf"] | None = None,
        cluster_selection_epsilon: float | None = None,
        max_cluster_share: float | None = None,
    ) -> Self:
        """Cut the kept tree anew; what is not given stays as it is. `settings` follow."""
        given = {
            "min_cluster_size": min_cluster_size,
            "cluster_selection_method": cluster_selection_method,
            "cluster_selection_epsilon": cluster_selection_epsilon,
            "max_cluster_share": max_cluster_share,
        }
        self.settings = self.settings.changed(**{name: value for name, value in given.items() if value is not None})
        self.resolved_ = self.settings
        self._cut = cut_tree(self.tree_, self.settings)
        self.labels_, self.confidence_ = self._cut.labels, self._cut.confidence
        self.centers_ = mean_directions(self._space.original, self.labels_, len(self._cut.reach))
        self.notes_ = list(self._kept_notes)
        if not len(self._cut.reach):
            self.notes_.append("No group is dense enough with these settings; try a smaller minimum cluster size.")
        return self

    def predict(self, embeddings: Vectors) -> Labels:
        """Label (m, d) unseen embeddings: the cluster of the nearest image by mutual reachability.

        -1 where that image is noise or is farther away than any image that joined its cluster.
        """
        placed = self._space.place(embeddings)
        labels = np.empty(len(placed), dtype=np.int32)
        k = min(max(2 * self.settings.min_samples, 16), len(self.labels_))
        for rows in blocks(len(placed)):
            indices, distances = nearest_in(self._space, placed[rows], k)
            core = distances[:, min(self.settings.min_samples, k) - 1]
            reach = np.maximum(np.maximum(distances, core[:, None]), self._core[indices])
            best = reach.argmin(axis=1)
            line = np.arange(len(best))
            found = self.labels_[indices[line, best]]
            limit = np.append(self._cut.reach, -1.0)[found]
            labels[rows] = np.where(reach[line, best] <= limit, found, -1)
        return labels

    _space: Space
    _cut: Cut


def cut_tree(tree: LinkageTree, settings: HDBSCANSettings) -> Cut:
    """Cut a kept tree with the settings; needs neither embeddings nor graph."""
    return tree.cut(
        settings.min_cluster_size,
        method=settings.cluster_selection_method,
        epsilon=settings.cluster_selection_epsilon,
        largest=settings.max_cluster_share,
    )


def nearest_in(space: Space, placed: Vectors, k: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return the (m, k) known rows nearest to placed points, with Euclidean distances in the space."""
    if space.spherical:
        indices, similarities = search(space.vectors, placed, k)
        return indices, np.sqrt(np.maximum(2 - 2 * similarities, 0))
    import faiss

    squares, found = faiss.knn(np.ascontiguousarray(placed), np.ascontiguousarray(space.vectors), k)
    return found, np.sqrt(np.maximum(squares, 0))
