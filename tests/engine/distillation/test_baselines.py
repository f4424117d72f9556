"""Baselines: class sizes, means, herding against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from engine.distillation import baselines


@pytest.fixture
def data(rng):
    labels = rng.integers(4, size=60)
    labels[labels == 3] = 7  # clusters need not be consecutive
    return rng.normal(size=(60, 5)).astype(np.float32), labels.astype(np.int64)


def test_random_rows_are_distinct_and_balanced(data):
    _, labels = data
    picked = baselines.random_rows(labels, 6, seed=0)
    kept = np.minimum(np.unique(labels, return_counts=True)[1], 6)
    assert len(np.unique(picked)) == len(picked) == kept.sum()
    assert (np.unique(labels[picked], return_counts=True)[1] == kept).all()
    assert (picked == baselines.random_rows(labels, 6, seed=0)).all()
    assert (picked != baselines.random_rows(labels, 6, seed=1)).any()


def test_a_small_class_gives_all_it_has(rng):
    labels = np.array([0] * 20 + [1] * 3)
    picked = baselines.random_rows(labels, 10, seed=0)
    assert sorted(picked[labels[picked] == 1]) == [20, 21, 22]
    rows = rng.normal(size=(23, 2)).astype(np.float32)
    assert (labels[baselines.herding(rows, labels, 10)] == 1).sum() == 3
    assert len(baselines.kmeans_centers(rows, labels, 10, seed=0)[0]) == 13


def test_centroids_are_class_means(data):
    rows, labels = data
    means, classes = baselines.centroids(rows, labels)
    assert classes.tolist() == [0, 1, 2, 7]
    for mean, own in zip(means, classes, strict=True):
        np.testing.assert_allclose(mean, rows[labels == own].mean(axis=0), atol=1e-6)


def test_one_center_per_class_is_the_centroid(data):
    rows, labels = data
    centers, own = baselines.kmeans_centers(rows, labels, 1, seed=0)
    means, classes = baselines.centroids(rows, labels)
    np.testing.assert_allclose(centers, means, atol=1e-5)
    assert (own == classes).all()


def test_herding_equals_trying_every_row(data):
    rows, labels = data
    got = baselines.herding(rows, labels, 4)
    expected: list[int] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label).tolist()
        mean, taken = rows[members].mean(axis=0), []
        for _ in range(4):
            left = [m for m in members if m not in taken]
            taken.append(min(left, key=lambda m: float(((mean - rows[[*taken, m]].mean(axis=0)) ** 2).sum())))
        expected += taken
    assert got.tolist() == expected
