"""The lasso's polygon holds exactly the points a slow reference says, and regions combine in drawing order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from components.map.polygon import Region, inside, read_regions, select


def slow_inside(polygon, point) -> bool:
    """Even-odd rule by counting crossings of a ray to the right, one point at a time."""
    odd = False
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (ay > point[1]) != (by > point[1]) and point[0] < (bx - ax) * (point[1] - ay) / (by - ay) + ax:
            odd = not odd
    return odd


coordinates = st.floats(-10, 10, allow_nan=False, width=32)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(3, 12), st.just(2)), elements=coordinates),
    st.integers(0, 2**32 - 1),
)
def test_inside_agrees_with_the_slow_reference_also_where_the_line_crosses_itself(polygon, seed):
    xy = np.random.default_rng(seed).uniform(-11, 11, (200, 2))
    assert np.array_equal(inside(polygon, xy), [slow_inside(polygon, point) for point in xy])


def test_a_star_is_hollow_in_the_middle():
    turn = np.arange(5) * 4 * np.pi / 5
    star = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    assert inside(star, np.array([[0.0, 0.0], [0.0, 0.8], [2.0, 2.0]])).tolist() == [False, True, False]


def test_shift_and_scale_do_not_change_the_answer(rng):
    polygon = rng.uniform(size=(20, 2))
    xy = rng.uniform(size=(2000, 2))
    moved = inside(polygon * 3 + 7, xy * 3 + 7)
    assert (inside(polygon, xy) == moved).mean() > 0.999


@pytest.mark.parametrize("polygon", [[], [[0, 0]], [[0, 0], [1, 1]], [[0, 0], [1, np.nan], [1, 1]]])
def test_a_polygon_without_area_holds_nothing(polygon):
    assert not inside(polygon, np.array([[0.5, 0.5]])).any()


def test_points_without_a_place_are_outside():
    square = [[0, 0], [2, 0], [2, 2], [0, 2]]
    xy = np.array([[1, 1], [np.nan, 1], [1, np.inf]], dtype=np.float32)
    assert inside(square, xy).tolist() == [True, False, False]
    assert inside(square, np.empty((0, 2))).shape == (0,)


def test_regions_combine_in_drawing_order():
    def box(low, high, operation):
        return Region("box", operation, np.array([[low, 0], [high, 0], [high, 1], [low, 1]], dtype=float))

    xy = np.stack([np.arange(10) + 0.5, np.full(10, 0.5)], axis=1)
    regions = [box(0, 4, "new"), box(6, 9, "add"), box(2, 7, "remove")]
    assert np.flatnonzero(select(regions, xy)).tolist() == [0, 1, 7, 8]
    assert np.flatnonzero(select([*regions, box(9, 10, "new")], xy)).tolist() == [9]
    assert not select([], xy).any()


def test_regions_are_read_and_rubbish_is_left_out():
    good = {"kind": "box", "op": "add", "polygon": [0, 0, 1, 0, 1, 1]}
    rubbish = [None, {}, {"polygon": "abc"}, {"polygon": [0, 0, 1]}, {"polygon": [0, 0, 1, 0, 1, float("inf")]}]
    regions = read_regions({"regions": [*rubbish, good, {"op": "explode", "polygon": [0, 0, 1, 0, 1, 1]}]})
    assert [(r.kind, r.operation, len(r.polygon)) for r in regions] == [("box", "add", 3), ("lasso", "new", 3)]
    assert read_regions(None) == ()
    assert read_regions({"regions": 3}) == ()
