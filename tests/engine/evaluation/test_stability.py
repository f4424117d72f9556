"""Stability beside its definition: two overlapping subsamples, compared on the rows in both."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from engine.evaluation.agreement import ari_between
from engine.evaluation.stability import common_ari, stability, subsamples


def test_stability_is_one_for_a_fixed_rule_and_near_zero_for_a_random_one(rng):
    fixed = rng.integers(5, size=1000)
    assert stability(lambda rows: fixed[rows], 1000) == 1
    assert abs(stability(lambda rows: rng.integers(5, size=len(rows)), 1000)) < 0.05


def test_subsamples_are_sorted_and_overlap(rng):
    one, two = subsamples(1000, rng)
    assert len(one) == len(two) == 800 and (np.diff(one) > 0).all() and (np.diff(two) > 0).all()
    assert 600 <= len(np.intersect1d(one, two)) < 800
    assert [len(rows) for rows in subsamples(2, rng, number=3)] == [2, 2, 2]


def test_only_rows_in_both_count():
    rows = np.array([1, 3, 5, 7]), np.array([3, 4, 5, 7])
    assert common_ari(rows, (np.array([9, 0, 0, 1]), np.array([2, 8, 2, 0]))) == 1


def test_noise_is_a_cluster_of_either(rng):
    one, two = rng.integers(-1, 4, size=300), rng.integers(-1, 6, size=300)
    two = np.where(rng.random(300) < 0.6, one, two)
    assert ari_between(one, two) == pytest.approx(adjusted_rand_score(one, two), abs=1e-12)
    assert ari_between(two, one) == pytest.approx(ari_between(one, two), abs=1e-12)
    assert ari_between(one, one) == 1
