"""The bound is exact: against the textbook, against enumeration, and in its coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.audit import audit_sample, purity_bound
from engine.labels.state import REJECTED


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


@pytest.fixture
def now(history, contents, base):
    return lambda run="a", labels=base: history.state(contents, labels, run=run)


def covered(state, purity):
    return np.flatnonzero(np.isclose(state.bound, purity)).tolist()


def test_an_audit_covers_its_images_until_their_label_changes(history, now):
    event = history.audit(now(), 1, shown=[4, 5], wrong=[])
    assert event.sentence == "2 checked, 0 wrong: Cluster 1 is at least 50% pure"
    assert event.detail["most_wrong"] == 2
    history.rename(now(), 1, "cat")
    assert covered(now(), 0.5) == [4, 5, 6, 7]
    assert covered(now("b", np.zeros(12, int)), 0.5) == [4, 5, 6, 7]
    history.rename(now(), 1, "lynx")
    assert np.isnan(now().bound).all()
    history.jump_back(event.id)
    assert covered(now(), 0.5) == [4, 5, 6, 7]
    history.undo()
    assert np.isnan(now().bound).all()


def test_what_was_found_wrong_is_not_covered_and_counts_no_more(history, now):
    event = history.audit(now(), 1, shown=[4, 5, 6, 7], wrong=[6])
    assert event.sentence == "4 checked, 1 wrong: Cluster 1 is at least 100% pure without it; set aside"
    state = now()
    assert covered(state, 1) == [4, 5, 7]
    assert np.isnan(state.bound[6])
    assert (state.cluster[6], state.labels[6], state.sources[6]) == (-1, None, "none")
    assert state.status[6] == REJECTED
    history.reject(state, np.array([6]))
    assert covered(now(), 1) == [4, 5, 7]


def test_the_wrong_ones_may_all_be_among_what_is_left(history, contents):
    """Twenty images, at most four wrong: ten of them leave, so four of ten may be wrong; then nothing is proven."""
    from .conftest import make_contents

    many = make_contents(20)
    base = np.zeros(20, np.int32)
    now = lambda: history.state(many, base, run="a")  # noqa: E731
    history.rename(now(), 0, "cat")
    event = history.audit(now(), 0, shown=np.arange(8))
    most = event.detail["most_wrong"]
    assert 0 < most < 10
    assert now().bound[0] == pytest.approx(1 - most / 20)
    history.split(now(), np.arange(10), labels=["dog"])
    assert now().bound[15] == pytest.approx(1 - most / 10)
    assert np.isnan(now().bound[:10]).all()
    history.split(now(), np.arange(10, 20 - most), labels=["owl"])
    assert np.isnan(now().bound).all()


def test_hand_labels_are_not_counted_and_not_bounded(history, now):
    history.rename(now(), 1, "cat")
    history.label(now(), np.array([4, 5]), ["cat", "dog"])
    assert now().to_audit(1).tolist() == [6, 7]
    event = history.audit(now(), 1, shown=[4, 6, 7], wrong=[])
    assert event.sentence == "2 checked, 0 wrong: cat is at least 100% pure, 2 images labelled by you not counted"
    assert covered(now(), 1) == [6, 7]
    told = history.confirm(now(), np.array([6])).sentence
    assert told == "1 image confirmed; the audit no longer covers 1 image"
    assert covered(now(), 1) == [7]
    history.label(now(), np.array([7]), "cat")
    with pytest.raises(InputError, match="nothing to audit"):
        history.audit(now(), 1, shown=[4, 5])


def test_merging_and_moving_limit_or_drop_the_seal_and_say_so(history, now):
    history.rename(now(), 1, "cat")
    history.audit(now(), 1, shown=[4, 5, 6, 7])
    told = history.move(now(), np.array([0]), 1).sentence
    assert told == "1 image -> cat; the audit of cat covers only 4 images of before"
    assert covered(now(), 1) == [4, 5, 6, 7]
    told = history.merge(now(), [0, 1]).sentence
    assert told == "2 clusters merged: 8 images -> cat; the audit of cat covers only 4 images of before"
    assert covered(now(), 1) == [4, 5, 6, 7]
    history.rename(now(), 2, "dog")
    told = history.merge(now(), [1, 2], into=2).sentence
    assert told.startswith("2 clusters merged: 10 images -> dog; 1 labelled by you keeps its label")
    assert told.endswith("; the audit no longer covers 4 images")
    assert np.isnan(now().bound).all()


@pytest.mark.parametrize(
    ("cluster", "answers"),
    [
        (-1, {"shown": [11]}),
        (1, {"shown": []}),
        (1, {"shown": [4, 8]}),
        (1, {"shown": [4], "wrong": [5]}),
        (1, {"shown": [4, 4]}),
        (9, {"shown": [4]}),
    ],
)
def test_an_audit_needs_an_answer_for_each_picture(history, now, cluster, answers):
    with pytest.raises(InputError):
        history.audit(now(), cluster, **answers)
    assert history.version() == 0


def test_an_audit_of_before_the_answers_were_kept_is_read(history, now, contents):
    detail = {"clusters": [1], "checked": 4, "wrong": 1, "confidence": 0.95, "bound": 0.75, "label": None, "run": "a"}
    history.append("audit", detail, contents[4:8].tobytes())
    assert covered(now(), 0.75) == [4, 5, 6, 7]
    history.reject(now(), np.array([4]))
    assert covered(now(), 2 / 3) == [5, 6, 7]
