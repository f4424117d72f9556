"""k-means: spherical on embeddings, Euclidean on a reduced space; its rounds by FAISS, on a GPU by torch.

Started by greedy k-means++ on a sample, because random starts lose quality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import SpaceEstimator
from engine.clustering.sweep_scope import SweepScope
from engine.core.device import accelerator, threads_for
from engine.core.labels import Labels, compact
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors, blocks, unit
from engine.geometry.projection import fit_pca
from engine.geometry.reduce import Reduce, Space, reduce_setting

SEED_SAMPLE = 20_000
SEED_WORK = 20_000_000  # rows times clusters: above 1,000 clusters fewer rows are enough to draw seeds from
SEED_DIMENSIONS = 64
TRAIN_ROWS = 100_000


class KMeansSettings(Settings):
    """Settings of k-means."""

    n_clusters: int = setting(10, "How many clusters to make.", ge=1, le=100_000, log=True, search=(2, 300))
    reduce: Reduce = reduce_setting("none")
    max_iter: int = setting(25, "Rounds of assigning and averaging.", ge=1, le=300, advanced=True)
    n_init: int = setting(5, "Starts to try; the best is kept.", ge=1, le=20, advanced=True)
    points_per_cluster: int = setting(
        256,
        "Images per cluster to train on at least; all images are assigned in any case.",
        ge=16,
        le=10_000,
        log=True,
        advanced=True,
    )
    random_state: int = setting(0, "Seed; the same seed gives the same clusters.", ge=0, le=2**31 - 1, advanced=True)


class KMeans(SpaceEstimator):
    """k-means clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise. Fewer than asked for when fewer distinct images exist.
    confidence_ : (n,) float32
        1 - (distance to the own centre / distance to the next), in [0, 1].
    centers_ : (K, d) float32
        Unit-length means in the space of the embeddings.

    References
    ----------
    Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007.
    Dhillon and Modha, Concept decompositions for large sparse text data using clustering, 2001.
    """

    settings_class = KMeansSettings
    settings: KMeansSettings
    _centers: Vectors

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> list[KMeansSettings]:
        """Return numbers of clusters in the embeddings' own space and in UMAP's."""
        if scope.mode == "fast":
            plain, drawn, seeds = scope.spread(12), scope.spread(12), 1
        elif scope.mode == "comprehensive":
            plain, seeds = scope.spread(30), 3
            drawn = scope.spread(12)
        else:
            plain, seeds = scope.spread(12), 1
            drawn = plain
        return [
            *(KMeansSettings(n_clusters=k, n_init=1, random_state=seed) for seed in range(seeds) for k in plain),
            *(KMeansSettings(n_clusters=k, n_init=3, reduce="umap-10") for k in drawn),
        ]

    def _cluster(self, space: Space, progress: Progress, checkpoints: Path | None) -> tuple[Labels, Vectors]:
        settings = self.settings
        centers = train_kmeans(
            space.vectors,
            settings.n_clusters,
            spherical=space.spherical,
            max_iter=settings.max_iter,
            n_init=settings.n_init,
            points_per_cluster=settings.points_per_cluster,
            random_state=settings.random_state,
            progress=progress,
        )
        classes, confidence = assign(space.vectors, centers)
        self._centers = centers[np.unique(classes)]
        progress.update(1, 1, phase="k-means")
        return compact(classes), confidence

    def _predict(self, placed: Vectors) -> Labels:
        """Return the label of the nearest centre."""
        return self._place[assign(placed, self._centers)[0]]


def train_kmeans(
    vectors: Vectors,
    n_clusters: int,
    *,
    spherical: bool,
    max_iter: int = 25,
    n_init: int = 1,
    points_per_cluster: int = 256,
    random_state: int = 0,
    progress: Progress = SILENT,
) -> Vectors:
    """Return (K, c) centres, unit length when `spherical`.

    Parameters
    ----------
    vectors : (n, c) float32
    spherical : bool
        Cluster by cosine instead of Euclidean distance; the rows then have length one.
    max_iter, n_init : int
        Rounds of each start, and starts; the one with the lowest cost is returned.
    points_per_cluster : int
        Trained on at most max(this x K, `TRAIN_ROWS`) random rows: FAISS's own limit per centroid is set so that
        nothing is left out silently.
    """
    rng = np.random.default_rng(random_state)
    wanted = max(points_per_cluster * n_clusters, TRAIN_ROWS)
    rows = vectors
    if wanted < len(vectors):
        rows = vectors[np.sort(rng.choice(len(vectors), wanted, replace=False))]
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    if n_clusters == 1:
        return _means(rows, spherical)
    size = min(len(rows), max(min(SEED_SAMPLE, SEED_WORK // n_clusters), 4 * n_clusters))
    sample = np.sort(rng.choice(len(rows), size, replace=False)) if size < len(rows) else np.arange(len(rows))
    flat = seed_space(rows[sample] if size < len(rows) else rows, n_clusters)
    best, lowest = rows[:n_clusters], float("inf")
    gpu = accelerator()
    for attempt in range(n_init):
        with threads_for(_trials(n_clusters) * flat.size):
            start = rows[sample[seeds(flat, n_clusters, rng)]]
        start = unit(start) if spherical else start
        if gpu is not None:
            from engine.clustering.device_kmeans import rounds

            centers, value = rounds(rows, start, spherical=spherical, max_iter=max_iter, device=gpu)
        else:
            centers, value = _faiss_rounds(
                rows, start, spherical=spherical, max_iter=max_iter, random_state=random_state + attempt
            )
        if value < lowest:
            best, lowest = centers, value
        progress.update(attempt + 1, n_init, phase="k-means", unit="starts")
    return best


def _faiss_rounds(
    rows: Vectors, start: Vectors, *, spherical: bool, max_iter: int, random_state: int
) -> tuple[Vectors, float]:
    """Return the centres after FAISS's rounds from `start`, and their cost."""
    import faiss

    clusters = len(start)
    options: dict[str, Any] = {
        "niter": max_iter,
        "spherical": spherical,
        "seed": random_state,
        "min_points_per_centroid": 1,
        "max_points_per_centroid": -(-len(rows) // clusters),
    }
    model = faiss.Kmeans(rows.shape[1], clusters, **options)
    if hasattr(model.cp, "early_stop_threshold"):  # FAISS 1.15
        model.cp.early_stop_threshold = 1e-5
    with threads_for(clusters * rows.size):
        model.train(rows, init_centroids=start)
    value = float(np.asarray(model.obj)[-1]) * (-1 if spherical else 1)
    return np.asarray(model.centroids, dtype=np.float32).copy(), value


def _means(rows: Vectors, spherical: bool) -> Vectors:
    mean = rows.mean(axis=0, keepdims=True, dtype=np.float64)
    return unit(mean) if spherical else mean.astype(np.float32)


def seed_space(rows: Vectors, n_clusters: int) -> Vectors:
    """Return what k-means++ measures distances in: (m, d) rows, or their `SEED_DIMENSIONS` principal axes.

    The axes keep the distances that matter. Finding them costs about d^3, drawing seeds in all dimensions
    about K log K m d: the cheaper way is taken.
    """
    count, dimension = rows.shape
    if dimension <= 2 * SEED_DIMENSIONS or n_clusters * _trials(n_clusters) * count < dimension**2:
        return rows
    pca = fit_pca(rows[:: max(1, count // 5000)], SEED_DIMENSIONS)
    return np.concatenate([pca(rows[part]) for part in blocks(count)])


def seeds(flat: Vectors, n_clusters: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the K rows of (m, c) that greedy k-means++ draws.

    Each step draws a few rows by their squared distance to the chosen ones and keeps the best. FAISS's own k-means++
    draws one: after as many rounds its clusters are 1.5% wider on 60,000 rows in 1,000 groups (cost .372 beside .366)
    and take 30% longer, and they are no tighter on small sets.

    References
    ----------
    Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007.
    """
    size = len(flat)
    squares = np.einsum("ij,ij->i", flat, flat)[:, None]
    ones = np.ones_like(squares)
    left = np.ascontiguousarray(np.concatenate([flat, squares, ones], axis=1), np.float32)
    right = np.ascontiguousarray(np.concatenate([-2 * flat, ones, squares], axis=1).T, np.float32)
    picked = [int(rng.integers(size))]
    closest = np.maximum(left[picked[0]] @ right, 0)
    distances = np.empty((_trials(n_clusters), size), np.float32)
    total = np.empty(size, np.float64)
    for _ in range(n_clusters - 1):
        np.cumsum(closest, dtype=np.float64, out=total)
        if total[-1] <= 0:
            picked.append(int(rng.integers(size)))
            continue
        drawn = np.searchsorted(total, rng.random(len(distances)) * total[-1])
        drawn = np.minimum(drawn, size - 1)
        np.matmul(left[drawn], right, out=distances)  # squares and products by one multiplication
        np.minimum(distances, closest, out=distances)
        best = int(distances.sum(axis=1).argmin())
        picked.append(int(drawn[best]))
        np.maximum(distances[best], 0, out=closest)
    return np.asarray(picked)


def _trials(n_clusters: int) -> int:
    """Return how many rows greedy k-means++ draws a step: 2 + ln K, as its authors do."""
    return 2 + int(np.log(n_clusters))


def assign(vectors: NDArray[Any], centers: Vectors) -> tuple[Labels, Vectors]:
    """Return the nearest centre of each row and 1 - (nearest / second nearest distance)."""
    squares = np.einsum("ij,ij->i", centers, centers)
    labels = np.empty(len(vectors), dtype=np.int32)
    confidence = np.ones(len(vectors), dtype=np.float32)
    for rows in blocks(len(vectors), max(256, min(8192, 2**21 // max(1, len(centers))))):
        part = np.asarray(vectors[rows], dtype=np.float32)
        distances = squares - 2 * (part @ centers.T)
        labels[rows] = distances.argmin(axis=1)
        if len(centers) > 1:
            nearest = np.partition(distances, 1, axis=1)[:, :2] + np.einsum("ij,ij->i", part, part)[:, None]
            first, second = np.sqrt(np.maximum(nearest, 0)).T
            ratio = np.divide(first, second, out=np.ones_like(first), where=second > 0)
            confidence[rows] = np.clip(1 - ratio, 0, 1)
    return labels, confidence
