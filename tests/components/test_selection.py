"""What the gallery sends is resolved to the right images, whatever form it has and whoever wrote it."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gallery.selection import MAX_RANGES, GallerySelection, decode, encode


def test_ranges_are_half_open_and_may_overlap():
    assert np.flatnonzero(decode({"k": "ranges", "r": [1, 3, 2, 5, 7, 8]}, 10)).tolist() == [1, 2, 3, 4, 7]


def test_all_but_selects_the_rest():
    assert np.flatnonzero(decode({"k": "all_but", "r": [0, 2, 4, 5]}, 6)).tolist() == [2, 3, 5]
    assert decode({"k": "all_but", "r": []}, 4).all()


@given(st.lists(st.booleans(), max_size=300))
def test_encode_and_decode_are_inverse(bits):
    mask = np.array(bits, dtype=bool)
    assert np.array_equal(decode(encode(mask), len(mask)), mask)


def test_many_ranges_travel_as_bits_of_one_eighth_byte_each():
    mask = np.zeros(8 * MAX_RANGES, dtype=bool)
    mask[::2] = True
    payload = encode(mask)
    assert payload["k"] == "bits"
    assert len(base64.b64decode(payload["b"])) == MAX_RANGES
    assert np.array_equal(decode(payload, mask.size), mask)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"k": "none"},
        {"k": "ranges", "r": [5, 2]},
        {"k": "ranges", "r": [1, 2, 3]},
        {"k": "ranges", "r": "abc"},
        {"k": "ranges", "r": [10**30, 2]},
        {"k": "ranges", "r": [[1, 2], [3, 4]]},
        {"k": "bits", "b": "not base64!"},
        {"k": "bits"},
        "ranges",
    ],
)
def test_nothing_is_selected_by_what_cannot_be_read(payload):
    assert not decode(payload, 6).any()


def test_positions_outside_are_ignored():
    assert np.flatnonzero(decode({"k": "ranges", "r": [-5, 1, 4, 99]}, 6)).tolist() == [0, 4, 5]
    all_ones = base64.b64encode(b"\xff" * 4).decode()
    assert decode({"k": "bits", "b": all_ones}, 5).tolist() == [True] * 5


def test_a_million_positions_are_resolved_from_ranges_without_a_list():
    mask = decode({"k": "all_but", "r": [10, 20]}, 1_000_000)
    assert int(mask.sum()) == 999_990


def test_selected_ids_keep_display_order():
    ids = np.array([30, 10, 20], dtype=np.int32)
    selection = GallerySelection(ids, np.array([True, False, True]))
    assert selection.selected.tolist() == [0, 2]
    assert selection.selected_ids.tolist() == [30, 20]
    assert selection.count == 2
    assert selection.activated is None
