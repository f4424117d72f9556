"""Thumbnails are small upright JPEGs by content; the store is a cache that may vanish at any time."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import StorageError
from engine.images.datasets import add_benchmark, add_folder, add_vectors
from engine.images.decode import ImageError
from engine.images.scan import scan
from engine.images.tables import files_of
from engine.images.thumbnails import ThumbnailStore, make_thumbnail, picture, thumbnail
from tests.engine.images.pictures import corners, encoded, noise, quarters, write


def opened(jpeg):
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 500), (256, 128)),
        ((300, 301), (255, 256)),
        ((100, 80), (100, 80)),
        ((8, 4), (64, 32)),
        ((5000, 1), (256, 1)),
    ],
)
def test_size(size, expected):
    image = quarters(*size) if min(size) > 1 else Image.new("RGB", size)
    assert opened(make_thumbnail(encoded(image, "PNG"))).size == expected


def test_content_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(quarters(600, 400).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    jpeg = opened(make_thumbnail(data))
    assert jpeg.size == (256, 171)
    assert corners(jpeg) == ["red", "green", "blue", "yellow"]
    with pytest.raises(ImageError):
        make_thumbnail(b"no")


def test_a_full_disk_is_told_as_such(tmp_path):
    store = ThumbnailStore(tmp_path / "t.sqlite")
    store.put_many([(b"a" * 16, b"x")])
    store._connection().execute("PRAGMA max_page_count = 1")
    with pytest.raises(StorageError, match="full"):
        store.put_many([(b"b" * 16, bytes(100_000))])
    assert store.get(b"a" * 16) == b"x"


def test_store_round_trip_and_replacement(tmp_path):
    store = ThumbnailStore(tmp_path / "cache" / "t.sqlite")
    ids = [at.to_bytes(15, "big") + b"\0" for at in range(1200)]
    store.put_many([(one, one * 2) for one in ids])
    assert store.get(ids[3]) == ids[3] * 2
    assert store.get(b"?" * 16) is None
    assert store.known([*ids, b"?" * 16]) == set(ids)
    store.put_many([(ids[3], b"new")])
    assert ThumbnailStore(store.path).get(ids[3]) == b"new"


def test_store_survives_deletion_and_damage(tmp_path):
    store = ThumbnailStore(tmp_path / "t.sqlite")
    store.put_many([(b"a" * 16, b"1")])
    for path in tmp_path.glob("t.sqlite*"):
        path.unlink()
    assert store.get(b"a" * 16) is None
    store.put_many([(b"a" * 16, b"2")])
    assert store.get(b"a" * 16) == b"2"
    store.close()
    for path in tmp_path.glob("t.sqlite*"):
        path.unlink()
    store.path.write_bytes(b"this is no database, but it is long enough to look like one" * 100)
    assert store.get(b"a" * 16) is None
    store.put_many([(b"a" * 16, b"3")])
    assert store.get(b"a" * 16) == b"3"


def test_store_serves_threads(tmp_path):
    store = ThumbnailStore(tmp_path / "t.sqlite")
    failures = []

    def work(seed):
        try:
            for at in range(20):
                store.put_many([(bytes([seed, at] * 8), bytes([seed]))])
                assert store.get(bytes([seed, at] * 8)) == bytes([seed])
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


def test_by_image_id_made_when_missing(workspace, tmp_path):
    root = tmp_path / "set"
    write(root / "a.png", quarters(400, 300))
    write(root / "bad.png", b"")
    dataset = add_folder(workspace, root)
    scan(workspace, dataset.id, thumbnails=False)
    good, bad = files_of(workspace, dataset.id)
    store = ThumbnailStore(workspace.thumbnails)
    assert store.get(good.content) is None
    jpeg = thumbnail(workspace, good.id)
    assert opened(jpeg).size == (256, 192)
    assert store.get(good.content) == jpeg
    assert opened(picture(workspace, good.id)).size == (400, 300)
    assert opened(picture(workspace, good.id, side=100)).size == (100, 75)
    for make in (thumbnail, picture):
        assert make(workspace, bad.id) is None
        assert make(workspace, 10**9) is None
    (root / "a.png").unlink()
    assert thumbnail(workspace, good.id) == jpeg
    assert picture(workspace, good.id) is None


def test_a_changed_file_never_lends_its_picture_to_the_old_id(workspace, tmp_path):
    write(tmp_path / "set" / "a.png", noise(1))
    dataset = add_folder(workspace, tmp_path / "set")
    scan(workspace, dataset.id, thumbnails=False)
    write(tmp_path / "set" / "a.png", noise(2))
    assert thumbnail(workspace, files_of(workspace, dataset.id)[0].id) is None


def test_digits_show_well_and_vectors_show_nothing(workspace, tmp_path):
    digits = add_benchmark(workspace, "digits")
    np.save(tmp_path / "v.npy", np.eye(3))
    vectors = add_vectors(workspace, tmp_path / "v.npy")
    scan(workspace, digits.id)
    assert opened(thumbnail(workspace, files_of(workspace, digits.id)[0].id)).size == (64, 64)
    assert opened(picture(workspace, files_of(workspace, digits.id)[0].id)).size == (256, 256)
    assert thumbnail(workspace, files_of(workspace, vectors.id)[0].id) is None
