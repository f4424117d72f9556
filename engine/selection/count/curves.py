"""The curves over the number of clusters K: coding length, silhouette and stability of k-means.

Points are principal-component scores scaled to a mean square length of one, (n, c) float32. The same curves are
measured for data with clusters and for structureless data, so nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.clustering.kmeans import assign, train_kmeans
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.core.vectors import Vectors, unit
from engine.evaluation.agreement import ari_between
from engine.evaluation.scores import silhouette
from engine.evaluation.stability import subsamples
from engine.geometry.centers import cluster_sums
from engine.geometry.coding import coding_length
from engine.geometry.projection import fit_pca

Curve = NDArray[np.float64]


def k_grid(smallest: int, largest: int, n: int) -> NDArray[np.int64]:
    """Return every K up to 20, then steps of about 8%, with at least five images to a cluster."""
    largest = min(largest, n // 5)
    if largest <= smallest:
        raise InputError(
            f"There is no range of K to compare between {smallest} and {largest}.",
            "The largest K must be above the smallest, and at most a fifth of the images.",
        )
    values = [smallest]
    while values[-1] < largest:
        values.append(min(largest, max(values[-1] + 1, round(values[-1] * 1.08) if values[-1] >= 20 else 0)))
    return np.asarray(values, dtype=np.int64)


def standardised(rows: Vectors, components: int) -> Vectors:
    """Return unit rows, centred, on their principal axes, scaled to a mean square length of one."""
    vectors = unit(rows)
    scores = np.asarray(fit_pca(vectors, min(components, *vectors.shape))(vectors), dtype=np.float32)
    scores -= scores.mean(axis=0)
    scale = float(np.sqrt(np.square(scores).sum(axis=1).mean()))
    if scale < 1e-6:
        raise InputError("All images have the same embedding: there is nothing to count.")
    return np.ascontiguousarray(scores / scale)


class KProgress:
    """Tells the listener how many K are measured, over several calls of `Curves.measure`."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.total, self.progress, self.done = total, progress, 0

    def step(self) -> None:
        """Say that one more K is measured."""
        self.done += 1
        self.progress.update(self.done, self.total, phase="number of clusters", unit="K")


@dataclass(frozen=True)
class Curves:
    """What was measured for each K.

    Attributes
    ----------
    ks : (m,) int64
    lengths, length_spread : (m,) float64
        Coding length in nats per image, the shortest of three starts; its standard deviation over them.
    silhouettes : (m,) float64
        Mean cosine silhouette.
    stability, stability_spread : (m,) float64
        Mean and standard deviation of the ARI of two clusterings of all points by centres that were learned on two
        random subsamples.
    labels : tuple of (n,) int32
        The clustering of each K with the least within-cluster variance.
    single : float
        Coding length of a single cluster.
    """

    ks: NDArray[np.int64]
    lengths: Curve
    length_spread: Curve
    silhouettes: Curve
    stability: Curve
    stability_spread: Curve
    labels: tuple[Labels, ...]
    single: float

    @classmethod
    def measure(
        cls, points: Vectors, ks: NDArray[np.int64], repeats: int, random_state: int, counter: KProgress
    ) -> Curves:
        """Measure the curves of `points` (n, c)."""
        n, starts = len(points), 3
        rng = np.random.default_rng(random_state + 1)
        halves = subsamples(n, rng, number=2 * repeats)
        lengths, silhouettes, agreement, labels = [], [], [], []
        for k in ks.tolist():
            tried = [_cluster(points, points, k, random_state + start) for start in range(starts)]
            costs = [coding_length(points, clusters, means=True) / n for clusters in tried]
            best = int(np.argmin([_within_variance(points, clusters) for clusters in tried]))
            lengths.append(costs)
            labels.append(tried[best])
            silhouettes.append(silhouette(points, tried[best]))
            whole = [_cluster(points[rows], points, k, random_state + index) for index, rows in enumerate(halves)]
            agreement.append([ari_between(whole[i], whole[i + 1]) for i in range(0, len(whole), 2)])
            counter.step()
        cost, same = np.asarray(lengths), np.asarray(agreement)
        return cls(
            ks,
            cost.min(axis=1),
            cost.std(axis=1),
            np.asarray(silhouettes),
            same.mean(axis=1),
            same.std(axis=1),
            tuple(labels),
            coding_length(points, np.zeros(n, np.int32), means=True) / n,
        )


def _cluster(train: Vectors, points: Vectors, k: int, seed: int) -> Labels:
    """Return the nearest of k centres, learned on `train`, of each of `points`."""
    return assign(points, train_kmeans(train, k, spherical=False, random_state=seed))[0]


def _within_variance(points: Vectors, labels: Labels) -> float:
    """Return the sum of squared distances to the cluster means."""
    counts = np.maximum(np.bincount(labels), 1)
    sums = cluster_sums(points, labels, len(counts))
    return float(np.square(points).sum() - (np.square(sums).sum(axis=1) / counts).sum())
