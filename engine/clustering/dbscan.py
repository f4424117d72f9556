"""DBSCAN: images with enough others within `eps` are core; cores that touch share a cluster; the rest is noise.

From the neighbour graph while `min_samples` fits in it (cores exact, edges limited to the graph's and named so);
"exact" compares all pairs in blocks, two passes, storing no edges.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import SpaceEstimator
from engine.clustering.sweep_scope import SweepScope
from engine.core.labels import Labels, compact
from engine.core.progress import Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors, blocks
from engine.geometry.reduce import Reduce, Space, reduce_setting

LEAST_RADIUS = 1e-3  # equal rows of length one seem up to about half of that apart in single precision
QUANTILE_NEIGHBOR = 10


class DBSCANSettings(Settings):
    """Settings of DBSCAN."""

    eps: float = setting(
        0.0,
        "Largest distance between neighbours: cosine distance on embeddings, Euclidean on a reduced space; "
        "0 chooses it by the quantile.",
        ge=0,
        le=100,
        step=0.01,
        search=(0.05, 1.0),
    )
    eps_quantile: float = setting(
        0.75,
        "With eps 0: the quantile of the distances to the 10th neighbour that becomes eps.",
        ge=0.001,
        le=0.999,
        step=0.01,
    )
    min_samples: int = setting(
        5, "Images within eps, itself included, that make an image a core.", ge=1, le=500, log=True, search=(2, 64)
    )
    reduce: Reduce = reduce_setting("umap-10")
    mode: Literal["graph", "exact"] = setting(
        "graph", "graph reads the 64 nearest neighbours; exact compares all pairs, slower.", advanced=True
    )
    random_state: int = setting(0, "Seed of the reduction.", ge=0, le=2**31 - 1, advanced=True)


class DBSCAN(SpaceEstimator):
    """Density-based clustering at one distance.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, -1 noise.
    confidence_ : (n,) float32
        1 for cores, 1 - distance / (2 eps) for images on the border, 0 for noise.
    eps_ : float
        The distance used, in the units of the setting.

    References
    ----------
    Ester, Kriegel, Sander and Xu, A density-based algorithm for discovering clusters, 1996.
    """

    settings_class = DBSCANSettings
    settings: DBSCANSettings
    eps_: float

    reads_neighbors = True
    _core: NDArray[np.bool_]
    _radius_used: float

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> list[DBSCANSettings]:
        """Return quantiles of the neighbours' distance beside numbers of neighbours."""
        quantiles, samples = {
            "fast": ((0.05, 0.15, 0.3), (5, 10)),
            "comprehensive": ((0.02, 0.05, 0.1, 0.15, 0.25, 0.4), (3, 5, 10, 20)),
        }.get(scope.mode, ((0.03, 0.08, 0.15, 0.3), (3, 5, 10, 20)))
        return [DBSCANSettings(eps_quantile=quantile, min_samples=count) for quantile in quantiles for count in samples]

    @property
    def wants_graph(self) -> bool:
        """Comparing all pairs of embeddings reads the graph only to choose eps."""
        settings = self.settings
        compares_all = settings.mode == "exact" and settings.reduce == "none" and settings.eps > 0
        return super().wants_graph and not compares_all

    def _cluster(self, space: Space, progress: Progress, checkpoints: Path | None) -> tuple[Labels, Vectors]:
        settings = self.settings
        self._radius_used = radius = self._radius(space, progress)
        self.resolved_ = settings.changed(eps=min(self.eps_, 100.0))
        if settings.mode == "exact":
            core, part, border, near = _exact(space.vectors, radius, settings.min_samples, progress)
        else:
            core, part, border, near = self._on_graph(space, radius, progress)
        self._core = core
        if not core.any():
            self.notes_.append("No image has enough neighbours within eps; raise eps or lower min_samples.")
        classes = compact(np.where(core, part, np.where(border >= 0, part[border], -1)))
        edge = np.where(border >= 0, np.clip(1 - near / (2 * radius), 0, 1), 0)
        return classes, np.where(core, 1, edge).astype(np.float32)

    def _radius(self, space: Space, progress: Progress) -> float:
        """Return eps as a Euclidean distance in the space; `eps_` is in the setting's units."""
        eps = self.settings.eps
        if eps > 0:
            self.eps_ = eps
            return float(np.sqrt(2 * eps)) if space.spherical else eps
        _, distances = space.neighbors(min(QUANTILE_NEIGHBOR, len(space.vectors) - 1), progress)
        radius = float(np.quantile(distances[:, -1], self.settings.eps_quantile))
        radius = max(radius, LEAST_RADIUS)
        self.eps_ = radius**2 / 2 if space.spherical else radius
        return radius

    def _on_graph(
        self, space: Space, radius: float, progress: Progress
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]:
        """Return cores, their parts, and for each other image its nearest core within the radius (-1 for none)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = len(space.vectors)
        wanted = max(min(64, count - 1), self.settings.min_samples - 1)
        indices, distances = space.neighbors(wanted, progress)
        within = distances <= radius
        reached = within.sum(axis=1) + 1
        core = reached >= self.settings.min_samples
        if np.any(within[:, -1] & core) and indices.shape[1] < count - 1:
            self.notes_.append(f"Edges are limited to each image's {indices.shape[1]} nearest neighbours.")
        rows, columns = np.nonzero(within & core[:, None] & core[indices])
        edges = coo_array((np.ones(len(rows), np.int8), (rows, indices[rows, columns])), shape=(count, count))
        _, part = connected_components(edges.tocsr(), directed=False)
        touching = within & core[indices]
        first = touching.argmax(axis=1)
        line = np.arange(count)
        has = touching[line, first] & ~core
        border = np.where(has, indices[line, first], -1).astype(np.int64)
        near = np.where(has, distances[line, first], 0).astype(np.float32)
        return core, part.astype(np.int32), border, near

    def _predict(self, placed: Vectors) -> Labels:
        """Return the cluster of the nearest core within eps, else -1."""
        labels = np.empty(len(placed), dtype=np.int32)
        k = min(64, len(self.labels_))
        for rows in blocks(len(placed)):
            indices, distances = self._space.nearest(placed[rows], k)
            touching = self._core[indices] & (distances <= self._radius_used + 1e-6)
            first = touching.argmax(axis=1)
            line = np.arange(len(first))
            labels[rows] = np.where(touching[line, first], self.labels_[indices[line, first]], -1)
        return labels


def _exact(
    vectors: Vectors, radius: float, min_samples: int, progress: Progress
) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]:
    """Return cores, parts and borders from all pairs, compared in blocks; only part numbers are kept."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(vectors)
    size = max(64, min(2048, 2**26 // count))
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    limit = radius**2 + 1e-6

    def apart(rows: slice, others: Vectors, other_squares: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(squares[rows][:, None] + other_squares - 2 * (vectors[rows] @ others.T), 0)

    core = np.zeros(count, dtype=bool)
    for rows in blocks(count, size):
        core[rows] = (apart(rows, vectors, squares) <= limit).sum(axis=1) >= min_samples
        progress.update(rows.stop, 2 * count, phase="dbscan", unit="images")
    cores = np.flatnonzero(core)
    kept, kept_squares = vectors[cores], squares[cores]
    of_core: NDArray[np.integer[Any]] = np.arange(len(cores))
    border, near = np.full(count, -1, dtype=np.int64), np.zeros(count, dtype=np.float32)
    place = np.cumsum(core) - 1
    for rows in blocks(count, size) if len(cores) else ():
        distance = apart(rows, kept, kept_squares)
        line = np.arange(rows.start, rows.stop)
        mine = core[rows]
        own, other = np.nonzero(distance[mine] <= limit)
        pairs = np.unique(of_core[place[line[mine]]][own] * len(cores) + of_core[other])
        edges = coo_array(
            (np.ones(len(pairs), np.int8), (pairs // len(cores), pairs % len(cores))), shape=(len(cores),) * 2
        )
        of_core = connected_components(edges.tocsr(), directed=False)[1][of_core]
        rest = distance[~mine]
        if len(rest):
            best = rest.argmin(axis=1)
            nearest = rest[np.arange(len(best)), best]
            reached = nearest <= limit
            border[line[~mine][reached]] = cores[best[reached]]
            near[line[~mine][reached]] = np.sqrt(nearest[reached])
        progress.update(count + rows.stop, 2 * count, phase="dbscan", unit="images")
    part = np.zeros(count, dtype=np.int32)
    part[cores] = of_core
    return core, part, border, near
