"""A picture keeps its labels, cluster and vectors while other programs change its file; other pixels are said."""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from engine.core.catalog import MIGRATIONS, open_catalog
from engine.core.errors import InputError
from engine.core.ids import to_bytes
from engine.images import scan as scan_module
from engine.images.contents import read_image
from engine.images.datasets import add_folder
from engine.images.decode import decode
from engine.images.fingerprint import TURNS, values_hash
from engine.images.identity import changed_images, forget_changed, keep_changed
from engine.images.scan import scan
from engine.images.tables import files_of, load_images
from engine.labels.events import LabelHistory
from tests.engine.images.pictures import encoded, noise, quarters, write

ORIENTATION = 0x0112


def photograph(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A smooth picture without symmetry, large enough that its thumbnail is reduced."""
    y, x = np.mgrid[0:height, 0:width] / 40
    rng = np.random.default_rng(seed)
    waves = [np.sin(x * rng.uniform(0.3, 1.5) + y * rng.uniform(0.3, 1.5) + rng.uniform(0, 6)) for _ in range(3)]
    return Image.fromarray((128 + 90 * np.stack(waves, -1)).astype(np.uint8))


def captioned(data: bytes, note: bytes = b"caption written later") -> bytes:
    """A JPEG with a comment in its header, pixels untouched, as a photo manager writes it."""
    return data[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + data[2:]


def with_orientation(image: Image.Image, orientation: int, format: str, **options) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image, format, exif=exif, **options)


@pytest.fixture
def album(workspace, tmp_path):
    """Six JPEGs, scanned, each with a label of its own."""
    root = tmp_path / "album"
    for at in range(6):
        write(root / f"{at}.jpg", encoded(photograph(at), "JPEG", quality=90))
    dataset = add_folder(workspace, root)
    scan(workspace, dataset.id)
    history = LabelHistory(workspace, dataset.id)
    label_all(workspace, dataset)
    return workspace, dataset, root, history


def label_all(workspace, dataset):
    table, history = load_images(workspace, dataset.id), LabelHistory(workspace, dataset.id)
    state = history.state(table.contents, np.zeros(len(table), np.int32))
    history.label(state, np.arange(len(table)), [os.fsdecode(path).rsplit(".")[0] for path in table.paths])


def labels(workspace, dataset) -> dict[str, str | None]:
    """The label of each file by its path."""
    table = load_images(workspace, dataset.id)
    state = LabelHistory(workspace, dataset.id).state(table.contents, np.zeros(len(table), np.int32))
    at = dict(zip(to_bytes(table.contents), state.labels, strict=True))
    return {os.fsdecode(file.path): at.get(file.content) for file in files_of(workspace, dataset.id)}


class Heard:
    """A listener that keeps the sentences."""

    def __init__(self):
        self.said = []

    def update(self, *_, **__): ...

    def say(self, sentence):
        self.said.append(sentence)


def test_captions_leave_every_label_where_it_is_and_one_event_says_so(album):
    workspace, dataset, root, history = album
    before, contents = labels(workspace, dataset), load_images(workspace, dataset.id).contents
    for path in root.glob("*.jpg"):
        path.write_bytes(captioned(path.read_bytes()))
    heard = Heard()
    found = scan(workspace, dataset.id, progress=heard)
    assert (found.opened, found.changed, found.distinct) == (6, 0, 6)
    assert labels(workspace, dataset) == before
    assert np.array_equal(load_images(workspace, dataset.id).contents, contents)
    event = history.next_undo()
    assert event.kind == "carry" and event.count == 6
    assert heard.said == found.told == [f"{event.sentence}."]
    assert "6 images" in event.sentence and "not in their pixels" in event.sentence
    assert scan(workspace, dataset.id).opened == 0
    for file in files_of(workspace, dataset.id):
        data = read_image(workspace, dataset, dataset.source(), file.path, file.content)
        assert data == (root / os.fsdecode(file.path)).read_bytes()
        assert file.data_id != file.content


def test_a_carried_picture_is_let_go_and_taken_back_by_undo_and_redo(album):
    workspace, dataset, root, history = album
    before = labels(workspace, dataset)
    for name in ("0.jpg", "3.jpg"):
        (root / name).write_bytes(captioned((root / name).read_bytes()))
    scan(workspace, dataset.id)
    history.undo()
    assert labels(workspace, dataset) == before | {"0.jpg": None, "3.jpg": None}
    assert [path for path, *_ in changed_images(workspace, dataset.id)] == [b"0.jpg", b"3.jpg"]
    assert scan(workspace, dataset.id).opened == 0  # undone stays undone
    assert labels(workspace, dataset)["0.jpg"] is None
    history.redo()
    assert labels(workspace, dataset) == before
    assert changed_images(workspace, dataset.id) == []
    history.jump_back(0)
    assert not any(labels(workspace, dataset).values())


def test_edits_follow_one_another_and_the_first_bytes_come_back(album):
    workspace, dataset, root, _ = album
    before, first = labels(workspace, dataset), (root / "1.jpg").read_bytes()
    for note in (b"one", b"two", b"three"):
        (root / "1.jpg").write_bytes(captioned(first, note))
        scan(workspace, dataset.id)
    shutil.copy(root / "1.jpg", root / "copy.jpg")  # a copy of the file as it is now
    scan(workspace, dataset.id)
    assert labels(workspace, dataset) == before | {"copy.jpg": "1"}
    (root / "1.jpg").write_bytes(first)
    (root / "copy.jpg").unlink()
    scan(workspace, dataset.id)
    assert labels(workspace, dataset) == before
    assert next(file for file in files_of(workspace, dataset.id) if file.path == b"1.jpg").data_id is not None


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "BMP"])
def test_other_compression_and_mode_are_the_same_picture(workspace, tmp_path, format):
    image = photograph(1)
    options = {"WEBP": {"lossless": True}, "TIFF": {"compression": "raw"}}.get(format, {})
    path = write(tmp_path / "a" / f"picture.{format.lower()}", encoded(image, format, **options))
    dataset = add_folder(workspace, tmp_path / "a")
    scan(workspace, dataset.id)
    label_all(workspace, dataset)
    again = {
        "PNG": encoded(image.convert("RGBA"), "PNG", compress_level=1),
        "TIFF": encoded(image, "TIFF", compression="tiff_deflate"),
        "WEBP": encoded(image, "WEBP", lossless=True, method=6, exif=b"Exif\0\0later"),
        "BMP": encoded(image, "PNG"),  # the bytes tell what it is, not the name
    }[format]
    path.write_bytes(again)
    scan(workspace, dataset.id)
    assert list(labels(workspace, dataset).values()) == ["picture"]


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_rotation_that_only_undoes_the_orientation_is_the_same_picture(workspace, tmp_path, format, orientation):
    stored = photograph(2)
    path = write(tmp_path / "a" / "picture.bin", with_orientation(stored, orientation, format))
    dataset = add_folder(workspace, tmp_path / "a")
    scan(workspace, dataset.id)
    label_all(workspace, dataset)
    options = {"quality": 97} if format == "JPEG" else {}  # pixels differ by rounding, as after a rotation without loss
    path.write_bytes(with_orientation(stored.transpose(TURNS[orientation]), 1, format, **options))
    heard = Heard()
    scan(workspace, dataset.id, progress=heard)
    assert list(labels(workspace, dataset).values()) == ["picture"]
    assert "not in its pixels" in heard.said[0]


@pytest.mark.parametrize("how", ["tag", "pixels", "jpeg"])
def test_a_picture_turned_on_the_screen_keeps_its_label_and_that_is_said(workspace, tmp_path, how):
    stored = photograph(3)
    format = "JPEG" if how == "jpeg" else "PNG"
    path = write(tmp_path / "a" / "picture.bin", encoded(stored, format))
    dataset = add_folder(workspace, tmp_path / "a")
    scan(workspace, dataset.id)
    label_all(workspace, dataset)
    turned = stored.transpose(Image.Transpose.ROTATE_90)
    path.write_bytes(with_orientation(stored, 6, format) if how == "tag" else encoded(turned, format, quality=97))
    heard = Heard()
    scan(workspace, dataset.id, progress=heard)
    assert list(labels(workspace, dataset).values()) == ["picture"]
    assert "turned" in heard.said[0]
    assert load_images(workspace, dataset.id).height[0] == 320


def test_other_pixels_at_the_same_place_are_counted_and_kept_on_request(album):
    workspace, dataset, root, history = album
    before = labels(workspace, dataset)
    for at in (0, 1):
        bright = photograph(at).point(lambda value: min(255, value + 40))
        (root / f"{at}.jpg").write_bytes(encoded(bright, "JPEG", quality=90))
    found = scan(workspace, dataset.id)
    assert (found.changed, found.changed_pixels) == (2, 2)
    assert found.changed_sentence.startswith("2 images have changed in the pixels;")
    assert labels(workspace, dataset) == before | {"0.jpg": None, "1.jpg": None}
    assert scan(workspace, dataset.id).changed_pixels == 2  # said until it is settled
    sentence = keep_changed(workspace, dataset.id)
    assert sentence == "2 images changed in their pixels: labels kept"
    assert labels(workspace, dataset) == before
    assert scan(workspace, dataset.id).changed_pixels == 0
    with pytest.raises(InputError, match="No image has changed"):
        keep_changed(workspace, dataset.id)
    history.undo()
    assert labels(workspace, dataset)["0.jpg"] is None
    forget_changed(workspace, dataset.id)
    assert scan(workspace, dataset.id).changed_pixels == 0


def test_one_changed_pixel_of_a_large_png_is_another_picture(workspace, tmp_path):
    image = photograph(4, 1200, 900)
    path = write(tmp_path / "a" / "picture.png", image)
    dataset = add_folder(workspace, tmp_path / "a")
    scan(workspace, dataset.id)
    image.putpixel((777, 555), (255, 0, 255))
    write(path, image)
    assert scan(workspace, dataset.id).changed_pixels == 1


def test_a_file_moved_and_captioned_at_once_is_found_again(album):
    workspace, dataset, root, _ = album
    data = captioned((root / "2.jpg").read_bytes())
    (root / "2.jpg").unlink()
    write(root / "elsewhere" / "renamed.jpg", data)
    scan(workspace, dataset.id)
    assert labels(workspace, dataset)["elsewhere/renamed.jpg"] == "2"


def test_a_file_that_was_away_for_a_scan_and_comes_back_captioned_is_found_again(album):
    workspace, dataset, root, _ = album
    data = captioned((root / "2.jpg").read_bytes())
    (root / "2.jpg").unlink()
    scan(workspace, dataset.id)
    write(root / "back.jpg", data)
    scan(workspace, dataset.id)
    assert labels(workspace, dataset)["back.jpg"] == "2"


def test_pictures_of_the_same_pixels_with_other_labels_are_told_apart_by_name_or_left_alone(workspace, tmp_path):
    root, data = tmp_path / "a", encoded(photograph(5), "JPEG")
    write(root / "one.jpg", data)
    write(root / "two.jpg", captioned(data, b"the same picture"))
    dataset = add_folder(workspace, root)
    scan(workspace, dataset.id)
    label_all(workspace, dataset)
    assert labels(workspace, dataset) == {"one.jpg": "one", "two.jpg": "two"}  # both there from the start: both stay
    for name in ("one", "two"):
        edited = captioned((root / f"{name}.jpg").read_bytes(), f"{name} edited".encode())
        (root / f"{name}.jpg").unlink()
        write(root / "sub" / f"{name}.jpg", edited)
    scan(workspace, dataset.id)
    assert labels(workspace, dataset) == {"sub/one.jpg": "one", "sub/two.jpg": "two"}
    for name in ("one", "two"):
        edited = captioned((root / "sub" / f"{name}.jpg").read_bytes(), f"{name} again".encode())
        (root / "sub" / f"{name}.jpg").unlink()
        write(root / f"new {name}.jpg", edited)
    heard = Heard()
    scan(workspace, dataset.id, progress=heard)
    assert set(labels(workspace, dataset).values()) == {None}
    assert any("2 images have the pixels of several that are gone" in sentence for sentence in heard.said)


def test_a_file_replaced_by_a_known_one_is_that_one(album):
    workspace, dataset, root, _ = album
    shutil.copy(root / "5.jpg", root / "0.jpg")
    found = scan(workspace, dataset.id)
    assert labels(workspace, dataset)["0.jpg"] == "5"
    assert found.changed_pixels == 1
    with pytest.raises(InputError, match="copies of other images"):
        keep_changed(workspace, dataset.id)


def test_files_that_changed_places_and_bytes_at_once_are_found_again(album):
    workspace, dataset, root, _ = album
    one, two = ((root / name).read_bytes() for name in ("0.jpg", "1.jpg"))
    (root / "0.jpg").write_bytes(captioned(two))
    (root / "1.jpg").write_bytes(captioned(one))
    assert scan(workspace, dataset.id).changed_pixels == 0
    found = labels(workspace, dataset)
    assert (found["0.jpg"], found["1.jpg"]) == ("1", "0")


def test_a_folder_where_an_image_was_and_back_again(album):
    workspace, dataset, root, _ = album
    data = (root / "0.jpg").read_bytes()
    (root / "0.jpg").unlink()
    write(root / "0.jpg" / "inside.jpg", captioned(data))
    scan(workspace, dataset.id)
    assert labels(workspace, dataset)["0.jpg/inside.jpg"] == "0"
    shutil.rmtree(root / "0.jpg")
    (root / "0.jpg").write_bytes(data)
    scan(workspace, dataset.id)
    assert labels(workspace, dataset)["0.jpg"] == "0"


def test_a_catalog_without_hashes_compares_thumbnails_and_fills_them(album):
    workspace, dataset, root, _ = album
    before = labels(workspace, dataset)
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("UPDATE image SET pixels = NULL, orientation = NULL, bytes = NULL")
    for at in (0, 1):
        (root / f"{at}.jpg").write_bytes(captioned((root / f"{at}.jpg").read_bytes()))
    (root / "2.jpg").write_bytes(encoded(photograph(20), "JPEG"))
    found = scan(workspace, dataset.id)
    assert found.opened == 6  # each is opened once more, for its hash
    assert labels(workspace, dataset) == before | {"2.jpg": None}
    assert found.changed_pixels == 1
    assert scan(workspace, dataset.id).opened == 0


def test_a_killed_scan_still_writes_the_event(album, monkeypatch):
    workspace, dataset, root, history = album
    for path in root.glob("*.jpg"):
        path.write_bytes(captioned(path.read_bytes()))
    with monkeypatch.context() as patch:
        patch.setattr(scan_module, "_settle", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            scan(workspace, dataset.id)
    assert history.next_undo().kind == "label"
    assert all(labels(workspace, dataset).values())
    scan(workspace, dataset.id)
    assert history.next_undo().kind == "carry" and history.next_undo().count == 6


def test_a_half_written_file_costs_no_label(album):
    workspace, dataset, root, _ = album
    before, whole = labels(workspace, dataset), captioned((root / "4.jpg").read_bytes())
    (root / "4.jpg").write_bytes(whole[: len(whole) // 2])
    assert len(scan(workspace, dataset.id).failed) == 1
    (root / "4.jpg").write_bytes(whole)
    scan(workspace, dataset.id)
    assert labels(workspace, dataset) == before


def test_every_orientation_of_the_same_picture_has_one_hash():
    upright = photograph(6, 1201, 903)
    reference = decode(encoded(upright, "PNG"), 256, hashed=8)
    assert len(set(reference.hashes)) == 8
    for orientation, turn in TURNS.items():
        undone = {6: 8, 8: 6}.get(orientation, orientation)
        stored = upright.transpose(TURNS[undone])
        found = decode(with_orientation(stored, orientation, "PNG"), 256, hashed=8)
        assert found.hashes[0] == reference.hashes[0], turn
        assert set(found.hashes) == set(reference.hashes)


@pytest.mark.parametrize("size", [(1201, 903), (1600, 1200), (777, 2001), (300, 200)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_the_hash_changes_no_thumbnail(size, mode):
    data = encoded(photograph(8, *size).convert(mode), "PNG")
    assert decode(data, 256, hashed=1).image.tobytes() == decode(data, 256).image.tobytes()
    assert decode(data, 256, hashed=1).hashes[0] == decode(data, 256, hashed=8).hashes[0]


def test_deep_values_are_turned_as_pillow_turns_pictures():
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    for orientation, turn in TURNS.items():
        stored = np.asarray(Image.fromarray(values.astype(np.uint8)).transpose(turn)).astype(np.uint16)
        assert values_hash(values, None, orientation, "") == values_hash(stored, None, 1, "")


def test_a_profile_that_changes_colours_is_part_of_the_picture_and_srgb_is_not():
    from PIL import ImageCms

    from tests.engine.images.profiles import grey_profile

    image = quarters()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = decode(encoded(image, "PNG"), hashed=1).hashes
    assert decode(encoded(image, "PNG", icc_profile=srgb), hashed=1).hashes == plain
    grey = image.convert("L")
    changed = decode(encoded(grey, "PNG", icc_profile=grey_profile(1.0)), hashed=1).hashes
    assert decode(encoded(grey, "PNG"), hashed=1).hashes != changed


def test_sixteen_bit_pictures_are_compared_in_their_exact_values(workspace, tmp_path):
    values = (np.arange(300 * 200).reshape(200, 300) % 4000).astype(np.uint16)
    path = tmp_path / "a" / "deep.tif"
    write(path, encoded(Image.fromarray(values), "TIFF"))
    dataset = add_folder(workspace, tmp_path / "a")
    scan(workspace, dataset.id)
    label_all(workspace, dataset)
    write(path, encoded(Image.fromarray(values), "TIFF", compression="tiff_lzw"))
    scan(workspace, dataset.id)
    assert labels(workspace, dataset) == {"deep.tif": "deep"}
    values[100, 100] += 1
    write(path, encoded(Image.fromarray(values), "TIFF", compression="tiff_lzw"))
    assert scan(workspace, dataset.id).changed_pixels == 1


def test_a_catalog_of_before_opens_and_nothing_in_it_is_lost(workspace, tmp_path):
    import sqlite3

    from engine.core.catalog import connect

    path = tmp_path / "old" / "catalog.sqlite"
    path.parent.mkdir()
    raw = sqlite3.connect(path)
    for script in MIGRATIONS[:2]:
        raw.executescript(script)
    raw.execute("INSERT INTO dataset (id, name, kind, location, created) VALUES ('a', 'a', 'folder', x'2f', 0)")
    raw.execute("INSERT INTO image (dataset, path, content, size, mtime_ns) VALUES ('a', x'61', x'00', 1, 1)")
    raw.execute("PRAGMA user_version = 2")
    raw.commit()
    raw.close()
    row = connect(path).execute("SELECT content, bytes, pixels FROM image").fetchone()
    assert tuple(row) == (b"\0", None, None)


def test_noise_compressed_anew_is_another_picture(workspace, tmp_path):
    path = write(tmp_path / "a" / "n.jpg", encoded(noise(1, 300, 200), "JPEG", quality=95))
    dataset = add_folder(workspace, tmp_path / "a")
    scan(workspace, dataset.id)
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        path.write_bytes(encoded(image.convert("RGB"), "JPEG", quality=60))
    assert scan(workspace, dataset.id).changed_pixels == 1
