"""What a picture's making leaves in it: bars, colour, compression, camera and date, measured once by the scan."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from engine.core.catalog import open_catalog
from engine.images.datasets import add_folder
from engine.images.measures import DAY, load_measures
from engine.images.scan import scan
from engine.images.tables import load_images
from engine.images.traces import bars, dominant_colour, said_by
from tests.engine.images.pictures import encoded, noise, quarters, write


@pytest.mark.parametrize(("above", "aside"), [(0, 0), (6, 0), (0, 10), (5, 8)])
def test_bars_are_the_share_of_the_picture_that_they_cover(above, aside):
    pixels = np.asarray(noise(1, 80, 60)).copy()
    pixels[:above] = pixels[60 - above :] = 0
    pixels[:, :aside] = pixels[:, 80 - aside :] = 0
    inside = (60 - 2 * above) * (80 - 2 * aside)
    assert bars(pixels) == pytest.approx(1 - inside / (60 * 80))
    compressed = Image.fromarray(pixels)
    assert bars(np.asarray(compressed)) == bars(pixels)


def test_a_band_at_one_edge_and_an_empty_picture_are_no_bars():
    sky = np.asarray(noise(1, 80, 60)).copy()
    sky[:20] = (80, 120, 200)
    assert bars(sky) == 0.0
    two = np.asarray(noise(1, 80, 60)).copy()
    two[:10], two[50:] = (80, 120, 200), (60, 160, 60)
    assert bars(two) == 0.0, "a sky and a lawn are of two colours"
    assert bars(np.full((20, 30, 3), 7, np.uint8)) == 0.0
    assert bars(np.zeros((1, 1, 3), np.uint8)) == 0.0


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((250, 20, 20), "red"),
        ((255, 140, 0), "orange"),
        ((240, 230, 40), "yellow"),
        ((30, 170, 40), "green"),
        ((30, 60, 220), "blue"),
        ((120, 30, 200), "purple"),
        ((5, 5, 8), "black"),
        ((130, 128, 131), "grey"),
        ((250, 250, 248), "white"),
    ],
)
def test_the_dominant_colour_is_called_as_one_would(rgb, name):
    image = quarters(60, 60)
    image.paste(rgb, (0, 0, 60, 40))
    assert dominant_colour(np.asarray(image)) == name


def test_the_dominant_colour_is_that_of_every_so_manieth_pixel_of_the_whole_picture(rng):
    words = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "black", "grey", "white")
    for size in [(3, 5), (64, 64), (200, 150), (256, 192)]:
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8) // rng.integers(1, 4, 3, dtype=np.uint8)
        step = max(1, max(size) // 64)
        counts = dict.fromkeys(words, 0)
        for hue, saturation, value in np.asarray(Image.fromarray(pixels).convert("HSV"))[::step, ::step].reshape(-1, 3):
            grey = "black" if value <= 60 else "grey" if value <= 190 else "white"
            ends = (10, 28, 48, 113, 135, 178, 204, 238, 256)
            coloured = words[next(at for at, end in enumerate(ends) if hue <= end) % 8]
            counts[grey if saturation < 50 or value < 45 else coloured] += 1
        assert dominant_colour(pixels) == max(counts, key=lambda name: counts[name])


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg_is_the_one_it_was_written_with(tmp_path, quality):
    path = write(tmp_path / "a.jpg", encoded(noise(2), "JPEG", quality=quality))
    with Image.open(path) as image:
        assert said_by(image)["JPEG quality"] == pytest.approx(quality, abs=1)
    assert said_by(noise(2)) == {}


def test_camera_and_date_are_those_of_the_exif(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "ACME", "ACME One\0", "2020:01:02 00:00:00"
    exif.get_ifd(0x8769)[0x9003] = "1970:01:11 12:00:00"
    with Image.open(write(tmp_path / "a.jpg", encoded(noise(2), "JPEG", exif=exif))) as image:
        found = said_by(image)
    assert (found["camera"], found["date taken"]) == ("ACME One", 10.5)
    exif.get_ifd(0x8769)[0x9003] = "no date at all"
    with Image.open(write(tmp_path / "b.jpg", encoded(noise(2), "JPEG", exif=exif))) as image:
        assert "date taken" not in said_by(image)


def test_the_scan_keeps_them_and_an_older_catalog_is_measured_once(workspace, tmp_path):
    folder = tmp_path / "pictures"
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "ACME", "Two", "1970:01:03 00:00:00"
    write(folder / "a.jpg", encoded(noise(1), "JPEG", quality=60, exif=exif))
    write(folder / "b.png", noise(2))
    write(folder / "e.jpg", encoded(noise(5), "JPEG", quality=90))
    write(folder / "c.png", quarters())
    dataset = add_folder(workspace, folder)
    assert scan(workspace, dataset.id).opened == 4

    def look() -> dict[bytes, tuple]:
        found = load_measures(workspace, dataset.id)
        columns = (found.numbers["JPEG quality"], found.words["camera"], found.numbers["letterbox bars"])
        return {
            path: values
            for path, *values in zip(load_images(workspace, dataset.id).paths, *columns, strict=True)  # type: ignore[misc]
        }

    with pytest.raises(KeyError):
        look()  # nobody has bars, so they tell nothing
    framed = np.zeros((30, 40, 3), np.uint8)
    framed[6:24] = np.asarray(noise(3))[6:24]
    write(folder / "d.png", Image.fromarray(framed))
    assert scan(workspace, dataset.id).opened == 1
    found = look()
    assert found[b"a.jpg"][0] == pytest.approx(60, abs=1) and found[b"a.jpg"][1] == "ACME Two"
    assert np.isnan(found[b"b.png"][0]) and found[b"b.png"][1] == ""
    assert found[b"d.png"][2] == pytest.approx(0.4)
    with open_catalog(workspace.catalog, write=True) as db:
        old = json.dumps({"brightness": 0.5})
        db.execute("UPDATE image SET quality = ? WHERE path = ?", (old, b"d.png"))
    assert scan(workspace, dataset.id).opened == 1
    assert scan(workspace, dataset.id).opened == 0
    assert look()[b"d.png"][2] == pytest.approx(0.4)
    assert DAY == 86_400
