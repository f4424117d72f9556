"""HDBSCAN on the shared neighbour graph: dense groups of any size, odd images set aside as noise.

Mutual reachability on the graph's edges, a minimum spanning tree, and a tree that is kept so that another
minimum size is a matter of milliseconds. "exact" runs the `hdbscan` package on up to 5,000 images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import SpaceEstimator
from engine.clustering.density.linkage import Cut, LinkageTree, single_linkage
from engine.clustering.density.spanning import spanning_tree
from engine.clustering.sweep_scope import SweepScope
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors, blocks
from engine.geometry.reduce import Reduce, Space, reduce_setting

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


class HDBSCAN(SpaceEstimator):
    """Hierarchical density clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, -1 noise.
    confidence_ : (n,) float32
        How deep inside its cluster an image is.
    tree_ : LinkageTree
        Kept; `recut` needs nothing else. Also saved as tree.npz in the checkpoint folder, when one is given.

    Raises
    ------
    InputError
        By `fit`, for more than 5,000 images in the exact mode.

    References
    ----------
    Campello, Moulavi and Sander, Density-based clustering based on hierarchical density estimates, 2013.
    McInnes, Healy and Astels, hdbscan: hierarchical density based clustering, JOSS 2017.
    """

    settings_class = HDBSCANSettings
    settings: HDBSCANSettings
    tree_: LinkageTree

    reads_neighbors = True
    cut_settings = (
        "min_cluster_size",
        "cluster_selection_method",
        "cluster_selection_epsilon",
        "max_cluster_share",
    )
    _core: Vectors
    _reach: NDArray[np.float64]

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> list[HDBSCANSettings]:
        """Return least sizes of a cluster beside numbers of neighbours and ways to cut the tree."""
        if scope.mode == "fast":
            sizes = scope.group_sizes(4)
            return [
                *(HDBSCANSettings(min_cluster_size=size, min_samples=samples) for samples in (5, 15) for size in sizes),
                HDBSCANSettings(min_cluster_size=sizes[len(sizes) // 2], min_samples=5, reduce="none"),
            ]
        thorough = scope.mode == "comprehensive"
        sizes = scope.group_sizes(6 if thorough else 4)
        grid = [
            HDBSCANSettings(min_cluster_size=size, min_samples=samples, cluster_selection_method=method)
            for samples in ((3, 5, 10, 20) if thorough else (3, 5, 15))
            for method in ("eom", "leaf")
            for size in sizes
        ]
        if thorough:
            grid += [HDBSCANSettings(min_cluster_size=size, min_samples=5, reduce="none") for size in sizes]
            grid += [
                HDBSCANSettings(min_cluster_size=size, min_samples=5, cluster_selection_epsilon=epsilon)
                for size in sizes
                for epsilon in (0.1, 0.25)
            ]
        return grid

    def _resolve(self, array: Vectors) -> HDBSCANSettings:
        if self.settings.mode == "exact" and len(array) > EXACT_LIMIT:
            raise InputError(
                f"The exact mode is for up to {EXACT_LIMIT:,} images; there are {len(array):,}.",
                "Use the graph mode; it finds nearly the same clusters.",
            )
        return self.settings

    def _cluster(self, space: Space, progress: Progress, checkpoints: Path | None) -> tuple[Labels, Vectors]:
        settings, count = self.settings, len(space.vectors)
        min_samples = min(settings.min_samples, count - 1)
        if min_samples < settings.min_samples:
            self.notes_.append(f"min_samples was cut to {min_samples}: there are only {count} images.")
        edges = 64 if count <= MANY else 32
        progress.update(0, 3, phase="hdbscan")
        indices, distances = space.neighbors(max(min_samples, min(edges, count - 1)), progress)
        self._core = np.ascontiguousarray(distances[:, min_samples - 1])
        if settings.mode == "exact":
            self.tree_ = self._exact_tree(space.vectors, min_samples)
        else:
            first, second, weight, parts = spanning_tree(indices, distances, self._core, space.vectors)
            progress.update(1, 3, phase="hdbscan")
            self.tree_ = single_linkage(first, second, weight)
            if parts > 1:
                self.notes_.append(f"The neighbour graph fell into {parts:,} parts; they were joined.")
        progress.update(2, 3, phase="hdbscan")
        if checkpoints is not None:
            self.tree_.save(checkpoints / "tree.npz")
        self._tree_notes = tuple(self.notes_)
        progress.update(3, 3, phase="hdbscan")
        return self._cut()

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

    def _cut(self) -> tuple[Labels, Vectors]:
        cut = cut_tree(self.tree_, self.settings)
        self._reach = cut.reach
        if not len(cut.reach):
            self.notes_.append("No group is dense enough with these settings; try a smaller minimum cluster size.")
        return cut.labels, cut.confidence

    def _predict(self, placed: Vectors) -> Labels:
        """Return the cluster of the nearest image by mutual reachability.

        -1 where that image is noise or is farther away than any image that joined its cluster.
        """
        labels = np.empty(len(placed), dtype=np.int32)
        k = min(max(2 * self.settings.min_samples, 16), len(self.labels_))
        for rows in blocks(len(placed)):
            indices, distances = self._space.nearest(placed[rows], k)
            core = distances[:, min(self.settings.min_samples, k) - 1]
            reach = np.maximum(np.maximum(distances, core[:, None]), self._core[indices])
            best = reach.argmin(axis=1)
            line = np.arange(len(best))
            nearest = self.labels_[indices[line, best]]
            limit = np.append(self._reach, -1.0)[nearest]
            labels[rows] = np.where(reach[line, best] <= limit, nearest, -1)
        return labels


def cut_tree(tree: LinkageTree, settings: HDBSCANSettings) -> Cut:
    """Cut a kept tree with the settings; needs neither embeddings nor graph."""
    return tree.cut(
        settings.min_cluster_size,
        method=settings.cluster_selection_method,
        epsilon=settings.cluster_selection_epsilon,
        largest=settings.max_cluster_share,
    )
