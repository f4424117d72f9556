"""Ridge selection: each step does what refitting would, and the choice beats what it is measured against."""

from __future__ import annotations

import numpy as np
import pytest

from engine.distillation.baselines import herding
from engine.distillation.ridge import ridge_rows, ridge_selection


@pytest.fixture
def data(rng):
    labels = np.repeat([0, 1, 2], [40, 30, 20])
    rows = (rng.normal(size=(3, 5))[labels] + rng.normal(size=(90, 5))).astype(np.float32)
    return rows, labels


def error_of(rows, labels, chosen, ridge):
    """Refit a ridge classifier and return its squared error on all rows, less the mean square of what is wanted."""
    wide = np.c_[rows, np.ones(len(rows))].astype(float)
    wanted = np.eye(3)[labels]
    weights = np.linalg.solve(wide[chosen].T @ wide[chosen] + ridge * np.eye(6), wide[chosen].T @ wanted[chosen])
    return ((wide @ weights - wanted) ** 2).sum(axis=1).mean() - 1


@pytest.mark.parametrize("ridge", [0.5, 2.0])
def test_the_error_is_that_of_a_classifier_fitted_anew(data, ridge):
    rows, labels = data
    chosen, error = ridge_rows(rows, labels, 3, ridge=ridge, seed=0)
    assert error == pytest.approx(error_of(rows, labels, chosen, ridge), rel=1e-9)


def test_no_exchange_of_one_image_would_be_better(data):
    rows, labels = data
    chosen, error = ridge_rows(rows, labels, 2, ridge=1.0, seed=0)
    for place, row in enumerate(chosen):
        for other in np.setdiff1d(np.flatnonzero(labels == labels[row]), chosen):
            swapped = chosen.copy()
            swapped[place] = other
            assert error_of(rows, labels, swapped, 1.0) >= error - 1e-12


def test_rows_are_distinct_class_by_class_and_better_than_herding(data):
    rows, labels = data
    chosen = ridge_selection(rows, labels, 4, ridge=1.0, starts=3, seed=0)
    assert labels[chosen].tolist() == [0] * 4 + [1] * 4 + [2] * 4 and len(np.unique(chosen)) == 12
    assert error_of(rows, labels, chosen, 1.0) < error_of(rows, labels, herding(rows, labels, 4), 1.0)


def test_more_tries_are_never_worse_and_a_seed_gives_the_same(data):
    rows, labels = data
    errors = [
        error_of(rows, labels, ridge_selection(rows, labels, 3, ridge=1.0, starts=starts, seed=5), 1.0)
        for starts in (1, 2, 8)
    ]
    assert errors == sorted(errors, reverse=True)
    again = [ridge_selection(rows, labels, 3, ridge=1.0, starts=2, seed=5) for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_a_class_smaller_than_asked_gives_all_it_has(data):
    rows, labels = data
    chosen, _ = ridge_rows(rows[36:], labels[36:], 6, ridge=1.0, seed=0)
    assert np.bincount(labels[36:][chosen]).tolist() == [4, 6, 6]
