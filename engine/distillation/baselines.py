"""What a distilled set must beat: random images, class centroids, k-means in each class, herding."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import Vectors
from engine.distillation.prepare import Indices
from engine.geometry.centers import cluster_means


def random_rows(labels: NDArray[np.int64], images_per_class: int, *, seed: int) -> Indices:
    """Choose rows of each class at random, without repetition.

    Returns
    -------
    (m,) int64, class by class.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    grouped = order[np.argsort(labels[order], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return grouped[rank < images_per_class].astype(np.int64)


def centroids(rows: Vectors, labels: NDArray[np.int64], images_per_class: int = 1) -> tuple[Vectors, NDArray[np.int64]]:
    """Return each class's mean, ((m, d) float32, (m,) classes), as often as images are wanted and there."""
    classes, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    times = np.minimum(counts, images_per_class)
    return cluster_means(rows, own, len(classes)).repeat(times, axis=0), classes.astype(np.int64).repeat(times)


def kmeans_centers(
    rows: Vectors, labels: NDArray[np.int64], images_per_class: int, *, seed: int
) -> tuple[Vectors, NDArray[np.int64]]:
    """Return images_per_class k-means centres of each class, ((m, d) float32, (m,) classes)."""
    if images_per_class == 1:
        return centroids(rows, labels)
    from scipy.cluster.vq import kmeans2

    rng = np.random.default_rng(seed)
    centers: list[Vectors] = []
    own: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = rows[labels == label]
        count = min(images_per_class, len(members))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # equal rows: a centre without any keeps its place
            found = kmeans2(members, count, iter=30, minit="++", rng=rng)[0]
        centers.append(found.astype(np.float32))
        own.append(np.full(count, label, dtype=np.int64))
    return np.concatenate(centers), np.concatenate(own)


def herding(rows: Vectors, labels: NDArray[np.int64], images_per_class: int) -> Indices:
    """Choose real rows whose running mean stays nearest to the class mean (Welling, 2009).

    Returns
    -------
    (m,) int64, class by class, in the order chosen.
    """
    chosen: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        own = rows[members].astype(np.float64)
        mean, total = own.mean(axis=0), np.zeros(own.shape[1])
        lengths, taken = (own**2).sum(axis=1), np.zeros(len(own), dtype=bool)
        for count in range(1, min(images_per_class, len(own)) + 1):
            # |mean - (total + x) / count|^2 up to what all x share
            score = lengths / count**2 - 2 / count * (own @ (mean - total / count))
            score[taken] = np.inf
            best = int(score.argmin())
            taken[best] = True
            total += own[best]
            chosen.append(members[best : best + 1])
    return np.concatenate(chosen).astype(np.int64)
