"""Parts never separate a group, and each label has its share."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import InputError
from engine.export.split import lacking, near_duplicate_groups, split_groups
from engine.geometry.neighbors import NeighborGraph


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 12), st.sampled_from(["a", "b", None])), max_size=80),
    st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (0.0, 0.3, 0.7)]),
    st.integers(0, 3),
)
def test_no_group_is_separated_and_parts_without_a_share_stay_empty(images, fractions, seed):
    groups = np.array([group for group, _ in images], np.int64)
    labels = [label for _, label in images]
    parts = split_groups(groups, labels, fractions=fractions, random_state=seed)
    assert len(parts) == len(images)
    for group in set(groups.tolist()) - {-1}:
        assert len({part for part, other in zip(parts, groups, strict=True) if other == group}) == 1
    for name, share in zip(("train", "val", "test"), fractions, strict=True):
        assert share > 0 or name not in parts
    assert parts == split_groups(groups, labels, fractions=fractions, random_state=seed)


def test_single_images_fill_every_labels_share_to_the_image(rng):
    labels = ["a"] * 700 + ["b"] * 290 + [None] * 10
    parts = split_groups(np.arange(1000), labels)
    for label, expected in (("a", (560, 70, 70)), ("b", (232, 29, 29)), (None, (8, 1, 1))):
        found = Counter(part for part, other in zip(parts, labels, strict=True) if other == label)
        assert tuple(found[name] for name in ("train", "val", "test")) == expected


def test_groups_do_not_spoil_the_shares(rng):
    groups = np.sort(rng.integers(0, 600, 2000))
    labels = [("a", "b", "c")[group % 3] for group in groups.tolist()]
    parts = np.array(split_groups(groups, labels, fractions=(0.7, 0.2, 0.1)))
    for label in "abc":
        mine = parts[np.array(labels) == label]
        for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
            assert np.mean(mine == name) == pytest.approx(share, abs=0.02)


def test_another_seed_gives_other_parts():
    one, two = (split_groups(np.arange(500), ["a"] * 500, random_state=seed) for seed in (0, 1))
    assert one != two
    assert Counter(one) == Counter(two)


def test_near_duplicates_are_chained():
    similarities = np.array([[0.99, 0.2], [0.99, 0.96], [0.96, 0.1], [0.94, 0.1], [0.94, 0.3]], np.float32)
    indices = np.array([[1, 2], [0, 2], [1, 3], [4, 2], [3, 0]], np.int32)
    graph = NeighborGraph(indices, similarities)
    groups = near_duplicate_groups(graph, threshold=0.95)
    assert groups[0] == groups[1] == groups[2]
    assert len({groups[0], groups[3], groups[4]}) == 3
    assert len(set(near_duplicate_groups(graph, threshold=0.9).tolist())) == 2


@pytest.mark.parametrize("fractions", [(0.5, 0.1, 0.1), (1.2, -0.1, -0.1)])
def test_shares_that_do_not_add_up_are_refused(fractions):
    with pytest.raises(InputError, match="add up to 1"):
        split_groups(np.arange(3), ["a"] * 3, fractions=fractions)
    with pytest.raises(InputError):
        split_groups(np.arange(3), ["a"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from("abcdef")), min_size=1, max_size=70),
    st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5, 0.0), (0.98, 0.01, 0.01)]),
    st.integers(0, 3),
)
def test_a_class_is_in_every_part_or_whole_in_train(images, fractions, seed):
    groups = np.array([group for group, _ in images])
    labels = [label for _, label in images]
    parts = split_groups(groups, labels, fractions=fractions, random_state=seed)
    used = [part for part, share in zip(("train", "val", "test"), fractions, strict=True) if share]
    for label in set(labels):
        mine = {part for part, own in zip(parts, labels, strict=True) if own == label}
        assert mine in ({*used}, {"train"})
        free = {group for group in set(groups.tolist()) if {own for at, own in images if at == group} == {label}}
        assert len(free) < len(used) or mine == {*used}, "a group of its own for every part is enough"


def test_what_is_missing_is_named():
    assert lacking(["train", "val", "train"], ["a", "a", "b"]) == {"b": ["val"]}
    assert lacking(["train", "train"], ["a", None]) == {}
