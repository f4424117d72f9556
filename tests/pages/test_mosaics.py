"""Mosaics: full grids, whole pictures, of ids, of a run's clusters and of a board's ranks; nothing else is served."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages.shared.mosaics import ROUTES, arrange, compose, mosaic_of, mosaic_of_run, surest
from tests.seed import clustered_pictures, coloured_pictures


def png(width, height, color):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def client():
    with TestClient(Starlette(routes=ROUTES), base_url="http://127.0.0.1") as found:
        yield found


@pytest.mark.parametrize("aspect", [0.5, 0.75, 1.0, 1.33, 2.0])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 10, 18, 60])
def test_every_cell_of_a_grid_has_a_picture(count, aspect):
    rows, columns = arrange(count, aspect, 2.0)
    assert 1 <= rows * columns <= count
    assert count < 8 or rows * columns >= count / 3


def test_squares_fill_a_wide_picture_in_two_lines_of_four():
    drawn = Image.open(io.BytesIO(compose([png(64, 64, (250, 0, 0))] * 8, 560, 280))).convert("RGBA")
    assert drawn.size == (560, 280)
    for x in (60, 210, 350, 500):
        for y in (70, 210):
            red, green, _, opaque = drawn.getpixel((x, y))
            assert red > 200 and green < 60 and opaque == 255


def test_a_panorama_is_shown_whole():
    drawn = Image.open(io.BytesIO(compose([png(400, 40, (0, 0, 250))], 200, 100))).convert("RGBA")
    assert drawn.getpixel((5, 50))[2] > 200 and drawn.getpixel((195, 50))[2] > 200
    assert drawn.getpixel((100, 10))[3] < 255  # the quiet ground above it


def test_each_large_cluster_has_its_surest_image_before_any_has_two():
    labels = np.array([0, 0, 0, 1, 1, -1, 2], np.int32)
    sure = np.array([0.1, 0.9, 0.5, 0.2, 0.8, 1.0, 0.3], np.float32)
    assert surest(labels, sure, most=2).tolist() == [1, 4]
    assert surest(labels, sure, most=6).tolist() == [1, 4, 6, 2, 3]
    assert surest(np.full(3, -1, np.int32), np.ones(3, np.float32)).tolist() == []
    assert surest(labels, np.full(7, np.nan, np.float32), most=3).tolist() == [0, 3, 6]


def test_ids_and_a_run_are_served_and_nothing_else(workspace, tmp_path, client):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    one = client.get(mosaic_of(rows.ids[:8], width=400, height=200))
    assert (one.status_code, one.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(one.content)).size == (400, 200)
    whole = client.get(mosaic_of_run(run))
    colours = Image.open(io.BytesIO(whole.content)).convert("RGB").getcolors(1 << 20)
    strongest = {int(np.argmax(color)) for times, color in colours if times > 20 and max(color) > 150}
    assert strongest == {0, 1, 2}, "a picture of each of the three clusters"
    for wrong in (
        "/mosaic/400x200/a",
        "/mosaic/400x200/" + "-".join("1" * 61),
        "/mosaic/9000x200/1",
        "/mosaic/0x0/1",
        "/looks/run/..%2F..",
        "/looks/run/none",
        "/looks/rank/none/1",
        "/looks/candidate/none/abc",
    ):
        assert client.get(wrong).status_code == 404, wrong
    assert client.get(mosaic_of_run(run), headers={"sec-fetch-site": "cross-site"}).status_code == 403
