"""Colours travel as two bytes per point; the chart without WebGL shows the same colours and regions."""

from __future__ import annotations

import numpy as np
import pytest

from components.map.colors import MISSING, encode_colors
from components.map.events import LegendEntry
from components.map.fallback import MOST_POINTS, point_colors, regions_of, sample_rows
from components.map.polygon import read_regions
from engine.core import palette


def test_codes_stay_codes_and_noise_is_the_last_value():
    coloring = encode_colors(np.array([0, 3, -1, 70_000], dtype=np.int64))
    assert coloring.codes.tolist() == [0, 3, MISSING, MISSING - 1]
    assert coloring.low is None
    assert encode_colors(np.array([0, 255], dtype=np.uint8)).codes.tolist() == [0, 255]


def test_values_are_places_in_their_range_and_nan_is_missing():
    coloring = encode_colors(np.array([-1.0, 0.0, 1.0, np.nan, np.inf], dtype=np.float32))
    assert (coloring.low, coloring.high) == (-1.0, 1.0)
    assert coloring.codes.tolist() == [0, (MISSING - 1) // 2, MISSING - 1, MISSING, MISSING]


@pytest.mark.parametrize("values", [np.full(3, 0.5), np.full(3, np.nan), np.empty(0)])
def test_values_without_a_range_do_not_divide_by_zero(values):
    coloring = encode_colors(values)
    assert coloring.codes.shape == values.shape
    assert coloring.low == coloring.high


def test_values_come_back_within_one_step():
    values = np.random.default_rng(1).uniform(3, 9, 500)
    coloring = encode_colors(values)
    back = coloring.low + coloring.codes / (MISSING - 1) * (coloring.high - coloring.low)
    assert np.abs(back - values).max() <= (coloring.high - coloring.low) / (MISSING - 1)


def test_the_chart_colours_like_the_map():
    legend = [LegendEntry("a"), LegendEntry("b", color="#123456"), LegendEntry("noise", noise=True)]
    rows = np.arange(5)
    colors = point_colors(encode_colors(np.array([0, 1, 2, -1, 21])), legend, rows)
    assert colors == [palette.CATEGORIES[0], "#123456", palette.NOISE, palette.NOISE, palette.CATEGORIES[1]]
    ramp = point_colors(encode_colors(np.array([0.0, 1.0, np.nan])), [], np.arange(3))
    assert ramp == [palette.RAMP[0], palette.RAMP[-1], palette.NOISE]
    assert point_colors(None, [], rows) == [palette.CATEGORIES[0]] * 5


def test_the_chart_shows_an_even_sample():
    assert sample_rows(7).tolist() == list(range(7))
    rows = sample_rows(1_000_000)
    assert len(rows) == len(np.unique(rows)) == MOST_POINTS
    assert rows[0] == 0 and rows[-1] == 999_999


def test_plotly_shapes_become_regions():
    selection = {"lasso": [{"x": [0, 2, 2], "y": [0, 0, 2]}], "box": [{"x": [5, 7], "y": [1, 3]}], "points": []}
    regions = read_regions({"regions": regions_of(selection)})
    assert [(r.kind, r.operation) for r in regions] == [("lasso", "new"), ("box", "add")]
    assert regions[1].polygon.tolist() == [[5, 1], [7, 1], [7, 3], [5, 3]]
    assert regions_of(None) == []
