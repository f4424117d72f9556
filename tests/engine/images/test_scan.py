"""The scan keeps the catalog true, opens nothing twice, lists what is broken and survives kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.images import scan as scan_module
from engine.images.datasets import add_benchmark, add_folder, add_vectors, find_dataset
from engine.images.report import report
from engine.images.scan import scan
from engine.images.sources import FolderSource
from engine.images.tables import files_of, load_images
from engine.images.thumbnails import ThumbnailStore
from tests.conftest import shared_data
from tests.engine.images.pictures import encoded, noise, quarters, write
from tests.engine.images.test_decode import claimed_png
from tests.engine.images.test_sources import HOSTILE


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for at in range(6):
        write(root / f"{'ab'[at % 2]}" / f"{at}.png", noise(at))
    return root


@pytest.fixture
def opened(monkeypatch):
    """The names that were opened since the last `clear`."""
    names: list[bytes] = []
    real = FolderSource.read

    def read(self, name):
        names.append(name)
        return real(self, name)

    monkeypatch.setattr(FolderSource, "read", read)
    return names


def test_a_scan_tells_what_there_is(workspace, folder):
    write(folder / "copy.png", noise(0))
    write(folder / "wide.jpg", noise(9, 100, 20), "JPEG")
    dataset = add_folder(workspace, folder)
    found = scan(workspace, dataset.id)
    assert (found.files, found.readable, found.distinct, found.failed) == (8, 8, 7, [])
    assert found.formats == {"png": 7, "jpeg": 1}
    assert found.sizes["smallest"] == (40, 30)
    assert found.sizes["largest"] == (100, 20)
    assert found.sizes["bytes"] == sum(path.stat().st_size for path in folder.rglob("*.*"))
    assert found.duplicates == [[b"a/0.png", b"copy.png"]]
    assert found.classes == {"a": 3, "b": 3}
    assert (found.opened, found.added, found.changed, found.removed) == (8, 8, 0, 0)
    assert find_dataset(workspace, dataset.id).scanned is not None
    table = load_images(workspace, dataset.id)
    assert table.paths == sorted(table.paths)
    assert len(table) == 7
    assert not any(table.truth)
    assert set(np.unique(table.width)) == {40, 100}


def test_an_unchanged_folder_is_not_opened(workspace, folder, opened):
    dataset = add_folder(workspace, folder)
    first = scan(workspace, dataset.id)
    ids = load_images(workspace, dataset.id).ids
    opened.clear()
    again = scan(workspace, dataset.id)
    assert opened == []
    assert again.opened == 0
    assert again.files == first.files
    assert np.array_equal(load_images(workspace, dataset.id).ids, ids)


def test_new_changed_touched_renamed_and_removed_files(workspace, folder, opened):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    before = {row.path: row for row in files_of(workspace, dataset.id)}
    write(folder / "new.png", noise(50))
    write(folder / "a" / "0.png", noise(51))
    os.utime(folder / "b" / "1.png", ns=(1, 1))
    (folder / "a" / "2.png").rename(folder / "a" / "renamed.png")
    (folder / "b" / "3.png").unlink()
    opened.clear()
    found = scan(workspace, dataset.id)
    assert sorted(opened) == [b"a/0.png", b"a/renamed.png", b"b/1.png", b"new.png"]
    assert (found.added, found.changed, found.removed) == (2, 1, 2)
    after = {row.path: row for row in files_of(workspace, dataset.id)}
    assert set(after) == {b"new.png", b"a/0.png", b"b/1.png", b"a/renamed.png", b"a/4.png", b"b/5.png"}
    assert after[b"a/0.png"].content != before[b"a/0.png"].content
    assert after[b"a/0.png"].id not in {row.id for row in before.values()}
    assert after[b"b/1.png"].id == before[b"b/1.png"].id
    assert after[b"a/renamed.png"].content == before[b"a/2.png"].content
    assert after[b"a/4.png"] == before[b"a/4.png"]


def bad_files(root):
    """Every kind of broken file, with a word of the reason it must get."""
    whole = encoded(noise(3, 300, 200), "JPEG")
    files = {
        "empty.png": (b"", "empty"),
        "text.jpg": (b"not a picture at all", "Not an image"),
        "short.jpg": (whole[: len(whole) // 2], "cut short"),
        "bomb.png": (claimed_png(30_000, 30_000), "pixels"),
        "broken.png": (encoded(noise(4), "PNG").replace(b"IDAT", b"IDXT", 1), "."),
    }
    for name, (data, _) in files.items():
        write(root / name, data)
    return {name.encode(): word for name, (_, word) in files.items()}


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_listed_and_the_rest_goes_on(workspace, folder, opened):
    reasons = bad_files(folder)
    write(folder / "one.gif", quarters(1, 1), "GIF")
    write(folder / "panorama.png", quarters(30_000, 40), "PNG")
    dataset = add_folder(workspace, folder)
    found = scan(workspace, dataset.id)
    assert found.readable == 8
    failed = dict(found.failed)
    assert set(failed) == set(reasons)
    for name, word in reasons.items():
        assert word in failed[name]
        assert failed[name].endswith(".")
    opened.clear()
    assert dict(scan(workspace, dataset.id).failed) == failed
    assert opened == []
    write(folder / "short.jpg", encoded(noise(3), "JPEG"))
    assert b"short.jpg" not in dict(scan(workspace, dataset.id).failed)


def test_hostile_names_scan_whole(workspace, tmp_path):
    root = tmp_path / "names"
    root.mkdir()
    for at, name in enumerate(HOSTILE):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(encoded(noise(at), "PNG"))
    dataset = add_folder(workspace, root, truth_from_folders=True)
    found = scan(workspace, dataset.id)
    assert found.failed == []
    assert load_images(workspace, dataset.id).paths == sorted(name for name in HOSTILE if not name.startswith(b"."))


def test_a_file_removed_between_listing_and_reading(workspace, folder, monkeypatch):
    dataset = add_folder(workspace, folder)
    real = FolderSource.read

    def read(self, name):
        if name == b"a/2.png":
            (folder / "a" / "2.png").unlink(missing_ok=True)
        return real(self, name)

    monkeypatch.setattr(FolderSource, "read", read)
    found = scan(workspace, dataset.id)
    assert found.failed == [(b"a/2.png", "The file cannot be read: it is gone.")]
    assert found.readable == 5
    monkeypatch.undo()
    again = scan(workspace, dataset.id)
    assert again.failed == []
    assert again.files == 5


def test_unreadable_files_are_tried_again(workspace, folder, monkeypatch):
    dataset = add_folder(workspace, folder)
    with monkeypatch.context() as patch:
        real = os.open

        def closed(path, *args, **options):
            if os.fsencode(path).endswith(b"0.png"):
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **options)

        patch.setattr(os, "open", closed)
        assert scan(workspace, dataset.id).failed == [(b"a/0.png", "The file cannot be read: no permission.")]
    found = scan(workspace, dataset.id)
    assert found.failed == []
    assert found.opened == 1


def test_images_below_a_closed_folder_are_kept(workspace, folder, monkeypatch):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    real = os.scandir

    def scandir(path):
        if os.fsencode(path).endswith(b"/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = scan(workspace, dataset.id)
    assert found.readable == 6
    assert found.failed == [(b"b/", "The folder cannot be read: no permission.")]
    monkeypatch.undo()
    assert scan(workspace, dataset.id).failed == []


def test_an_empty_folder_and_a_folder_that_went_away(workspace, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image"):
        scan(workspace, add_folder(workspace, tmp_path / "empty").id)
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="cannot be found"):
        scan(workspace, dataset.id)
    assert report(workspace, dataset.id).readable == 6


def test_thumbnails_are_made_in_the_same_pass_or_not_at_all(workspace, folder):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id, thumbnails=False)
    store = ThumbnailStore(workspace.thumbnails)
    contents = [row.content for row in files_of(workspace, dataset.id)]
    assert store.known(contents) == set()
    for path in folder.rglob("*.png"):
        os.utime(path)
    scan(workspace, dataset.id)
    assert store.known(contents) == set(contents)


def test_class_folders_are_truth_when_asked(workspace, folder):
    dataset = add_folder(workspace, folder, truth_from_folders=True)
    found = scan(workspace, dataset.id)
    assert found.classes == {"a": 3, "b": 3}
    assert set(load_images(workspace, dataset.id).truth) == {"a", "b"}
    (folder / "a" / "0.png").rename(folder / "b" / "0.png")
    assert scan(workspace, dataset.id).classes == {"a": 2, "b": 4}


def test_digits_scan_whole(workspace):
    dataset = add_benchmark(workspace, "digits")
    found = scan(workspace, dataset.id)
    assert (found.files, found.readable, found.distinct) == (1797, 1797, 1797)
    assert len(found.classes) == 10
    assert scan(workspace, dataset.id).opened == 0


def test_a_changed_vector_file_is_read_again(workspace, tmp_path, rng):
    path = tmp_path / "v.npz"
    np.savez(path, vectors=rng.normal(size=(4, 3)), ids=["a", "b", "c", "d"])
    dataset = add_vectors(workspace, path)
    np.savez(path, vectors=rng.normal(size=(3, 3)), ids=["b", "c", "e"], labels=["x", "y", "x"])
    assert scan(workspace, dataset.id).readable == 3
    after = load_images(workspace, dataset.id)
    assert after.paths == [b"b", b"c", b"e"]
    assert after.truth == ["x", "y", "x"]


class Watcher:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def update(self, done, total, *, phase="", unit="", **metrics):
        self.heard.append((done, total, phase, metrics))

    def say(self, sentence): ...

    def snapshot(self, labels): ...

    def stop_requested(self):
        return False


def test_progress_rises_to_the_total(workspace, folder, monkeypatch):
    monkeypatch.setattr(scan_module, "BATCH", 2)
    monkeypatch.setattr(scan_module, "HANDFUL", 1)
    write(folder / "empty.png", b"")
    watcher = Watcher()
    scan(workspace, add_folder(workspace, folder).id, progress=watcher)
    done = [one[0] for one in watcher.heard]
    assert done == sorted(done)
    assert len(set(done)) >= 4
    assert watcher.heard[-1] == (7, 7, "Reading images", {"failed": 1})


def test_two_scans_at_once_agree(workspace, folder):
    dataset = add_folder(workspace, folder)
    reports = []
    workers = [threading.Thread(target=lambda: reports.append(scan(workspace, dataset.id))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [found.readable for found in reports] == [6, 6, 6]
    assert report(workspace, dataset.id).files == 6


KILLED = """
import sys, time
from engine.images import scan as module
from engine.images.sources import FolderSource
from engine.core.workspace import Workspace
module.BATCH = module.HANDFUL = 4
real = FolderSource.read
def slow(self, name):
    time.sleep(0.05)
    return real(self, name)
FolderSource.read = slow
module.scan(Workspace.open(), sys.argv[1])
"""


def test_kill_9_loses_nothing_and_the_next_scan_goes_on(workspace, tmp_path, opened):
    root = tmp_path / "many"
    for at in range(60):
        write(root / f"{at:02}.png", noise(at))
    dataset = add_folder(workspace, root)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([sys.executable, "-c", KILLED, dataset.id], env=environment)
    try:
        deadline = time.monotonic() + 60
        while report(workspace, dataset.id).readable < 8:
            assert process.poll() is None, "the scan ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = {row.path: row.id for row in files_of(workspace, dataset.id)}
    assert 8 <= len(kept) < 60
    assert find_dataset(workspace, dataset.id).scanned is None
    found = scan(workspace, dataset.id)
    assert found.readable == 60
    assert found.opened == 60 - len(kept)
    assert not set(opened) & set(kept)
    after = {row.path: row.id for row in files_of(workspace, dataset.id)}
    assert kept.items() <= after.items()
    contents = [row.content for row in files_of(workspace, dataset.id)]
    assert ThumbnailStore(workspace.thumbnails).known(contents) == set(contents)


def test_real_photographs(workspace):
    dataset = add_folder(workspace, shared_data("clothing_341"), truth_from_folders=True)
    found = scan(workspace, dataset.id)
    assert (found.readable, found.failed, len(found.classes)) == (341, [], 10)
    assert found.classes["t-shirt"] == 81
