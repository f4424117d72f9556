"""Coding rate and coding length against the formulas, written with determinants."""

import numpy as np
import pytest

from engine.geometry.coding import coding_length, coding_rate


def test_coding_rate_is_the_same_over_either_gram_matrix(rng):
    rows = rng.normal(size=(9, 4))
    assert coding_rate(rows) == pytest.approx(0.5 * np.log(np.linalg.det(np.eye(4) + 4 / 0.9 * rows.T @ rows)))
    wide = rng.normal(size=(4, 9))
    assert coding_rate(wide) == pytest.approx(0.5 * np.log(np.linalg.det(np.eye(9) + 9 / 0.4 * wide.T @ wide)))


def test_coding_length_of_subspaces_equals_the_formula(rng):
    rows, labels = rng.normal(size=(25, 4)), np.arange(25) % 3
    expected = 0.0
    for cluster in range(3):
        members = rows[labels == cluster]
        m = len(members)
        expected += (m + 4) / 2 * np.log(np.linalg.det(np.eye(4) + 4 / (0.1 * m) * members.T @ members))
        expected += m * -np.log(m / 25)
    assert coding_length(rows, labels) == pytest.approx(expected, rel=1e-10)


def test_coding_length_with_means_equals_the_formula(rng):
    points, labels = rng.normal(size=(40, 3)), rng.integers(0, 4, 40)
    expected = 0.0
    for cluster in range(4):
        members = points[labels == cluster]
        m, mean = len(members), members.mean(0)
        scatter = sum(np.outer(row - mean, row - mean) for row in members)
        expected += (m + 3) / 2 * np.log(np.linalg.det(np.eye(3) + 3 / (0.1 * m) * scatter))
        expected += 3 / 2 * np.log(1 + mean @ mean / 0.1) - m * np.log(m / 40)
    assert coding_length(points, labels, means=True) == pytest.approx(expected, rel=1e-10)
    wide = rng.normal(size=(5, 9))
    assert coding_length(wide, np.zeros(5, int), means=True) == pytest.approx(
        14 / 2 * np.linalg.slogdet(np.eye(9) + 9 / 0.5 * (wide - wide.mean(0)).T @ (wide - wide.mean(0)))[1]
        + 9 / 2 * np.log1p(wide.mean(0) @ wide.mean(0) / 0.1)
    )
