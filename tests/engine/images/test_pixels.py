"""The pixels of a data set as one array: each image by its content, what is lost left out until it is back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import StorageError
from engine.images.datasets import add_folder
from engine.images.decode import decode_square
from engine.images.pixels import natural_side, read_pixels
from engine.images.scan import scan
from engine.images.tables import load_images


class Heard(list):
    """A listener that keeps the sentences."""

    def update(self, *given, **metrics): ...

    def say(self, sentence):
        self.append(sentence)


@pytest.fixture
def added(workspace, tmp_path, rng):
    """A scanned folder of five pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for at in range(5):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / f"{at}.png")
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    return folder, dataset, load_images(workspace, dataset.id)


def test_squares_are_those_of_the_decoder_and_are_kept(workspace, added, monkeypatch):
    folder, dataset, table = added
    found = read_pixels(workspace, dataset, table.paths, table.contents, 16)
    assert found.rows.tolist() == list(range(5))
    for at, image in enumerate(found.images):
        assert (image == decode_square((folder / f"{at}.png").read_bytes(), 16)).all()
    monkeypatch.setattr("engine.images.pixels.decode_square", lambda *_: pytest.fail("decoded again"))
    again = read_pixels(workspace, dataset, table.paths, table.contents, 16)
    assert (again.images == found.images).all()


def test_gone_and_changed_images_are_told_and_read_when_they_are_back(workspace, added):
    folder, dataset, table = added
    whole = {name: (folder / name).read_bytes() for name in ("1.png", "3.png")}
    (folder / "1.png").unlink()
    (folder / "3.png").write_bytes((folder / "4.png").read_bytes())  # another picture under the old name
    heard = Heard()
    found = read_pixels(workspace, dataset, table.paths, table.contents, 16, progress=heard)
    assert found.rows.tolist() == [0, 2, 4]
    assert [sentence.split(":")[0] for sentence in heard] == ["1.png is left out", "3.png is left out"]
    for name, data in whole.items():
        (folder / name).write_bytes(data)
    assert read_pixels(workspace, dataset, table.paths, table.contents, 16).rows.tolist() == list(range(5))


def test_a_full_disk_is_told(workspace, added, monkeypatch):
    _, dataset, table = added

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.images.pixels.Path.open", full)
    with pytest.raises(StorageError, match="disk is full"):
        read_pixels(workspace, dataset, table.paths, table.contents, 16)


def test_the_natural_side_is_the_median_of_the_longer_sides_within_bounds():
    assert natural_side(np.array([10, 40, 50], np.int32), np.array([30, 20, 60], np.int32)) == 40
    assert natural_side(np.array([4], np.int32), np.array([4], np.int32)) == 8
    assert natural_side(np.array([4000], np.int32), np.array([3000], np.int32)) == 96
    assert natural_side(np.empty(0, np.int32), np.empty(0, np.int32)) == 8
