"""What each action does on the clustering that it was made on."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.events import LabelHistory
from engine.labels.log import clean_label
from engine.labels.state import CONFIRMED, LOCKED, REJECTED

from .conftest import add_dataset, make_contents


@pytest.fixture
def now(history, contents, base):
    """The current state, replayed afresh."""
    return lambda: history.state(contents, base, run="a")


def test_without_events_the_state_is_the_clustering(now, base):
    state = now()
    np.testing.assert_array_equal(state.cluster, base)
    assert state.labels == [None] * 12
    assert [(c.id, c.size, c.name, c.origin) for c in state.clusters] == [
        (0, 4, None, "clustering"),
        (1, 4, None, "clustering"),
        (2, 3, None, "clustering"),
    ]
    assert state.conflicts == []
    assert state.version == 0


def test_rename_labels_the_members(history, now):
    event = history.rename(now(), 1, "  cat ")
    assert event.sentence == "4 images -> cat"
    state = now()
    assert state.labels == [None] * 4 + ["cat"] * 4 + [None] * 4
    assert state.find(1).name == "cat"
    assert state.title(1) == "cat"
    assert state.title(0) == "Cluster 0"
    assert state.version == event.id == history.version()
    history.rename(state, 1, "dog")
    assert now().labels[4:8] == ["dog"] * 4
    history.rename(now(), 1, None)
    assert now().find(1).name is None


def test_merge_keeps_the_named_cluster_and_labels_all(history, now):
    history.rename(now(), 2, "dog")
    event = history.merge(now(), [0, 2])
    state = now()
    assert event.sentence == "2 clusters merged: 7 images -> dog"
    assert state.rows(2).tolist() == [0, 1, 2, 3, 8, 9, 10]
    assert state.labels[:4] == ["dog"] * 4
    assert state.find(0) is None
    assert state.find(2).origin == "merged"


def test_merge_with_a_new_name_and_target(history, now):
    history.merge(now(), [0, 1, 2], into=0, label="pet")
    assert set(now().labels[:11]) == {"pet"}
    assert [cluster.id for cluster in now().clusters] == [0]


def test_split_makes_numbered_clusters_that_stay_when_others_are_undone(history, now):
    first = history.split(now(), np.array([0, 1]))
    second = history.split(now(), np.array([4, 5]), labels=["owl"])
    assert second.sentence == "2 images -> owl"
    assert now().rows(3).tolist() == [0, 1]
    assert now().rows(4).tolist() == [4, 5]
    assert now().find(4).name == "owl"
    history.undo(first.id)
    assert now().rows(4).tolist() == [4, 5]
    assert now().find(3) is None


def test_split_into_groups(history, now):
    history.split(now(), np.arange(4), np.array([-1, 0, 1, 1]), labels=["x", None])
    state = now()
    assert state.cluster[:4].tolist() == [0, 3, 4, 4]
    assert state.labels[:4] == [None, "x", None, None]


def test_move_takes_the_name_of_the_target(history, now):
    history.rename(now(), 1, "cat")
    event = history.move(now(), np.array([0, 11]), 1)
    state = now()
    assert event.sentence == "2 images -> cat"
    assert state.cluster[[0, 11]].tolist() == [1, 1]
    assert [state.labels[row] for row in (0, 11)] == ["cat", "cat"]
    assert state.status[0] == CONFIRMED
    history.move(now(), np.array([0]), 2)
    assert now().labels[0] is None


def test_move_by_name_finds_makes_or_renames(history, now):
    history.move(now(), np.array([0]), "cat")
    assert now().labels[0] == "cat"
    assert now().cluster[0] == 3
    history.move(now(), np.array([1]), "cat")
    assert now().cluster[1] == 3
    event = history.move(now(), np.arange(8, 11), "owl")
    assert event.kind == "rename"
    assert now().find(2).name == "owl"


def test_reject_puts_aside_without_a_label(history, now):
    history.rename(now(), 0, "cat")
    history.reject(now(), np.array([0, 1]))
    state = now()
    assert state.cluster[:2].tolist() == [-1, -1]
    assert state.status[:2].tolist() == [REJECTED] * 2
    assert state.labels[:4] == [None, None, "cat", "cat"]
    history.move(state, np.array([0]), 1)
    assert now().status[0] == CONFIRMED
    history.move(now(), np.array([0]), -1)
    assert now().status[0] == REJECTED


def test_locked_images_are_left_alone(history, now):
    history.rename(now(), 0, "cat")
    history.lock(now(), np.array([0, 1]))
    assert now().status[:2].tolist() == [LOCKED] * 2
    event = history.rename(now(), 0, "dog")
    assert event.count == 2
    assert now().labels[:4] == ["cat", "cat", "dog", "dog"]
    with pytest.raises(InputError, match="locked"):
        history.reject(now(), np.array([0, 1]))
    stale = now()
    history.lock(now(), np.array([4]))
    history.rename(stale, 1, "owl")  # the other window had not seen the lock
    assert now().labels[4:8] == [None, "owl", "owl", "owl"]
    history.unlock(now(), np.array([0]))
    history.rename(now(), 0, "dog")
    assert now().labels[:2] == ["dog", "cat"]


def test_label_and_confirm_single_images(history, now):
    history.label(now(), np.array([0, 4]), ["cat", "dog"])
    state = now()
    assert state.labels[0] == "cat"
    assert state.labels[4] == "dog"
    assert state.labels[1] is None, "one labelled image does not name its cluster"
    assert state.cluster[[0, 4]].tolist() == [0, 1]
    history.label(now(), np.arange(4), "cat")
    assert now().find(0).name is None
    assert now().find(0).confirmed == 4
    history.rename(now(), 1, "dog")
    history.confirm(now(), np.array([5, 0]))
    state = now()
    assert state.given_labels[5] == "dog"
    assert state.given_labels[0] == "cat"
    assert state.statuses[5] == "confirmed"
    assert state.find(1).name == "dog"
    assert state.find(1).confirmed == 2
    history.label(state, np.array([0]), None)
    assert now().labels[0] is None


def test_name_many_at_once_is_one_step(history, now):
    event = history.name(now(), {0: "cat", 2: "owl"}, source="clip")
    assert event.detail["source"] == "clip"
    assert now().labels == ["cat"] * 4 + [None] * 4 + ["owl"] * 3 + [None]
    history.undo()
    assert now().labels == [None] * 12


def test_apart_is_remembered_by_cluster(history, now):
    history.apart(now(), 2, 0)
    assert now().apart == {(0, 2)}


def test_images_that_come_later_take_the_cluster_name(history, now, contents, base):
    history.rename(now(), 1, "cat")
    more = np.concatenate([contents, make_contents(2, seed=5)])
    state = history.state(more, np.concatenate([base, [1, -1]]).astype(np.int32), run="a")
    assert state.labels[12] == "cat"
    assert state.given_labels[12] is None
    assert state.labels[13] is None


def test_history_lists_every_step_with_its_sentence(history, now):
    history.rename(now(), 0, "cat")
    history.reject(now(), np.array([4]))
    history.undo()
    events = history.events()
    assert [event.kind for event in events] == ["rename", "reject", "undo"]
    assert [event.effective for event in events] == [True, False, False]
    assert events[2].sentence == "Undone: 1 image -> unsorted"
    assert history.next_undo().id == events[0].id
    assert history.next_redo().id == events[1].id


def test_undo_redo_and_jump_back_are_whole_steps(history, now):
    states = [now()]
    made = []
    for label in ("a", "b", "c", "d"):
        made.append(history.rename(now(), 0, label))
        states.append(now())
    assert history.jump_back(made[0].id).sentence == "Went back 3 steps"
    assert now().same(states[1])
    assert history.redo().sentence == "Redone: 3 steps"
    assert now().same(states[4])
    history.undo()
    history.undo()
    assert now().same(states[2])
    history.redo(made[3].id)
    assert now().labels[0] == "d"
    history.undo(made[3].id)
    assert now().same(states[2])
    history.jump_back(0)
    assert now().same(states[0])


def test_a_new_action_ends_redo(history, now):
    history.rename(now(), 0, "a")
    history.undo()
    history.rename(now(), 1, "b")
    with pytest.raises(InputError, match="nothing to redo"):
        history.redo()


@pytest.mark.parametrize(
    "call",
    [
        lambda h, s: h.undo(),
        lambda h, s: h.redo(),
        lambda h, s: h.undo(99),
        lambda h, s: h.redo(99),
        lambda h, s: h.jump_back(99),
        lambda h, s: h.jump_back(0),
        lambda h, s: h.rename(s, 77, "cat"),
        lambda h, s: h.rename(s, -1, "cat"),
        lambda h, s: h.rename(s, 0, ""),
        lambda h, s: h.rename(s, 0, "x" * 10_000),
        lambda h, s: h.name(s, {77: "cat"}),
        lambda h, s: h.merge(s, [0]),
        lambda h, s: h.merge(s, [0, 0]),
        lambda h, s: h.merge(s, [0, 1], into=2),
        lambda h, s: h.split(s, np.arange(4)),
        lambda h, s: h.split(s, np.arange(4), np.array([0])),
        lambda h, s: h.split(s, np.array([0]), labels=["a", "b"]),
        lambda h, s: h.move(s, np.array([0]), 99),
        lambda h, s: h.move(s, np.array([0]), 0),
        lambda h, s: h.move(s, np.array([0, 0]), 1),
        lambda h, s: h.reject(s, np.array([], int)),
        lambda h, s: h.reject(s, np.array([12])),
        lambda h, s: h.reject(s, np.array([-1])),
        lambda h, s: h.reject(s, np.ones(3, bool)),
        lambda h, s: h.label(s, np.array([0, 1]), ["a"]),
        lambda h, s: h.unlock(s, np.array([0])),
        lambda h, s: h.apart(s, 0, 0),
        lambda h, s: h.apart(s, 0, 99),
        lambda h, s: h.state(make_contents(3), np.zeros(2, np.int32)),
        lambda h, s: h.state(make_contents(2), np.array([0, -2])),
        lambda h, s: h.state(np.repeat(make_contents(1), 2), np.zeros(2, np.int32)),
    ],
)
def test_what_makes_no_sense_is_refused_and_writes_nothing(history, now, call):
    with pytest.raises(InputError) as refused:
        call(history, now())
    assert refused.value.sentence.endswith(".")
    assert history.version() == 0


def test_an_unknown_data_set_is_told(workspace, now):
    with pytest.raises(InputError, match="no data set 'other'"):
        LabelHistory(workspace, "other").append("lock", {})


def test_histories_of_two_data_sets_do_not_mix(workspace, history, now, contents, base):
    other = LabelHistory(workspace, add_dataset(workspace, "other"))
    other.rename(other.state(contents, base, run="a"), 0, "dog")
    history.rename(now(), 0, "cat")
    other.undo()
    assert now().labels[0] == "cat"
    assert other.state(contents, base, run="a").labels[0] is None
    assert history.events()[0].before == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("قطة سوداء", "قطة سوداء"),
        ("👩‍👩‍👧 family", "👩‍👩‍👧 family"),
        ("cars/red\\blue", "cars/red\\blue"),
        ("a\n\tb", "a b"),
        ("e\u0301", "\u00e9"),
        ("=SUM(A1)", "=SUM(A1)"),
        ("x" * 200, "x" * 200),
    ],
)
def test_label_names(given, kept):
    assert clean_label(given) == kept


@pytest.mark.parametrize("given", ["", "   ", "\n", "x" * 201, "a\x00b", "a\x1bb", "\ud800"])
def test_label_names_refused(given):
    with pytest.raises(InputError):
        clean_label(given)


def test_a_removed_and_added_data_set_starts_anew(workspace, history, now):
    from engine.core.catalog import open_catalog

    history.rename(now(), 0, "cat")
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("DELETE FROM dataset")
    assert history.events() == []
    add_dataset(workspace)
    assert now().labels[0] is None


def test_rejected_images_that_are_split_off_are_rejected_no_more(history, now):
    history.reject(now(), np.array([0, 1]))
    history.split(now(), np.array([0, 1]), labels=["owl"])
    state = now()
    assert state.cluster[:2].tolist() == [3, 3]
    assert state.statuses[:2] == ["", ""]
    assert state.labels[:2] == ["owl", "owl"]


def test_labels_of_single_images_do_not_rename_their_cluster(history, now):
    history.rename(now(), 0, "cat")
    history.label(now(), np.array([0, 1, 2]), "dog")
    state = now()
    assert state.find(0).name is None, "neither the one cat nor the three single dogs name it"
    assert state.labels[:4] == ["dog", "dog", "dog", "cat"]
    history.rename(state, 0, "dog")
    assert now().find(0).name == "dog"


def test_clusters_that_were_told_apart_stay_so_while_most_of_them_is_the_same(history, now):
    history.apart(now(), 0, 1)
    history.merge(now(), [1, 2], into=2)  # four of seven
    assert now().apart == {(0, 2)}
    history.undo()
    history.split(now(), np.array([0, 1, 2]))
    assert now().apart == {(0, 1), (1, 3)}, "most of the first is in the new cluster; the rest keeps its number"


def test_a_cluster_that_is_mostly_something_else_is_asked_about_again(history, now):
    history.apart(now(), 2, 0)
    history.merge(now(), [1, 2], into=1)  # three of seven
    assert now().apart == frozenset()
