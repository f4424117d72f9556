"""What to do next: the model beside slow references, and the order that a person would choose."""

from __future__ import annotations

import time

import numpy as np
import pytest

from engine.core.vectors import unit
from engine.geometry.prototypes import prototypes
from engine.labels.next_action import (
    PRIOR,
    PURITY_INTERCEPT,
    PURITY_SLOPE,
    Looked,
    Move,
    forecast,
    next_actions,
    separation,
    sure_enough,
    weigh,
)
from engine.labels.proposals import Proposals
from tests.engine.labels.conftest import make_contents
from tests.engine.labels.simulate.conftest import groups


def evidence(history, vectors, base, **known):
    state = history.state(make_contents(len(base)), np.asarray(base, np.int32))
    found = prototypes(vectors, state.cluster)
    return weigh(state, found, separation(vectors, found, state.cluster), **known)


def test_separation_is_the_simplified_silhouette():
    vectors, of = groups((30, 20, 10), spread=0.3)
    found = prototypes(vectors, of.astype(np.int32))
    x = np.asarray(vectors, np.float64)
    centers = np.stack([x[of == one].mean(axis=0) for one in range(3)])
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    for one, value in enumerate(separation(vectors, found, of.astype(np.int32))):
        leads = []
        for row in x[of == one]:
            far = 1 - centers @ row
            a, b = far[one], min(far[other] for other in range(3) if other != one)
            leads.append((b - a) / max(a, b))
        assert value == pytest.approx(np.mean(leads), abs=1e-5)


def test_purity_is_the_mean_of_a_beta_with_what_was_said(history):
    vectors, of = groups((30, 20, 10), spread=0.3)
    before = evidence(history, vectors, of)
    separated = separation(vectors, before.prototypes, before.state.cluster)
    history.label(before.state, np.array([0, 1, 2, 3]), ["cat", "cat", "cat", "dog"])
    after = evidence(history, vectors, of, looked={1: Looked(5, 1)})
    for at, (right, wrong) in enumerate(((3, 1), (5, 1), (0, 0))):
        mean = 1 / (1 + np.exp(-(PURITY_SLOPE * separated[at] + PURITY_INTERCEPT)))
        assert after.purity[at] == pytest.approx((PRIOR * mean + right) / (PRIOR + right + wrong))
    assert after.unseen.tolist() == [26, 20, 10]


def test_large_pure_clusters_are_named_first_and_an_odd_one_is_ticked_or_split(history):
    vectors, of = groups((200, 60, 60))
    base = np.where(of == 2, 1, of)  # two kinds in the second cluster
    seen = evidence(history, vectors, base, looked={1: Looked(12, 12), 0: Looked(24, 0)})
    moves = next_actions(seen)
    assert (moves[0].kind, moves[0].cluster) == ("name", 0)
    assert {move.kind for move in moves if move.cluster == 1} == {"validate", "split"}
    rates = [move.rate for move in moves]
    assert rates == sorted(rates, reverse=True)


def test_one_cluster_of_everything_is_not_named_before_it_was_split(history):
    vectors, of = groups((100, 60, 60))
    moves = next_actions(evidence(history, vectors, np.zeros_like(of)))
    assert moves[0].kind == "split" and "name" not in {move.kind for move in moves}


def test_what_is_labelled_and_looked_at_is_not_offered_again(history):
    vectors, of = groups((30, 20))
    state = history.state(make_contents(50), of.astype(np.int32))
    history.rename(state, 0, "cat")
    history.rename(history.state(make_contents(50), of.astype(np.int32)), 1, "dog")
    history.confirm(history.state(make_contents(50), of.astype(np.int32)), np.arange(50))
    assert next_actions(evidence(history, vectors, of)) == []


def test_guesses_are_accepted_only_as_far_as_the_precision_holds(history):
    vectors, of = groups((40, 40))
    base = np.where(of == 1, -1, 0)
    state = history.state(make_contents(80), base.astype(np.int32))
    history.rename(state, 0, "cat")
    history.confirm(history.state(make_contents(80), base.astype(np.int32)), np.arange(40))
    seen = evidence(history, vectors, base)
    chance = np.linspace(0.99, 0.4, 40).astype(np.float32)
    rows = np.arange(40, 80)
    proposals = Proposals(rows, ["cat"] * 40, chance, chance, "propagation", 0, seen.state.version)
    chosen = sure_enough(seen, proposals, target=0.9)
    total = 40 * 0.99 + chance[chosen].sum()
    assert total / (40 + len(chosen)) >= 0.9
    assert chosen.tolist() == list(range(len(chosen)))
    further = 40 * 0.99 + chance[: len(chosen) + 1].sum()
    assert further / (41 + len(chosen)) < 0.906 or chance[len(chosen)] < 0.5


def test_the_forecast_takes_the_best_first_and_each_cluster_once():
    moves = [
        Move("name", 1, gain=50, clicks=2),
        Move("validate", 1, gain=60, clicks=10),
        Move("split", 2, gain=40, clicks=8),
    ]
    assert forecast(moves, 2) == 50
    assert forecast(moves, 6) == 50 + 20
    assert forecast(moves, 100) == 90
    assert forecast([], 100) == 0


def test_many_images_and_clusters_are_weighed_at_once(history):
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(20_000, 32)).astype(np.float32))
    seen = evidence(history, vectors, np.arange(20_000) % 1000)
    began = time.process_time()
    next_actions(seen)
    assert time.process_time() - began < 5  # loose: it is measured in benchmarks
