"""Who said a label: a person who looked, the name of a group, or a guess that was accepted."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.proposals import Proposals
from engine.labels.state import BY_YOU, CONFIRMED, PLAIN


@pytest.fixture
def now(history, contents, base):
    return lambda run="a", labels=base: history.state(contents, labels, run=run)


def guesses(view, rows, names, chance=0.75, **changed):
    chances = np.full(len(rows), chance, np.float32)
    options = {"origin": "propagation", "version": view.version, "seen": view.version} | changed
    return Proposals(np.array(rows), list(names), chances, chances, **options)


def test_naming_a_cluster_is_not_looking_at_its_images(history, now):
    history.rename(now(), 0, "cat")
    state = now()
    assert state.sources == ["cluster name"] * 4 + ["none"] * 8
    assert state.find(0).confirmed == 0
    history.confirm(state, np.array([1]))
    assert now().sources[:2] == ["cluster name", "by you"]
    assert now().source_counts == {"by you": 1, "cluster name": 3, "accepted guess": 0, "none": 8}


@pytest.mark.parametrize(
    "act",
    [
        lambda h, s, **o: h.rename(s, 0, "cat", **o),
        lambda h, s, **o: h.name(s, {0: "cat"}, **o),
        lambda h, s, **o: h.merge(s, [0, 1], label="cat", **o),
        lambda h, s, **o: h.split(s, np.arange(3), labels=["cat"], **o),
        lambda h, s, **o: h.move(s, np.arange(3), "cat", as_group=True, **o),
        lambda h, s, **o: h.label(s, np.arange(4), "cat", as_group=True, **o),
    ],
)
def test_a_group_action_keeps_what_a_person_said_unless_told(history, now, act):
    history.label(now(), np.array([0, 2]), ["dog", "cat"])
    assert now().by_you(np.arange(4)) == 2
    assert now().by_you(np.arange(4), "cat") == 1
    told = act(history, now()).sentence
    assert told.endswith("; 1 labelled by you keeps its label")
    assert now().labels[:3] == ["dog", "cat", "cat"]
    assert now().sources[:3] == ["by you", "cluster name", "by you"]
    history.undo()
    told = act(history, now(), include_yours=True).sentence
    assert "keep" not in told
    assert now().labels[:3] == ["cat"] * 3
    assert now().sources[0] == "cluster name"
    assert now().status[0] == PLAIN


def test_the_sentence_counts_both(history, now):
    history.label(now(), np.array([0, 1]), "dog")
    assert history.rename(now(), 0, "cat").sentence == "2 images -> cat; 2 labelled by you keep their label"
    assert now().find(0).name == "cat", "it was named, though half of its images are called otherwise"
    (conflict,) = now().conflicts
    assert conflict.sentence == "2 images labelled dog lie in the cluster cat."


def test_a_group_can_be_set_aside_without_what_a_person_labelled(history, now):
    history.label(now(), np.array([0]), "dog")
    told = history.reject(now(), np.arange(4), as_group=True).sentence
    assert told == "3 images -> unsorted; 1 labelled by you keeps its label"
    assert now().cluster[:4].tolist() == [0, -1, -1, -1]
    with pytest.raises(InputError, match="yourself"):
        history.reject(now(), np.array([0]), as_group=True)


@pytest.mark.parametrize(
    "act",
    [
        lambda h, s, **o: h.label(s, np.arange(2), "cat", as_group=True, **o),
        lambda h, s, **o: h.label(s, np.arange(2), None, as_group=True, **o),
        lambda h, s, **o: h.move(s, np.arange(2), 1, as_group=True, **o),
        lambda h, s, **o: h.reject(s, np.arange(2), as_group=True, **o),
    ],
)
def test_a_group_action_that_would_change_nothing_is_refused(history, now, act):
    history.label(now(), np.array([0, 1]), "dog")
    with pytest.raises(InputError, match="You labelled each of these images yourself") as refused:
        act(history, now())
    assert "Include them" in refused.value.hint
    act(history, now(), include_yours=True)
    assert now().labels[0] != "dog"


def test_a_window_that_had_not_seen_the_label_keeps_it_too(history, now):
    before = now()
    history.label(now(), np.array([0]), "dog")
    history.rename(before, 0, "cat")
    assert now().labels[:4] == ["dog", "cat", "cat", "cat"]


def test_picked_images_are_by_the_person(history, now):
    history.rename(now(), 1, "cat")
    history.move(now(), np.array([0, 11]), 1)
    history.move(now(), np.array([8]), "owl")
    history.move(now(), np.array([1]), 1, as_group=True)
    state = now()
    assert [state.sources[row] for row in (0, 11, 8, 1, 4)] == ["by you"] * 3 + ["cluster name"] * 2
    history.label(state, np.array([0]), None)
    assert now().sources[0] == "cluster name", "the image still lies in the cluster cat"


def test_an_image_that_was_validated_before_the_cluster_had_a_name(history, now):
    history.confirm(now(), np.array([0, 1]))
    assert now().sources[:2] == ["none"] * 2
    history.rename(now(), 0, "cat")
    assert now().sources[:3] == ["by you", "by you", "cluster name"]
    history.merge(now(), [0, 1], label="pet")
    assert now().labels[:3] == ["cat", "cat", "pet"]


def test_an_accepted_guess_keeps_its_probability(history, now):
    event = history.accept(now(), guesses(now(), [0, 4, 5], ["cat", "dog", "cat"]))
    assert event.sentence == "3 images -> 2 labels, accepted without a look"
    state = now()
    assert [state.labels[row] for row in (0, 4, 5)] == ["cat", "dog", "cat"]
    assert [state.sources[row] for row in (0, 4, 5)] == ["accepted guess"] * 3
    assert state.probability[[0, 4, 5]].tolist() == [0.75] * 3
    assert np.isnan(state.probability[[1, 2]]).all()
    assert state.status[0] == PLAIN
    history.confirm(state, np.array([0]))
    assert now().sources[0] == "by you"
    assert np.isnan(now().probability[0])
    history.undo()
    assert now().same(state)
    history.rename(now(), 0, "lynx")
    assert now().sources[0] == "cluster name"


def test_guesses_that_a_person_picked_are_by_the_person(history, now):
    history.accept(now(), guesses(now(), [0, 4], ["cat", "dog"]), np.array([1]), looked_at=True)
    state = now()
    assert state.labels[:5] == [None] * 4 + ["dog"]
    assert state.source[4] == BY_YOU
    assert state.status[4] == CONFIRMED
    assert np.isnan(state.probability).all()


def test_a_guess_never_overrules_a_person(history, now):
    view = now()
    offered = guesses(view, [0, 1], ["cat", "cat"])
    history.label(now(), np.array([0]), "dog")
    with pytest.raises(InputError, match="have changed"):
        history.accept(now(), offered)
    with pytest.raises(InputError, match="another window"):
        history.accept(view, offered)
    history.accept(now(), guesses(now(), [0, 1], ["cat", "cat"]))
    assert now().labels[:2] == ["dog", "cat"]
    with pytest.raises(InputError, match="None of these"):
        history.accept(now(), guesses(now(), [0], ["cat"]))


def test_stale_proposals_are_refused(history, now):
    with pytest.raises(InputError, match="Spread the labels again"):
        history.accept(now(), guesses(now(), [0], ["cat"], stale=True))


def test_events_without_a_marker_are_read_by_what_they_could_mean(history, now, contents):
    """Before sources were kept only Review gave several labels at once: guesses, of a probability nobody wrote down."""

    def old(kind, rows, **detail):
        return history.append(kind, {"run": "a", "sentence": ""} | detail, contents[rows].tobytes())

    old("rename", [0, 1, 2, 3], labels=[["cat", 4]], clusters=[0])
    old("label", [4, 5], labels=[["dog", 2]])
    old("label", [8, 9], labels=[["owl", 1], ["cat", 1]])
    old("move", [11], to=0, label="cat", clusters=[-1])
    old("lock", [3], labels=[["cat", 1]])
    state = now()
    assert state.sources == [
        *["cluster name"] * 4,
        *["by you"] * 2,
        *["none"] * 2,
        *["accepted guess"] * 2,
        *["none", "by you"],
    ]
    assert np.isnan(state.probability).all()
    assert state.statuses[8] == ""
    old("rename", [4, 5, 6, 7], labels=[["bat", 4]], clusters=[1])
    assert now().labels[4:8] == ["bat"] * 4, "as it was then"
    old("unlock", [3])
    assert now().statuses[3] == "", "it was locked, and nobody looked at it"


def test_names_proposed_for_other_clusters_are_refused(history, now):
    from engine.labels.proposals import clusters_digest

    made_on = clusters_digest(now())
    history.rename(now(), 1, "dog")
    history.name(now(), {0: "cat"}, made_on=made_on)
    history.split(now(), np.array([0]))
    with pytest.raises(InputError, match="Suggest names again"):
        history.name(now(), {0: "cat"}, made_on=made_on)


def test_a_name_for_all_says_how_many_accepted_guesses_it_replaces(history, now):
    history.accept(now(), guesses(now(), [0, 1, 4], ["cat", "dog", "dog"]))
    told = history.rename(now(), 0, "cat").sentence
    assert "; 1 accepted guess is replaced" in told
    assert now().labels[:2] == ["cat", "cat"]
    history.undo()
    assert "; 2 accepted guesses are replaced" in history.name(now(), {0: "cat", 1: "bird"}).sentence
    history.undo()
    assert "; 1 accepted guess is replaced" in history.merge(now(), [0, 1], label="dog").sentence
