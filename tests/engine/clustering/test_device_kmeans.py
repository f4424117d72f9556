"""The rounds of k-means on a device, run on the CPU, beside float64 written from the definition and beside FAISS."""

from __future__ import annotations

import numpy as np
import pytest

from engine.clustering import device_kmeans, kmeans
from engine.clustering.device_kmeans import rounds
from engine.clustering.kmeans import assign, train_kmeans
from engine.core.vectors import unit
from engine.evaluation.agreement import ari


def blobs(count=600, width=6, clusters=5, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % clusters
    return (4 * rng.normal(size=(clusters, width))[truth] + rng.normal(size=(count, width))).astype(np.float32), truth


def reference(rows, start, spherical, count):
    """Lloyd's rounds in float64; returns centres and the cost of the last assignment."""
    rows, centers = rows.astype(np.float64), start.astype(np.float64)
    for _ in range(count):
        distances = ((rows[:, None] - centers[None]) ** 2).sum(axis=2)
        nearest = distances.argmin(axis=1)
        cost = distances.min(axis=1).sum()
        if spherical:
            cost = -(rows * centers[nearest]).sum()
        centers = np.stack([rows[nearest == one].mean(axis=0) for one in range(len(centers))])
        if spherical:
            centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    return centers, cost


@pytest.mark.parametrize("spherical", [True, False])
def test_its_rounds_are_lloyds(monkeypatch, spherical):
    monkeypatch.setattr(device_kmeans, "_CELLS", 5 * 70)  # several blocks
    monkeypatch.setattr(device_kmeans, "_STILL", 0.0)
    rows, _ = blobs()
    rows = unit(rows) if spherical else rows
    start = rows[:5]
    for count in (1, 2, 5):
        centers, cost = rounds(rows, start, spherical=spherical, max_iter=count, device="cpu")
        exact, exact_cost = reference(rows, start, spherical, count)
        assert np.abs(centers - exact).max() < 1e-4
        assert cost == pytest.approx(exact_cost, rel=1e-4)


@pytest.mark.parametrize("spherical", [True, False])
def test_a_centre_that_no_row_is_nearest_to_begins_anew(spherical):
    rows, _ = blobs(clusters=4)
    rows = unit(rows) if spherical else rows
    start = np.vstack([rows[:3], -50 * np.ones((1, rows.shape[1]), np.float32)])
    start = unit(start) if spherical else start
    centers, _ = rounds(rows, start, spherical=spherical, max_iter=25, device="cpu")
    assert len(np.unique(assign(rows, centers)[0])) == 4


@pytest.mark.parametrize("spherical", [True, False])
def test_it_is_as_good_as_faiss_and_the_same_seed_gives_the_same(monkeypatch, spherical):
    rows, truth = blobs(2000, 16, 12)
    rows = unit(rows) if spherical else rows
    plain = train_kmeans(rows, 12, spherical=spherical, n_init=3)
    monkeypatch.setattr(kmeans, "accelerator", lambda wanted="auto": "cpu")
    first, second = (train_kmeans(rows, 12, spherical=spherical, n_init=3) for _ in range(2))
    assert np.array_equal(first, second)
    assert ari(truth, assign(rows, first)[0]) >= ari(truth, assign(rows, plain)[0]) - 0.01


def test_more_clusters_than_distinct_rows():
    rows = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    centers, _ = rounds(rows, rows[:6], spherical=True, max_iter=5, device="cpu")
    assert np.isfinite(centers).all()
