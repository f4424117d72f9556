"""The bound is exact: against the textbook, against enumeration, and in its coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.audit import audit_sample, purity_bound


def test_59_checked_with_none_wrong_prove_95_percent():
    assert purity_bound(59, 0) == pytest.approx(0.05 ** (1 / 59))
    assert purity_bound(59, 0) >= 0.95 > purity_bound(58, 0)
    assert purity_bound(299, 0) >= 0.99 > purity_bound(298, 0)
    assert purity_bound(93, 1) >= 0.95 > purity_bound(92, 1)


def test_binomial_bound_is_where_the_tail_has_five_percent():
    for checked, wrong in ((10, 1), (100, 7), (500, 499)):
        bad = 1 - purity_bound(checked, wrong)
        tail = math.fsum(math.comb(checked, k) * bad**k * (1 - bad) ** (checked - k) for k in range(wrong + 1))
        assert tail == pytest.approx(0.05, rel=1e-6)


def test_hypergeometric_bound_against_every_possible_sample():
    """For each number of bad images in 8, count all samples of 3 with w or fewer bad ones."""
    samples = list(itertools.combinations(range(8), 3))
    for wrong in range(3):
        shares = [sum(sum(at < bad for at in sample) <= wrong for sample in samples) / len(samples) for bad in range(9)]
        most = max(bad for bad in range(9) if shares[bad] > 0.05 and bad >= wrong and 8 - bad >= 3 - wrong)
        assert purity_bound(3, wrong, population=8) == pytest.approx(1 - most / 8)


def test_bounds_at_the_edges():
    assert purity_bound(0, 0) == 0
    assert purity_bound(5, 5) == 0
    assert purity_bound(40, 0, population=40) == 1
    assert purity_bound(40, 4, population=40) == 0.9
    assert purity_bound(59, 0, population=10**6) == pytest.approx(purity_bound(59, 0), abs=1e-4)
    assert purity_bound(59, 0, population=100) > purity_bound(59, 0)


def test_the_bound_holds_in_at_least_95_of_100_audits(rng):
    bad = np.arange(300) < 30
    held = [
        purity_bound(50, int(bad[audit_sample(np.arange(300), 50, random_state=seed)].sum()), population=300) <= 0.9
        for seed in range(2000)
    ]
    assert np.mean(held) >= 0.94


@pytest.mark.parametrize("call", [(1, 2, None, 0.95), (5, 1, 4, 0.95), (5, -1, None, 0.95), (5, 1, None, 1.0)])
def test_impossible_audits_are_refused(call):
    checked, wrong, population, confidence = call
    with pytest.raises(InputError):
        purity_bound(checked, wrong, population=population, confidence=confidence)


def test_a_sample_is_drawn_evenly_and_the_same_again():
    rows = np.arange(100, 200)
    first = audit_sample(rows, 20, random_state=1)
    np.testing.assert_array_equal(first, audit_sample(rows, 20, random_state=1))
    assert len(set(first.tolist())) == 20
    assert set(audit_sample(rows, 500).tolist()) == set(rows.tolist())
    drawn = np.bincount(np.concatenate([audit_sample(rows, 20, random_state=s) for s in range(500)]) - 100)
    assert drawn.min() > 60
    assert drawn.max() < 145


def test_an_audit_goes_with_the_images_until_their_label_changes(history, contents, base):
    def now(run="a", labels=base):
        return history.state(contents, labels, run=run)

    event = history.audit(now(), 1, checked=4, wrong=1)
    assert event.sentence == "4 checked, 1 wrong: Cluster 1 is at least 75% pure"
    history.rename(now(), 1, "cat")
    np.testing.assert_array_equal(np.flatnonzero(now().bound == 0.75), [4, 5, 6, 7])
    np.testing.assert_array_equal(np.flatnonzero(now("b", np.zeros(12, int)).bound == 0.75), [4, 5, 6, 7])
    history.move(now(), np.array([0]), 1)
    history.reject(now(), np.array([4]))
    history.label(now(), np.array([5]), "dog")
    np.testing.assert_array_equal(np.flatnonzero(now().bound == 0.75), [6, 7])
    history.rename(now(), 1, "lynx")
    assert np.isnan(now().bound).all()
    history.jump_back(event.id)
    assert (now().bound[4:8] == 0.75).all()
    history.undo()
    assert np.isnan(now().bound).all()
    with pytest.raises(InputError):
        history.audit(now(), -1, checked=1, wrong=0)
    with pytest.raises(InputError):
        history.audit(now(), 1, checked=9, wrong=0)
