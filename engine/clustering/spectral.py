"""Spectral clustering on the shared graph: groups that hang together through neighbours, of any shape.

A self-tuning affinity on the graph's edges, the leading eigenvectors of its normalised Laplacian, k-means there.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import SpaceEstimator
from engine.clustering.kmeans import assign, train_kmeans
from engine.clustering.sweep_scope import SweepScope
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors, blocks, unit
from engine.geometry.reduce import Reduce, Space, reduce_setting

DENSE = 1000
SWEEP_CLUSTERS = 100
SPARE = 10


class SpectralSettings(Settings):
    """Settings of spectral clustering."""

    n_clusters: int = setting(10, "How many clusters to make.", ge=2, le=500, log=True, search=(2, 100))
    n_neighbors: int = setting(15, "Neighbours that hold an image.", ge=2, le=64, search=(5, 64))
    reduce: Reduce = reduce_setting("none")
    random_state: int = setting(0, "Seed.", ge=0, le=2**31 - 1, advanced=True)


class Spectral(SpaceEstimator):
    """Spectral clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        Share of an image's neighbour affinity that lies in its own cluster.

    References
    ----------
    Ng, Jordan and Weiss, On spectral clustering: analysis and an algorithm, 2001.
    Zelnik-Manor and Perona, Self-tuning spectral clustering, 2004.
    """

    settings_class = SpectralSettings
    reads_neighbors = True
    settings: SpectralSettings

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> list[SpectralSettings]:
        """Return numbers of clusters up to 100: its time grows with their square."""
        wanted = {"fast": scope.spread(12)[1:6:2], "comprehensive": scope.spread(6)}.get(scope.mode, scope.spread(4))
        return [SpectralSettings(n_clusters=k) for k in wanted if k <= SWEEP_CLUSTERS]

    def _cluster(self, space: Space, progress: Progress, checkpoints: Path | None) -> tuple[Labels, Vectors]:
        settings = self.settings
        progress.update(0, 2, phase="spectral")
        indices, distances = space.neighbors(settings.n_neighbors, progress)
        affinity, weights = _affinity(indices, distances)
        rows = unit(_leading(affinity, settings.n_clusters, settings.random_state))
        progress.update(1, 2, phase="spectral")
        lost = int((np.linalg.norm(rows, axis=1) < 0.5).sum())
        if lost:
            self.notes_.append(f"{lost:,} images lie outside all leading eigenvectors.")
        centers = train_kmeans(rows, settings.n_clusters, spherical=True, n_init=3, random_state=settings.random_state)
        classes, _ = assign(rows, centers)
        same = classes[indices] == classes[:, None]
        progress.update(2, 2, phase="spectral")
        return classes, (weights * same).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)

    def _predict(self, placed: Vectors) -> Labels:
        """Return the cluster that most of the nearest known images are in."""
        labels = np.empty(len(placed), dtype=np.int32)
        n_clusters = int(self.labels_.max()) + 1
        k = min(self.settings.n_neighbors, len(self.labels_))
        for rows in blocks(len(placed)):
            indices, distances = self._space.nearest(placed[rows], k)
            weights = np.exp(-((distances / np.maximum(distances[:, -1:], 1e-12)) ** 2))
            votes = np.zeros((len(indices), n_clusters))
            np.add.at(votes, (np.arange(len(indices))[:, None], self.labels_[indices]), weights)
            labels[rows] = votes.argmax(axis=1)
        return labels


def _affinity(indices: NDArray[Any], distances: NDArray[Any]) -> tuple[Any, NDArray[np.float64]]:
    """Return the symmetric sparse affinity exp(-d^2 / (s_i s_j)), s the distance to the 7th neighbour."""
    from scipy.sparse import csr_array

    count, k = indices.shape
    scale = np.maximum(np.asarray(distances[:, min(6, k - 1)], dtype=np.float64), 1e-6)
    weights = np.exp(-(np.asarray(distances, dtype=np.float64) ** 2) / (scale[:, None] * scale[indices]))
    rows = np.repeat(np.arange(count), k)
    directed = csr_array((weights.ravel(), (rows, np.asarray(indices).ravel())), shape=(count, count))
    return directed.maximum(directed.T).tocsr(), weights


def _leading(affinity: Any, n_clusters: int, random_state: int) -> Vectors:  # noqa: ANN401 - SciPy has no types
    """Return (n, K) leading eigenvectors of the normalised affinity.

    Groups that hardly touch share an eigenvalue near 1 as many times as there are groups. A Krylov method that
    starts from one vector (ARPACK) misses most of such a family, so all are iterated together, and some more.

    References
    ----------
    Knyazev, Toward the optimal preconditioned eigensolver (LOBPCG), 2001.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import lobpcg

    count, width = affinity.shape[0], n_clusters + SPARE
    root = np.sqrt(np.maximum(affinity.sum(axis=1), 1e-12))
    normal = diags_array(1 / root) @ affinity @ diags_array(1 / root)
    if count <= max(DENSE, 5 * width):
        values, columns = np.linalg.eigh(normal.toarray())
    else:
        start = np.random.default_rng(random_state).standard_normal((count, width))
        start[:, 0] = root
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that the spare ones have not converged
            values, columns = lobpcg(normal.tocsr(), start, largest=True, tol=1e-4, maxiter=100)
    return np.asarray(columns[:, np.argsort(-values)[:n_clusters]], dtype=np.float32)
