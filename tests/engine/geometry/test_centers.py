"""Sums and means per cluster beside a slow reference in float64."""

import numpy as np

from engine.core.vectors import unit
from engine.geometry.centers import cluster_means, cluster_sums, mean_directions


def test_sums_means_and_directions_are_those_of_a_loop(rng):
    rows = rng.standard_normal((20_000, 6)).astype(np.float32)
    labels = rng.integers(-1, 5, size=len(rows)).astype(np.int32)
    sums = np.stack([rows[labels == k].astype(np.float64).sum(axis=0) for k in range(5)])
    np.testing.assert_allclose(cluster_sums(rows, labels, 5), sums, rtol=1e-12)
    counts = np.bincount(labels[labels >= 0])
    np.testing.assert_allclose(cluster_means(rows, labels, 5), sums / counts[:, None], rtol=1e-5, atol=1e-8)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    np.testing.assert_allclose(mean_directions(rows, labels, 5), sums / lengths, atol=1e-6)
    scaled = np.stack([unit(rows)[labels == k].astype(np.float64).sum(axis=0) for k in range(5)])
    np.testing.assert_allclose(cluster_sums(rows, labels, 5, normalise=True), scaled, rtol=1e-9)


def test_an_empty_cluster_is_zero_and_all_noise_gives_no_rows():
    rows = np.ones((3, 2), np.float32)
    assert cluster_means(rows, np.array([0, 0, 2]), 4).tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]
    assert mean_directions(rows, np.full(3, -1), 0).shape == (0, 2)
