"""The generalisation score: the closed form against refits of every fold, its zero and its one."""

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.core.vectors import unit
from engine.evaluation.generalisation import LinearProbe, generalisation


def blobs(n_clusters, each, dimension, spread, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(n_clusters, dimension))
    labels = np.repeat(np.arange(n_clusters), each)
    return unit(centers[labels] + spread * rng.normal(size=(len(labels), dimension))).astype(np.float32), labels


@pytest.mark.parametrize("dimension", [6, 80])
def test_every_fold_is_predicted_as_a_classifier_fitted_without_it_would(dimension):
    vectors, labels = blobs(4, 15, dimension, 1.0)
    probe = LinearProbe(vectors, folds=5, ridge=2.0)
    x = vectors.astype(np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    targets = np.eye(4)[labels]
    expected = np.empty_like(targets)
    for fold in probe.folds:
        others = np.setdiff1d(np.arange(len(x)), fold)
        design = np.column_stack([np.ones(len(x)), x])
        penalty = 2.0 * np.eye(dimension + 1)
        penalty[0, 0] = 0
        weights = np.linalg.solve(design[others].T @ design[others] + penalty, design[others].T @ targets[others])
        expected[fold] = design[fold] @ weights
    assert targets - probe._left_out(targets) == pytest.approx(expected, abs=1e-8)
    assert probe.measure(labels).accuracy == pytest.approx(np.mean(expected.argmax(axis=1) == labels))


def test_true_groups_are_learned_and_random_ones_are_not():
    vectors, labels = blobs(5, 80, 20, 0.4)
    assert generalisation(vectors, labels).score > 0.9
    for n_clusters in (2, 5, 20):
        random = np.random.default_rng(1).integers(n_clusters, size=len(labels))
        assert abs(generalisation(vectors, random).score) < 0.12


def test_noise_counts_neither_way_and_names_do_not_matter():
    vectors, labels = blobs(3, 60, 10, 0.3)
    noisy = labels.copy()
    noisy[::7] = -1
    assert generalisation(vectors, noisy).score > 0.9
    renamed = np.array([7, 2, 40])[labels]
    assert generalisation(vectors, renamed).accuracy == generalisation(vectors, labels).accuracy


def test_a_sample_stands_for_all():
    vectors, labels = blobs(6, 500, 16, 0.8)
    probe = LinearProbe(vectors, sample=800)
    assert len(probe.rows) == 800
    assert probe.measure(labels).score == pytest.approx(generalisation(vectors, labels, sample=3000).score, abs=0.06)


@pytest.mark.parametrize("labels", [np.zeros(30, int), np.full(30, -1)])
def test_one_cluster_or_none_scores_nothing(labels):
    assert generalisation(np.random.default_rng(0).normal(size=(30, 4)), labels).score == 0


def test_one_image_is_refused():
    with pytest.raises(InputError, match="at least two"):
        generalisation(np.ones((1, 4)), np.zeros(1, int))


def test_constant_columns_and_duplicates_do_no_harm():
    vectors, labels = blobs(3, 40, 8, 0.3)
    vectors = np.repeat(np.column_stack([vectors, np.ones(len(vectors))]), 3, axis=0)
    assert generalisation(vectors, np.repeat(labels, 3)).score > 0.9
