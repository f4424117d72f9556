"""Columns of labels: without gaps, by size, truth as codes."""

import numpy as np
import pytest

from engine.core.labels import by_size, compact, encode, rank_by_size


def test_gaps_close_in_numerical_order_and_negatives_become_noise():
    assert compact([7, -3, 2, 7, -1]).tolist() == [1, -1, 0, 1, -1]
    assert compact([]).tolist() == [] and compact([-2, -2]).tolist() == [-1, -1]


def test_the_largest_comes_first_equals_keep_their_order_and_empty_ones_come_last():
    assert rank_by_size(np.array([2, 2, 2, 0, -1, 3]), 5).tolist() == [1, 3, 0, 2, 4]
    assert rank_by_size(np.array([-1, -1])).tolist() == []
    assert by_size(np.array([9, 4, 4, -1, 4, 9, 1])).tolist() == [1, 0, 0, -1, 0, 1, 2]


def test_numbering_by_size_changes_names_only(rng):
    labels = rng.integers(-1, 9, size=500)
    numbered = by_size(labels)
    assert (np.diff(np.bincount(numbered[numbered >= 0])) <= 0).all()
    assert len(set(zip(labels.tolist(), numbered.tolist(), strict=True))) == len(set(labels.tolist()))
    assert ((labels < 0) == (numbered < 0)).all()


@pytest.mark.parametrize(
    ("truth", "codes", "names"),
    [
        (["b", None, "a", "", "b"], [1, -1, 0, -1, 1], ["a", "b"]),
        (np.array([10, -1, 2, 10]), [1, -1, 0, 1], ["2", "10"]),
        ([3, None, -1, 3], [0, -1, -1, 0], ["3"]),
        ([None, ""], [-1, -1], []),
    ],
)
def test_truth_becomes_codes_with_minus_one_for_unknown(truth, codes, names):
    assert encode(truth)[0].tolist() == codes and encode(truth)[1] == names
