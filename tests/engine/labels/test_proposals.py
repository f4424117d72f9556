"""Proposals hold as long as the labels that they were made from, and offer exactly what can be accepted."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.files import save_arrays
from engine.geometry.neighbors import NeighborGraph
from engine.labels.proposals import Spread, is_stale, open_proposals, spread, spreads_quickly


@pytest.fixture
def now(history, contents, base):
    return lambda: history.state(contents, base, run="a")


@pytest.fixture
def graph(contents):
    """Images in a ring, each beside the next."""
    n = len(contents)
    indices = np.stack([(np.arange(n) + step) % n for step in (1, -1, 2, -2)], axis=1).astype(np.int32)
    return NeighborGraph(indices, np.full((n, 4), 0.9, np.float16))


@pytest.fixture
def made(history, now, graph):
    history.label(now(), np.array([0, 6]), ["cat", "dog"])
    return spread(graph, now())


def test_everything_open_is_offered_once(history, now, made):
    found = open_proposals(now(), made)
    assert not found.stale
    assert found.rows.tolist() == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert set(found.names) == {"cat", "dog"}
    history.lock(now(), np.array([1]))
    assert 1 not in open_proposals(now(), made).rows


def test_what_is_offered_is_what_is_labelled(history, now, made):
    found = open_proposals(now(), made)
    sure = found.at_least(float(np.median(found.probability)))
    event = history.accept(now(), found, sure)
    assert event.count == len(sure)
    state = now()
    assert (state.source == 3).sum() == len(sure)
    np.testing.assert_allclose(state.probability[found.rows[sure]], found.probability[sure], atol=5e-4)
    rest = open_proposals(state, made)
    assert not rest.stale, "accepted guesses do not spread again"
    assert len(rest) == len(found) - len(sure)


@pytest.mark.parametrize("change", ["undo", "label", "rename", "unlabel"])
def test_undo_and_new_labels_make_proposals_stale(history, now, made, change):
    if change == "undo":
        history.undo()
    elif change == "label":
        history.label(now(), np.array([3]), "owl")
    elif change == "rename":
        history.rename(now(), 2, "owl")
    else:
        history.label(now(), np.array([0]), None)
    assert is_stale(now(), made)
    found = open_proposals(now(), made)
    assert found.stale
    assert len(found) == 0
    history.undo() if change != "undo" else history.redo()
    assert not is_stale(now(), made), "the labels are as they were"


def test_agreeing_with_a_proposal_leaves_the_others_and_disagreeing_does_not(history, now, made):
    found = open_proposals(now(), made)
    history.accept(now(), found, np.array([0, 1]), looked_at=True)
    rest = open_proposals(now(), made)
    assert not rest.stale
    assert rest.rows.tolist() == found.rows[2:].tolist()
    other = "dog" if rest.names[0] == "cat" else "cat"
    history.label(now(), rest.rows[:1], other)
    assert open_proposals(now(), made).stale


@pytest.fixture
def named(history, now, graph):
    """Every cluster has a name; three images of the first are something else, says the person."""
    for cluster, name in enumerate(("cat", "dog", "owl")):
        history.rename(now(), cluster, name)
    history.label(now(), np.array([0, 2, 3]), "fox")
    return spread(graph, now())


def test_labels_by_a_person_spread_through_named_clusters(history, now, named):
    state = now()
    found = open_proposals(state, named)
    offered = dict(zip(found.rows.tolist(), found.names, strict=True))
    assert offered[1] == "fox", "between images that were looked at, under a name that was given to the cluster"
    assert not set(offered) & {0, 2, 3}, "the person labelled these"
    for row, name in offered.items():
        assert state.labels[row] != name, "only where the name is another one"
    assert offered[11], "without a label"
    history.accept(now(), found)
    after = now()
    assert after.sources[1] == "accepted guess"
    assert after.probability[1] == pytest.approx(found.probability[found.rows.tolist().index(1)], abs=5e-4)
    rest = open_proposals(after, named)
    assert not rest.stale and len(rest) == 0


@pytest.mark.parametrize("change", ["rename", "undo", "reject", "split"])
def test_a_name_that_changes_makes_proposals_stale(history, now, named, change):
    if change == "rename":
        history.rename(now(), 1, "wolf")
    elif change == "undo":
        history.undo(history.effective()[0][0].id)
    elif change == "reject":
        history.reject(now(), np.array([5]))
    else:
        history.split(now(), np.array([4, 5]))
    assert open_proposals(now(), named).stale


def test_what_says_nothing_about_labels_leaves_them_valid(history, now, made):
    history.split(now(), np.array([1, 2]))
    history.apart(now(), 0, 1)
    assert not is_stale(now(), made)


def test_a_file_keeps_all_and_an_older_one_is_stale(now, made, tmp_path):
    made.save(tmp_path / "spread.npz")
    again = Spread.read(tmp_path / "spread.npz")
    assert (again.version, again.run, again.names) == (made.version, made.run, made.names)
    assert again.given.tolist() == made.given.tolist()
    assert again.presumed.tolist() == made.presumed.tolist()
    assert open_proposals(now(), again).names == open_proposals(now(), made).names
    old = {"contents": made.contents, "labels": made.labels, "confidence": made.confidence, "margin": made.margin}
    save_arrays(tmp_path / "old.npz", **old, names=np.array(made.names))
    assert open_proposals(now(), Spread.read(tmp_path / "old.npz")).stale
    save_arrays(
        tmp_path / "old.npz", **old, names=np.array(made.names), given=made.given, version=made.version, run="b"
    )
    assert open_proposals(now(), Spread.read(tmp_path / "old.npz")).stale


def test_small_sets_spread_at_once(now):
    assert spreads_quickly(now())
