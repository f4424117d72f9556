"""Figures show what they say: colours of clusters at their places, bars of the sizes, noise in grey."""

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image

from engine.core.palette import category_color
from engine.runs.figures import draw_maps, draw_sizes, map_figure

SIDE, MARGIN = 640, 40


def rgb(text):
    return tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))


def pixel(path, x, y):
    with Image.open(path) as picture:
        return picture.convert("RGB").getpixel((round(x), round(y)))


@pytest.fixture
def corners():
    """Four images at the corners of the map, the last one noise."""
    return np.array([[0, 0], [4, 0], [0, 2], [4, 2]], np.float32), np.array([0, 1, 2, -1], np.int32)


def test_each_image_is_drawn_at_its_place_in_the_colour_of_its_cluster(tmp_path, corners):
    xy, labels = corners
    png, page = draw_maps(tmp_path, xy, labels, None, [], title="Run")
    places = [(MARGIN, MARGIN + SIDE), (MARGIN + SIDE, MARGIN + SIDE), (MARGIN, MARGIN), (MARGIN + SIDE, MARGIN)]
    for (x, y), code in zip(places, labels.tolist(), strict=True):
        assert pixel(png, x, y) == pytest.approx(rgb(category_color(code)), abs=12)
    assert len({category_color(code) for code in labels.tolist()}) == 4
    assert "cluster 2" in page.read_text()


def test_truth_is_drawn_beside_the_clusters(tmp_path, corners):
    xy, labels = corners
    png, page = draw_maps(tmp_path, xy, labels, np.array([2, 2, 0, -1], np.int32), ["a", "b", "<c>"], title="Run")
    with Image.open(png) as picture:
        assert picture.size == (2 * (SIDE + MARGIN) + MARGIN, SIDE + 2 * MARGIN)
    left = 2 * MARGIN + SIDE
    assert pixel(png, left, MARGIN + SIDE) == pytest.approx(rgb(category_color(2)), abs=12)
    assert pixel(png, left, MARGIN) == pytest.approx(rgb(category_color(0)), abs=12)
    assert "classes" in page.read_text()


def test_all_images_at_one_place_can_be_drawn(tmp_path):
    png, _ = draw_maps(tmp_path, np.ones((5, 2), np.float32), np.zeros(5, np.int32), None, [], title="One")
    assert pixel(png, MARGIN, MARGIN + SIDE) == pytest.approx(rgb(category_color(0)), abs=12)


def test_bars_are_the_sizes_largest_first(tmp_path):
    labels = np.array([5] * 10 + [1] * 5 + [-1] * 50, np.int32)
    png, page = draw_sizes(tmp_path, labels)
    blue = rgb("#2F6FED")
    assert pixel(png, 45, 60) == blue  # the largest fills the height
    assert pixel(png, 455, 60) != blue  # the other is half as high
    assert pixel(png, 455, 250) == blue
    assert plotted(page.read_text()) == [10, 5]


def plotted(text):
    """Return the heights of the bars, from a list or from Plotly's packed numbers."""
    found = re.search(r'"y":\s*(\[[^\]]*\]|\{[^}]*\})', text)[1]
    if found.startswith("["):
        return json.loads(found)
    packed = json.loads(found)
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()


@pytest.mark.parametrize("labels", [np.full(4, -1, np.int32), np.empty(0, np.int32)])
def test_no_cluster_is_an_empty_picture(tmp_path, labels):
    png, page = draw_sizes(tmp_path, labels)
    assert Image.open(png).size == (900, 360)
    assert page.exists()


def test_a_cluster_has_the_colour_of_its_class_and_names_stay_text(corners):
    xy, labels = corners
    figure = map_figure(xy, labels, np.array([2, 0, 1, -1], np.int32), ["a", "b", "<b>c</b>"])
    clusters, classes = figure.data
    assert clusters.marker.color == classes.marker.color
    assert list(clusters.text) == ["cluster 0", "cluster 1", "cluster 2", "noise"]
    assert list(classes.text) == ["&lt;b&gt;c&lt;/b&gt;", "a", "b", "unknown"]


def test_a_cluster_without_a_class_has_a_colour_of_its_own():
    labels, truth = np.array([0, 0, 1, 2], np.int32), np.array([0, 0, 1, 1], np.int32)
    clusters, classes = map_figure(np.zeros((4, 2), np.float32), labels, truth, ["a", "b"]).data
    assert clusters.marker.color[:3] == classes.marker.color[:3]
    assert clusters.marker.color[3] not in classes.marker.color
