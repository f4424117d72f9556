"""Clusters that look like two kinds: on digits the merged ones are named, a single bell never is."""

import numpy as np
import pytest

from engine.clustering.kmeans import KMeans, KMeansSettings
from engine.core.vectors import unit
from engine.evaluation.mixed import APART, FEWEST, apart, two_kinds


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    points, truth = load_digits(return_X_y=True)
    return unit(points.astype(np.float32)), truth


def second_share(truth, chosen):
    counts = np.sort(np.bincount(truth[chosen], minlength=10))[::-1]
    return counts[1] / counts.sum()


def test_with_too_few_clusters_most_merged_ones_are_named_and_no_pure_one(digits):
    points, truth = digits
    labels = KMeans(KMeansSettings(n_clusters=6)).fit(points).labels_
    merged = {cluster for cluster in range(6) if second_share(truth, labels == cluster) >= 0.25}
    named = set(two_kinds(points, labels))
    assert len(merged) >= 4
    assert named <= merged and len(named) >= len(merged) - 1


@pytest.mark.parametrize("seed", range(3))
def test_with_enough_clusters_few_are_named(digits, seed):
    points, _ = digits
    labels = KMeans(KMeansSettings(n_clusters=10, random_state=seed)).fit(points).labels_
    assert len(two_kinds(points, labels)) <= 2


@pytest.mark.parametrize("shape", ["round", "long", "flat", "high"])
def test_a_single_bell_is_far_below_the_threshold(shape, rng):
    points = rng.normal(size=(300, 384 if shape == "high" else 8)).astype(np.float32)
    points *= {"long": np.r_[6, np.ones(7)], "flat": np.r_[np.ones(4), 0.01 * np.ones(4)]}.get(shape, 1)
    assert apart(points, rng) < APART - 0.08


def test_two_groups_in_one_cluster_are_found_by_their_own_number(rng):
    centers = unit(rng.normal(size=(6, 32)).astype(np.float32))
    groups = np.repeat(np.arange(6), 100)
    points = unit(centers[groups] + 0.08 * rng.normal(size=(600, 32)).astype(np.float32))
    labels = np.where(groups < 4, groups + 10, 20)  # the last two groups share cluster 20
    assert two_kinds(points, labels) == [20]
    assert two_kinds(points, groups) == []


def test_few_equal_and_unsorted_images_name_nothing(rng):
    points = rng.normal(size=(FEWEST - 1, 4)).astype(np.float32)
    assert two_kinds(points, np.zeros(len(points), int)) == []
    assert two_kinds(np.ones((100, 4), np.float32), np.zeros(100, int)) == []
    assert two_kinds(rng.normal(size=(100, 4)), np.full(100, -1)) == []
