"""A person's work on another clustering: re-applied by images, disagreements listed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.labels.conflicts import total
from engine.labels.state import CONFIRMED, LOCKED, PLAIN, REJECTED

from .conftest import make_contents

N = 60


@pytest.fixture
def images():
    return make_contents(N)


@pytest.fixture
def old(history, images):
    """Six clusters of ten, as run "old"."""
    base = np.repeat(np.arange(6), 10)
    return lambda: history.state(images, base, run="old")


@pytest.fixture
def new(history, images):
    return lambda base: history.state(images, np.asarray(base), run="new")


def test_the_same_clustering_with_other_numbers_loses_nothing(history, images, old, new, rng):
    history.rename(old(), 0, "cat")
    history.merge(old(), [1, 2], label="dog")
    history.split(old(), np.array([30, 31]), labels=["owl"])
    history.move(old(), np.array([40, 41]), 0)
    history.reject(old(), np.array([50]))
    history.lock(old(), np.array([5]))
    before = old()
    numbers = rng.permutation(6)
    order = rng.permutation(N)
    after = history.state(images[order], numbers[np.repeat(np.arange(6), 10)][order], run="new")
    assert [before.labels[row] for row in order] == after.labels
    np.testing.assert_array_equal(before.status[order], after.status)
    together = before.cluster[order][:, None] == before.cluster[order][None]
    np.testing.assert_array_equal(together, after.cluster[:, None] == after.cluster[None])
    assert after.conflicts == []
    np.testing.assert_array_equal(before.cluster[order] == -1, after.cluster == -1)


def test_a_name_goes_to_the_cluster_where_its_images_are_the_majority(history, old, new):
    history.rename(old(), 0, "cat")
    state = new([7] * 8 + [3] * 2 + [7] * 5 + [3] * 45)  # 8 of 13 in cluster 7
    assert state.find(7).name == "cat"
    assert state.find(3).name is None
    assert state.labels[:15] == ["cat"] * 15, "the cluster's other images inherit its name"
    assert state.given_labels[10:15] == [None] * 5
    (conflict,) = state.conflicts
    assert (conflict.kind, conflict.label, conflict.clusters) == ("scattered", "cat", (3, 7))
    assert conflict.rows.tolist() == [8, 9]
    assert conflict.sentence == "2 images named cat lie outside the main cluster of that name."


def test_no_majority_no_name_but_the_images_keep_their_label(history, old, new):
    history.rename(old(), 0, "cat")
    state = new([0] * 20 + [1] * 40)  # 10 of 20 is not more than half
    assert state.find(0).name is None
    assert state.labels[:20] == ["cat"] * 10 + [None] * 10
    assert state.conflicts == []


def test_two_names_in_one_cluster_are_a_conflict(history, old, new):
    history.rename(old(), 0, "cat")
    history.rename(old(), 1, "dog")
    state = new([0] * 13 + [1] * 47)
    assert state.find(0).name == "cat"
    assert state.labels[10:13] == ["dog"] * 3
    (conflict,) = state.conflicts
    assert (conflict.kind, conflict.label, conflict.clusters) == ("label", "dog", (0,))
    assert conflict.rows.tolist() == [10, 11, 12]
    assert conflict.sentence == "3 images labelled dog lie in the cluster cat."
    history.move(state, np.array([10, 11, 12]), 1)
    assert new([0] * 13 + [1] * 47).conflicts == []


def test_merged_clusters_are_merged_again_or_listed(history, old, new):
    history.merge(old(), [0, 1])
    finer = new(np.repeat(np.arange(12), 5))
    assert len(np.unique(finer.cluster[:20])) == 1
    assert finer.conflicts == []
    mixed = history.state(finer.contents, [0] * 10 + [1] * 5 + [2] * 45, run="third")
    assert len(np.unique(mixed.cluster[:15])) == 1
    (conflict,) = mixed.conflicts
    assert conflict.kind == "merge"
    assert conflict.rows.tolist() == [15, 16, 17, 18, 19]


def test_a_split_is_done_again_where_the_parts_share_a_cluster(history, old, new):
    history.split(old(), np.arange(3))
    coarse = new(np.repeat(np.arange(3), 20))
    assert coarse.cluster[:3].tolist() == [3, 3, 3]
    assert set(coarse.cluster[3:20].tolist()) == {0}
    assert coarse.conflicts == []
    parted = history.state(coarse.contents, [5] * 3 + [0] * 57, run="third")
    assert parted.cluster[:3].tolist() == [5] * 3, "already apart"
    inverse = history.state(coarse.contents, [0] * 3 + [1] * 9 + [0] * 48, run="fourth")
    assert inverse.conflicts == []
    stray = history.state(coarse.contents, [0] * 4 + [1] * 56, run="fifth")
    assert stray.cluster[:4].tolist() == [0] * 4, "three of the part outnumber one of the rest"
    assert [(c.kind, c.rows.tolist()) for c in stray.conflicts] == [("apart", [3])]


def test_a_move_follows_the_images_of_its_target(history, old, new):
    history.move(old(), np.array([0, 1]), 3)
    state = new([9] * 30 + [4] * 10 + [8] * 20)
    assert state.cluster[:2].tolist() == [4, 4]
    assert state.status[:2].tolist() == [CONFIRMED] * 2
    lost = history.state(state.contents, [9] * 30 + [-1] * 10 + [8] * 20, run="third")
    assert lost.cluster[:2].tolist() == [9, 9]
    assert [(c.kind, c.rows.tolist()) for c in lost.conflicts] == [("target", [0, 1])]
    history.move(lost, np.array([0, 1]), 8)
    assert history.state(lost.contents, [9] * 30 + [-1] * 10 + [8] * 20, run="third").conflicts == []


def test_rejected_images_are_free_where_the_rest_of_their_cluster_is_not(history, old, new):
    history.rename(old(), 0, "cat")
    history.reject(old(), np.array([0, 1]))
    state = new([1, 0] + [0] * 8 + [1] * 50)
    assert state.cluster[:2].tolist() == [1, -1]
    assert state.status[:2].tolist() == [PLAIN, REJECTED]
    assert state.labels[:3] == [None, None, "cat"]


def test_what_was_rejected_out_of_noise_stays_rejected_everywhere(history, images, new):
    noise = history.state(images, np.full(N, -1), run="noise")
    history.reject(noise, np.array([0]))
    assert new([0] * N).status[0] == REJECTED


def test_locked_images_keep_their_label_and_new_work_passes_by(history, old, new):
    history.rename(old(), 0, "cat")
    history.lock(old(), np.array([0]))
    state = new([0] * N)
    assert state.labels[0] == "cat"
    assert state.status[0] == LOCKED
    history.rename(state, 0, "thing")
    assert new([0] * N).labels[:2] == ["cat", "thing"]


def test_clusters_called_different_are_listed_where_they_fell_together(history, old, new):
    history.apart(old(), 0, 1)
    assert new([3] * 10 + [4] * 50).apart == {(3, 4)}
    fell = new([3] * 25 + [4] * 35)
    assert fell.apart == frozenset()
    assert [(c.kind, c.clusters, len(c.rows)) for c in fell.conflicts] == [("apart", (3,), 10)]
    assert total(fell.conflicts) == 10


def test_work_on_two_runs_adds_up_in_time_order(history, old, new):
    base = np.repeat(np.arange(3), 20)
    history.rename(old(), 0, "cat")
    history.rename(new(base), 0, "pet")
    assert old().find(0).name == "pet"
    assert old().find(1).name == "pet"
    history.rename(old(), 1, "dog")
    assert new(base).labels[:20] == ["pet"] * 10 + ["dog"] * 10
    history.undo()
    assert new(base).find(0).name == "pet"


def test_images_that_left_the_data_set_are_counted_and_harmless(history, images, old):
    history.rename(old(), 0, "cat")
    state = history.state(images[5:], np.zeros(N - 5, np.int32), run="new")
    assert state.unknown == 5
    assert state.labels[:6] == ["cat"] * 5 + [None]
    empty = history.state(images[:0], np.zeros(0, np.int32), run="none")
    assert (len(empty), empty.clusters, empty.unknown) == (0, [], 10)


def test_ids_that_share_their_first_eight_bytes(history):
    ids = np.array([b"same8byt" + bytes([i] * 8) for i in range(1, 5)], "S16")
    state = history.state(ids, np.array([0, 0, 1, 1]))
    history.rename(state, 1, "cat")
    assert history.state(ids, np.array([0, 1, 2, 3])).labels == [None, None, "cat", "cat"]


@pytest.mark.parametrize("spread", [0, 1, 7])
def test_ids_that_are_no_hashes(history, spread):
    """Sequential ids crowd into a few buckets; every one is found all the same, and none that is not there."""
    ids = np.array([(start << (8 * spread)).to_bytes(16, "big") for start in range(1, 201)], "S16")
    base = np.arange(200) % 5
    history.rename(history.state(ids, base), 2, "cat")
    labels = history.state(ids[::-1], base[::-1], run="new").labels[::-1]
    assert [label == "cat" for label in labels] == (base == 2).tolist()
    assert history.state(ids[base != 2], base[base != 2], run="third").unknown == 40


def test_going_on_from_a_checkpoint_equals_a_replay_from_the_start(workspace, history, images, rng):
    base = np.repeat(np.arange(6), 10)
    watch = {run: lambda run=run: history.state(images, base, run=run) for run in ("old", "new")}
    for step in range(150):
        rows = rng.choice(N, 4, replace=False)
        kind = ("label", "move", "reject", "split")[step % 4]
        if kind == "label":
            history.label(watch["old"](), rows, f"label {step % 7}")
        elif kind == "move":
            target = int(rng.choice([cluster.id for cluster in watch["old"]().clusters]))
            if (watch["old"]().cluster[rows] != target).any():
                history.move(watch["old"](), rows, target)
        else:
            getattr(history, kind)(watch["old"](), rows)
        if step % 10 == 9:
            history.undo()
            if step % 20 == 9:
                history.redo()
            for run, shown in watch.items():
                fresh = type(history)(workspace, history.dataset).state(images, base, run=run)
                assert shown().same(fresh)


def test_names_given_by_one_step_are_followed_one_by_one(history, images, old, new):
    history.lock(old(), np.arange(10, 20))
    history.name(old(), {0: "cat", 1: "dog", 3: "owl"})
    state = new([0] * 8 + [1] * 2 + [2] * 20 + [3] * 6 + [4] * 4 + [5] * 20)
    assert [(conflict.label, conflict.clusters, conflict.rows.tolist()) for conflict in state.conflicts] == [
        ("cat", (0, 1), [8, 9]),
        ("owl", (3, 4), [36, 37, 38, 39]),
    ]


def test_images_taken_one_by_one_and_named_afterwards_stay_by_you_on_another_clustering(history, old, new):
    history.move(old(), np.array([40, 41]), 0)
    history.rename(old(), 0, "hat")
    history.rename(old(), 0, "cap")
    assert [old().labels[row] for row in (39, 40, 41)] == [None, "hat", "hat"]
    state = new([0] * 45 + [1] * 15)
    assert [state.labels[row] for row in (40, 41)] == ["hat", "hat"]
    assert state.source_counts["by you"] == old().source_counts["by you"] == 2
