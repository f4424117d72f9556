"""What a folder holds: links, system folders, files of any name, pages, limits; what is not read is counted."""

from __future__ import annotations

import io
import os
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import InputError
from engine.export.folders import MANIFEST
from engine.images import kinds
from engine.images import report as report_module
from engine.images.datasets import add_folder, add_vectors, find_dataset, set_reading
from engine.images.reading import EXPORT_MANIFEST, FolderSettings, LeftOut, counted, existing
from engine.images.scan import scan
from engine.images.sources import FolderSource, folder_truth
from engine.images.tables import files_of
from tests.engine.images.pictures import encoded, noise, quarters, write


def names(root, **settings) -> list[str]:
    return sorted(
        os.fsdecode(entry.name) for entry in FolderSource(root, settings=FolderSettings(**settings)).entries()
    )


# ------------------------------------------------------------------------------------------------------------ links


@pytest.fixture
def store(tmp_path):
    """A hub's cache: every image is a link into a store beside the folder, and one class is a linked folder."""
    for at in range(6):
        write(tmp_path / "blobs" / f"blob{at}", noise(at))
    write(tmp_path / "elsewhere" / "deep" / "7.png", noise(7))
    root = tmp_path / "snapshot"
    (root / "a").mkdir(parents=True)
    for at in range(6):
        os.symlink(f"../../blobs/blob{at}", root / "a" / f"{at}.png")
    os.symlink("../elsewhere", root / "linked")
    return root


def test_links_out_of_the_folder_are_told_and_followed_on_request(workspace, store):
    dataset = add_folder(workspace, store)
    found = scan(workspace, dataset.id)
    assert (found.readable, len(found.failed)) == (0, 7)
    assert all("follow links" in reason for _, reason in found.failed)
    set_reading(workspace, dataset.id, FolderSettings(follow_links=True))
    found = scan(workspace, dataset.id)
    assert (found.readable, found.failed) == (7, [])
    assert {file.path for file in files_of(workspace, dataset.id)} >= {b"a/0.png", b"linked/deep/7.png"}


def test_followed_links_never_go_round(store):
    os.symlink("..", store / "a" / "up")
    os.symlink(store, store / "myself")
    os.symlink(store.parent, store / "above")
    os.symlink("../linked", store / "a" / "again")
    os.symlink(store.parent / "elsewhere" / "deep", store / "inner")
    os.symlink("loop", store / "loop")
    (store.parent / "elsewhere" / "back").symlink_to(store)
    found = names(store, follow_links=True)
    assert sum(name.endswith("7.png") for name in found) == 1
    assert len(found) == 7


def test_the_links_of_an_own_export_are_read_without_asking(workspace, tmp_path):
    originals = tmp_path / "originals"
    root = tmp_path / "export"
    lines = ['{"format": 1, "mode": "symlink", "complete": true}']
    for at in range(3):
        path = write(originals / f"{at}.png", noise(at))
        (root / "cat").mkdir(parents=True, exist_ok=True)
        os.symlink(path, root / "cat" / f"{at}.png")
        lines.append(f'{{"place": "cat/{at}.png", "content_id": "00", "path": "{path}"}}')
    os.symlink(write(tmp_path / "secret.png", noise(9)), root / "cat" / "other.png")
    (root / os.fsdecode(EXPORT_MANIFEST)).write_text("\n".join(lines))
    assert names(root) == ["cat/0.png", "cat/1.png", "cat/2.png"]
    assert names(root / "cat") == ["0.png", "1.png", "2.png"]
    found = scan(workspace, add_folder(workspace, root).id)
    assert (found.readable, [path for path, _ in found.failed]) == (3, [b"cat/other.png"])
    assert os.fsencode(MANIFEST) == EXPORT_MANIFEST


# --------------------------------------------------------------------------------------------------------- left out


def test_what_systems_and_tools_make_is_left_out_and_counted(workspace, tmp_path):
    root = tmp_path / "nas"
    for at in range(3):
        write(root / "album" / f"{at}.jpg", noise(at), "JPEG")
    made = ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "#snapshot", "__MACOSX", "node_modules")
    for folder in made:
        write(root / "album" / folder / "sub" / "copy.jpg", noise(90), "JPEG")
    write(root / ".git" / "x.jpg", noise(91), "JPEG")
    write(root / "album" / "._0.jpg", b"\0\5\x16\7" + bytes(50))
    dataset = add_folder(workspace, root)
    found = scan(workspace, dataset.id)
    assert found.files == found.readable == 3
    assert found.left_out == dict.fromkeys(made, 1) | {"hidden": 2}
    assert found.sentences == [f"9 files left out: {counted(found.left_out)}."]
    set_reading(workspace, dataset.id, FolderSettings(system_folders=True))
    found = scan(workspace, dataset.id)
    assert found.readable == 3 + len(made)
    assert found.left_out == {"hidden": 2}


def test_own_runs_exports_and_workspace_are_left_out(workspace, tmp_path):
    root = tmp_path / "photos"
    write(root / "a.png", noise(1))
    write(root / "results" / "run" / "figures" / "map.png", noise(2))
    write(root / "results" / "run" / "config.json", b"{}")
    write(root / "results" / "run" / "predictions.npz", b"")
    write(root / "labelled" / "cat" / "a.png", noise(1))
    write(root / "labelled" / "kindred-export.jsonl", b"{}")
    write(root / "Kindred" / "library" / "catalog.sqlite", b"")
    write(root / "Kindred" / "library" / "x.png", noise(3))
    write(root / "Kindred" / "cache" / "jobs" / "x.json", b"{}")
    write(root / "Kindred" / "cache" / "x.png", noise(4))
    assert names(root) == ["a.png"]
    assert names(root / "labelled") == ["cat/a.png"]  # opened on purpose
    assert len(names(root, system_folders=True)) == 5


def test_patterns_leave_out_names_and_paths_in_any_case_and_form(tmp_path):
    root = tmp_path / "p"
    for name in ("a.png", "Small_a.png", "raw/1.tif", "raw/keep/2.tif", "b/RAW/3.tif", "cafe\u0301/4.png"):
        write(root / name, noise(1), "PNG")
    assert names(root, exclude=("small*",)) == [
        "a.png",
        "b/RAW/3.tif",
        "cafe\u0301/4.png",
        "raw/1.tif",
        "raw/keep/2.tif",
    ]
    assert names(root, exclude=("raw",)) == ["Small_a.png", "a.png", "cafe\u0301/4.png"]
    assert names(root, exclude=("raw/*.tif",)) == ["Small_a.png", "a.png", "b/RAW/3.tif", "cafe\u0301/4.png"]
    assert "cafe\u0301/4.png" not in names(root, exclude=("caf\u00e9",))
    assert len(names(root, exclude=("", "  ", "/"))) == 6
    out = LeftOut(FolderSettings(exclude=("[",)))
    assert out.reason(b"a.png") == ""


def test_the_settings_stay_with_the_data_set_and_only_folders_have_them(workspace, tmp_path):
    write(tmp_path / "p" / "a.png", noise(1))
    dataset = add_folder(workspace, tmp_path / "p", truth_from_folders=True)
    set_reading(workspace, dataset.id, FolderSettings(exclude=("x*",), max_megapixels=12))
    kept = find_dataset(workspace, dataset.id).options
    assert kept == {"truth_from_folders": True, "exclude": ["x*"], "max_megapixels": 12.0}
    assert FolderSettings.of(kept) == FolderSettings(exclude=("x*",), max_megapixels=12)
    set_reading(workspace, dataset.id, FolderSettings())
    assert find_dataset(workspace, dataset.id).options == {"truth_from_folders": True}


# ------------------------------------------------------------------------------------------------------------ kinds


@pytest.fixture
def nothing_optional(monkeypatch):
    """As if neither rawpy nor pillow-jxl-plugin were installed."""
    for module in (kinds, report_module):
        monkeypatch.setattr(module, "reads_raw", lambda: False)
        monkeypatch.setattr(module, "reads_jxl", lambda: False)


def test_files_are_known_by_their_first_bytes(workspace, tmp_path, nothing_optional):
    root = tmp_path / "odd"
    base = quarters()
    for name, format in {
        "no suffix": "JPEG",
        "picture.jpg~": "JPEG",
        "picture.jpg_large": "PNG",
        "download.bin": "WEBP",
        "page.html": "GIF",
        "wrong.png": "JPEG",
        "wrong.cr2": "JPEG",
        "a.avif": "AVIF",
        "a.jp2": "JPEG2000",
        "a.ppm": "PPM",
        "netpbm": "PPM",
        "a.tga": "TGA",
        "a.ico": "ICO",
        "a.mpo": "MPO",
        "a.pcx": "PCX",
        "a.qoi": "QOI",
        "a.heic": "HEIF",
    }.items():
        write(root / name, encoded(base, format))
    others = {
        "raw.dng": b"II*\0" + bytes(200),
        "raw.CR2": b"II*\0" + bytes(200),
        "doc.pdf": b"%PDF-1.4",
        "vector.svg": b"<svg/>",
        "film.mov": b"\0\0\0\x14ftypqt  ",
        "x.jxl": b"\xff\x0a" + bytes(50),
        "notes": b"Python is P5 and BM",
        "empty": b"",
        "shop.psd": b"8BPS" + bytes(50),
    }
    for name, data in others.items():
        write(root / name, data)
    os.mkfifo(root / "pipe")
    found = scan(workspace, add_folder(workspace, root).id)
    assert found.failed == []
    assert found.readable == 17
    kinds_left = (".pdf", ".svg", ".mov", ".psd", ".dng", ".cr2", ".jxl")
    assert found.others == dict.fromkeys(kinds_left, 1) | {"without suffix": 3}
    assert any("rawpy" in sentence for sentence in found.sentences)
    assert any(
        f"{sum(found.others.values())} other files left alone: 3 without suffix" in one for one in found.sentences
    )
    assert found.files + sum(found.others.values()) + sum(found.left_out.values()) == len(list(root.iterdir()))


def test_a_folder_without_images_says_what_is_in_it(workspace, tmp_path, nothing_optional):
    for name in ("a.mov", "b.mov", "c.dng"):
        write(tmp_path / "films" / name, b"\0\0\0\x14ftypqt  ")
    with pytest.raises(InputError, match=r"3 other files left alone: 2 \.mov, 1 \.dng"):
        scan(workspace, add_folder(workspace, tmp_path / "films").id)


def test_raw_photographs_are_told_from_their_preview(tmp_path):
    from engine.images.decode import ImageError, decode

    image = Image.new("RGB", (8, 8), (200, 10, 10))
    dng = encoded(image, "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    if not kinds.reads_raw():
        with pytest.raises(ImageError, match="rawpy"):
            decode(dng)
    assert decode(encoded(image, "TIFF")).format == "tiff"


def test_raw_photographs_are_developed_where_rawpy_is_installed(monkeypatch):
    import sys
    from types import SimpleNamespace

    from engine.images import decode as module

    class Raw:
        sizes = SimpleNamespace(width=300, height=200, flip=6)

        def __enter__(self):
            return self

        def __exit__(self, *_): ...

        def postprocess(self, **options):
            assert options == {"use_camera_wb": True, "half_size": False}
            return np.full((300, 200, 3), 77, np.uint8)

    monkeypatch.setitem(sys.modules, "rawpy", SimpleNamespace(imread=lambda file: Raw()))
    monkeypatch.setattr(module, "reads_raw", lambda: True)
    found = module.decode(b"FUJIFILMCCD-RAW" + bytes(100), 256, hashed=1)
    assert (found.format, found.width, found.height, len(found.hashes)) == ("raw", 200, 300, 1)
    assert np.asarray(found.image).max() == 77


def dng() -> bytes:
    """The smallest digital negative that LibRaw opens: a mosaic without compression."""
    import tifffile

    mosaic = np.random.default_rng(0).integers(1000, 4000, (200, 300)).astype(np.uint16)
    matrix = [part for row in np.eye(3, dtype=int) for one in row for part in (int(one), 1)]
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (271, "s", 0, "Test", True),
        (272, "s", 0, "Camera", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50721, "2i", 9, tuple(matrix), True),
        (50717, "I", 1, 4095, True),
        (50778, "H", 1, 21, True),
    ]
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, mosaic, photometric=32803, extratags=tags)
    return buffer.getvalue()


def test_a_digital_negative_is_developed_or_says_what_it_needs(workspace, tmp_path):
    from engine.images.decode import ImageError, decode

    if not kinds.reads_raw():
        with pytest.raises(ImageError, match="Reading raw photographs needs the package rawpy"):
            decode(dng())
        return
    found = decode(dng(), 256, hashed=1)
    assert (found.format, found.width, found.height) == ("raw", 300, 200)
    with pytest.raises(ImageError, match="damaged, or of a camera"):
        decode(dng()[:3000])


def test_jpeg_xl_is_read_where_its_package_is_installed():
    pytest.importorskip("pillow_jxl")
    from engine.images.decode import ImageError, decode

    data = encoded(quarters(), "JXL", lossless=True)
    assert decode(data).format == "jxl"
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode(data[: len(data) // 2])


# --------------------------------------------------------------------------------------------- pages, frames, limits


@pytest.fixture
def several(tmp_path):
    root = tmp_path / "several"
    pages = [noise(at) for at in range(5)]
    for name, format in {"pages.tif": "TIFF", "moving.webp": "WEBP", "moving.gif": "GIF", "stereo.mpo": "MPO"}.items():
        more = pages[1:2] if format == "MPO" else pages[1:]
        write(root / name, encoded(pages[0], format, save_all=True, append_images=more))
    write(root / "single.tif", noise(9), "TIFF")
    return root


def test_the_first_page_is_taken_and_that_is_said(workspace, several):
    found = scan(workspace, add_folder(workspace, several).id)
    assert found.readable == 5
    assert dict(found.notes) == {
        b"pages.tif": "5 pages; only the first is taken.",
        b"moving.webp": "5 frames; only the first is taken.",
        b"moving.gif": "5 frames; only the first is taken.",
        b"stereo.mpo": "2 pictures; only the first is taken.",
    }
    assert found.sentences == ["4 files hold several pages or frames; the first of each is taken."]


def test_all_pages_are_images_of_their_own_on_request(workspace, several):
    dataset = add_folder(workspace, several)
    first = {file.path: file.content for file in (scan(workspace, dataset.id), files_of(workspace, dataset.id))[1]}
    set_reading(workspace, dataset.id, FolderSettings(all_pages=True))
    found = scan(workspace, dataset.id)
    files = {file.path: file for file in files_of(workspace, dataset.id)}
    assert found.readable == 18 and found.failed == []
    assert found.sentences == []
    assert all(files[path].content == content for path, content in first.items())
    assert files[b"pages.tif#page-3.tif"].width == 40
    source = find_dataset(workspace, dataset.id).source()
    page = source.read(b"pages.tif#page-3.tif")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(page))), np.asarray(noise(2)))
    assert scan(workspace, dataset.id).opened == 0
    set_reading(workspace, dataset.id, FolderSettings())
    assert scan(workspace, dataset.id).readable == 5


def test_sixteen_bit_pages_keep_their_values(workspace, tmp_path):
    root = tmp_path / "deep"
    pages = [Image.fromarray((np.arange(64 * 64).reshape(64, 64) * at).astype(np.uint16)) for at in (1, 7)]
    write(root / "stack.tif", encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    dataset = add_folder(workspace, root)
    set_reading(workspace, dataset.id, FolderSettings(all_pages=True))
    assert scan(workspace, dataset.id).depths["16-bit grey"].images == 2


def test_the_limit_of_pixels_is_a_setting_that_the_refusal_names(workspace, tmp_path):
    write(tmp_path / "large" / "a.png", Image.new("L", (2000, 1000)))
    write(tmp_path / "large" / "b.png", noise(1))
    dataset = add_folder(workspace, tmp_path / "large")
    set_reading(workspace, dataset.id, FolderSettings(max_megapixels=1.5))
    ((path, reason),) = scan(workspace, dataset.id).failed
    assert path == b"a.png"
    assert reason.endswith(
        "2000 x 1000 pixels, more than the limit of 1.5 megapixels; raise max megapixels to open it."
    )
    set_reading(workspace, dataset.id, FolderSettings())
    found = scan(workspace, dataset.id)
    assert (found.failed, found.opened) == ([], 1)  # only what was refused is opened again


# ---------------------------------------------------------------------------------------------------------- Unicode


def test_class_folders_are_compared_in_nfc_and_files_keep_their_bytes(workspace, tmp_path):
    root = tmp_path / "unicode"
    composed, decomposed = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")
    write(root / composed / "1.png", noise(1))
    write(root / decomposed / "2.png", noise(2))
    write(root / "Cafe" / "3.png", noise(3))
    write(root / "cafe" / "4.png", noise(4))
    found = scan(workspace, add_folder(workspace, root, truth_from_folders=True).id)
    assert found.classes == {"Cafe": 1, "cafe": 1, composed: 2}
    assert folder_truth([f"{decomposed}/x.png".encode(), b"b/y.png"])[0] == (composed, "")
    assert f"{decomposed}/2.png".encode() in {file.path for file in files_of(workspace, add_folder(workspace, root).id)}


def test_a_folder_is_found_in_the_other_form_of_its_accents(workspace, tmp_path):
    disk = tmp_path / unicodedata.normalize("NFD", "Été") / "sub"
    write(disk / "a.png", noise(1))
    typed = tmp_path / "Été" / "sub"
    assert not typed.exists()
    assert existing(typed) == disk
    assert add_folder(workspace, typed).path == disk
    assert existing(tmp_path / "nowhere") == tmp_path / "nowhere"


def test_a_folder_reached_by_another_path_is_the_same_data_set(workspace, tmp_path):
    write(tmp_path / "real" / "a.png", noise(1))
    first = add_folder(workspace, tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert add_folder(workspace, tmp_path / "link").id == first.id
    shutil.rmtree(tmp_path / "real")
    with pytest.raises(InputError, match="cannot be found"):
        add_folder(workspace, tmp_path / "link")


def test_names_that_a_person_types_find_files_of_either_form(workspace, tmp_path):
    from engine.embeddings.embed import embed
    from engine.embeddings.encoders.precomputed import PrecomputedSettings
    from engine.images.sampling import SampleSettings, draw_sample

    folder, file = unicodedata.normalize("NFD", "\u00c9t\u00e9"), unicodedata.normalize("NFD", "caf\u00e9.png")
    write(tmp_path / "u" / folder / file, noise(1))
    write(tmp_path / "u" / "x.png", noise(2))
    dataset = add_folder(workspace, tmp_path / "u")
    scan(workspace, dataset.id)
    for name in ("caf\u00e9.png", "\u00c9t\u00e9/caf\u00e9.png", f"{folder}/{file}"):
        sample = draw_sample(workspace, dataset.id, SampleSettings(count=1), targets=[name])
        assert (len(sample.targets), sample.warnings) == (1, [])
    vectors = tmp_path / "v.npz"
    np.savez(
        vectors,
        vectors=np.eye(2, dtype=np.float32),
        ids=["\u00c9t\u00e9/caf\u00e9.png", "x.png"],
        labels=["e\u0301", "\u00e9"],
    )
    assert len(embed(workspace, dataset.id, "precomputed", PrecomputedSettings(file=str(vectors)))) == 2
    found = scan(workspace, add_vectors(workspace, vectors).id)
    assert found.classes == {"\u00e9": 2}
