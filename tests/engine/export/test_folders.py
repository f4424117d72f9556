"""Exports into folders: what was planned is written, originals stay, and undo removes exactly what was written."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.export.folders as folders
from engine.core.errors import InputError, StorageError
from engine.core.files import content_id
from engine.export.folders import LABELS, MANIFEST, Plan, plan_folders, read_manifest, undo_export, write_plan
from engine.export.layout import CLASSES
from engine.export.names import Namer, safe_file_name, safe_name
from engine.images.datasets import find_dataset
from engine.images.sets.registry import Digits

ROOT = Path(__file__).resolve().parents[3]


def source(scene):
    return find_dataset(scene.workspace, scene.dataset).source()


def snapshot(folder):
    found = {}
    for at, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(at, name)
            found[path] = (os.stat(path).st_mtime_ns, Path(os.fsdecode(path)).read_bytes())
    return found


@pytest.fixture
def plan(scene):
    scene.history.rename(scene.state(), 1, "../../etc/قط")
    return plan_folders(scene.table())


def test_the_dry_run_counts_and_writes_nothing(scene, plan, tmp_path):
    assert sum(plan.counts().values()) == len(plan.places) == 8
    assert plan.skipped == 1
    assert plan.n_bytes > 0
    assert set(plan.counts()) == {"cat", "_.._.._etc_قط"}
    assert f"cat/  {plan.counts()['cat']} images" in plan.tree()
    everything = plan_folders(scene.table(), include_unlabelled=True)
    assert everything.counts()["_unlabelled"] == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_files_arrive_whole_and_originals_are_untouched(scene, plan, tmp_path, mode):
    before = snapshot(scene.folder)
    table, target = scene.table(), tmp_path / "out"
    report = write_plan(plan, table, source(scene), target, mode=mode)
    assert (report.written, report.failed) == (8, [])
    for line, place in plan.places.items():
        path = target / place
        assert content_id(path.read_bytes()) == table.contents[line : line + 1].tobytes()
        assert path.is_symlink() == (mode == "symlink")
        if mode == "hardlink":
            assert path.stat().st_nlink == 2
    assert snapshot(scene.folder) == before
    assert all(path.resolve().is_relative_to(tmp_path) for path in target.rglob("*"))
    written = [path for path in target.rglob("*") if path.is_file() and path.name not in (MANIFEST, LABELS, CLASSES)]
    assert len(written) == 8, "nothing but the images, the labels, the classes and the manifest"
    undone = undo_export(target)
    assert (undone.removed, undone.kept) == (10, []), "the images, the labels and the classes"
    assert not target.exists()
    assert snapshot(scene.folder) == before


def test_the_manifest_lists_every_file_with_its_hash(scene, plan, tmp_path):
    write_plan(plan, scene.table(), source(scene), tmp_path / "out")
    header = json.loads((tmp_path / "out" / MANIFEST).read_text().splitlines()[0])
    assert (header["complete"], header["mode"]) == (True, "copy")
    for entry in read_manifest(tmp_path / "out"):
        data = (tmp_path / "out" / entry["place"]).read_bytes()
        assert content_id(data).hex() == entry["content_id"]


def test_undo_keeps_what_a_person_changed_or_added(scene, plan, tmp_path):
    target = tmp_path / "out"
    write_plan(plan, scene.table(), source(scene), target)
    changed, *_ = plan.places.values()
    (target / changed).write_bytes(b"edited")
    (target / "cat" / "mine.txt").write_text("mine")
    undone = undo_export(target)
    assert (undone.removed, undone.kept) == (9, [changed]), "seven images, the labels and the classes"
    assert sorted(path.name for path in target.rglob("*") if path.is_file()) == sorted(
        ["mine.txt", PurePosixPath(changed).name]
    )
    with pytest.raises(InputError, match="no export"):
        undo_export(target)


def test_a_file_that_is_gone_or_changed_is_listed_and_the_rest_written(scene, plan, tmp_path):
    (scene.folder / "a" / "two.png").unlink()
    (scene.folder / "b" / "one.png").write_bytes(b"other bytes")
    report = write_plan(plan, scene.table(), source(scene), tmp_path / "out")
    assert report.written == 6
    assert {path for path, _ in report.failed} == {"a/two.png", "b/one.png"}
    assert "changed since the scan" in dict(report.failed)["b/one.png"]
    linked = write_plan(plan, scene.table(), source(scene), tmp_path / "links", mode="symlink")
    assert [path for path, _ in linked.failed] == ["a/two.png"]


def test_a_full_disk_is_told_and_leaves_nothing(scene, plan, tmp_path, monkeypatch):
    replace, count = os.replace, iter(range(100))

    def full(old, new):
        if str(old).endswith(".part") and next(count) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(old, new)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_plan(plan, scene.table(), source(scene), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(StorageError, match="GiB are free"):
        write_plan(plan, scene.table(), source(scene), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_disks_cannot_be_hard_linked(scene, plan, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(InputError, match="same disk"):
        write_plan(plan, scene.table(), source(scene), tmp_path / "out", mode="hardlink")
    assert not (tmp_path / "out").exists()


KILLED = """
import sys, time, pathlib
from tests.engine.export.test_folders import slow_export
slow_export(*sys.argv[1:])
"""


def slow_export(root, dataset, target):
    """Export with a pause after each image, so that a test can kill it in the middle."""
    from engine.core.workspace import Workspace
    from engine.images.tables import load_images
    from engine.labels.table import label_table

    workspace = Workspace.open(root)
    images = load_images(workspace, dataset)
    table = label_table(workspace, dataset, images.contents, np.zeros(len(images), np.int32))
    table.label[:] = ["cat"] * len(table)
    copy = folders._copy

    def slow(*arguments):
        copy(*arguments)
        sys.stdout.write("one\n")
        sys.stdout.flush()
        time.sleep(0.2)

    folders._copy = slow
    write_plan(plan_folders(table), table, find_dataset(workspace, dataset).source(), Path(target))


def test_a_killed_export_is_undone_whole(scene, tmp_path):
    target = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(scene.workspace.root), scene.dataset, str(target)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = [path for path in (target / "cat").iterdir() if not path.name.startswith(".")]
    assert 2 <= len(left) < 9
    (target / "cat" / f".{left[0].name}.part").write_bytes(b"half")
    undo_export(target)
    assert not target.exists()


def test_images_are_written_side_by_side_and_failures_are_told_in_the_order_of_the_plan(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_BATCH", 4)
    together = threading.Barrier(2)
    copy, numbers = folders._copy, itertools.count()

    def held(source, path, content, place):
        if next(numbers) < 2:  # the first two meet, which they cannot where one is written after the other
            together.wait(timeout=60)
        if path.endswith(b"one.png"):
            raise InputError(f"{path!r} is refused.")
        copy(source, path, content, place)

    monkeypatch.setattr(folders, "_copy", held)
    table = scene.table()
    table.label[:] = ["cat"] * len(table)
    plan = plan_folders(table)
    found = write_plan(plan, table, source(scene), tmp_path / "out")
    refused = [path for path in table.paths if path.endswith(b"one.png")]
    assert [path for path, _ in found.failed] == [path.decode() for path in refused]
    assert found.written == len(table) - len(refused) == len(list((tmp_path / "out" / "cat").iterdir()))


@pytest.mark.parametrize("where", ["photos", "photos/sub", ".", "full"])
def test_targets_that_could_do_harm_are_refused(scene, plan, tmp_path, where):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    before = snapshot(tmp_path)
    with pytest.raises(InputError):
        write_plan(plan, scene.table(), source(scene), tmp_path / where)
    assert snapshot(tmp_path) == before


def test_images_that_are_no_files_are_copied_only(scene, plan, tmp_path):
    with pytest.raises(InputError, match="cannot be linked"):
        write_plan(plan, scene.table(), Digits(), tmp_path / "out", mode="symlink")
    with pytest.raises(InputError, match="No image has a label"):
        write_plan(Plan({}), scene.table(), source(scene), tmp_path / "out")


@pytest.mark.parametrize("place", ["../x", "/etc/passwd", "a/../../x", "", "a\\b", MANIFEST])
def test_no_place_leads_out_of_the_target(place):
    with pytest.raises(InputError):
        Plan({0: place})
    with pytest.raises(InputError):
        Plan({}, {place: b""})


def test_an_edited_manifest_deletes_nothing_outside(scene, plan, tmp_path):
    target, victim = tmp_path / "out", tmp_path / "victim.txt"
    victim.write_bytes(b"precious")
    write_plan(plan, scene.table(), source(scene), target)
    manifest = target / MANIFEST
    original = manifest.read_text()
    line = {"place": "../victim.txt", "content_id": content_id(b"precious").hex(), "path": None}
    manifest.write_text(original + json.dumps(line) + "\n")
    with pytest.raises(InputError, match="edited"):
        undo_export(target)
    (target / "door").symlink_to(tmp_path)
    line["place"] = "door/victim.txt"
    manifest.write_text(original + json.dumps(line) + "\n")
    assert undo_export(target).kept == ["door/victim.txt"]
    assert victim.read_bytes() == b"precious"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_safe_names_are_one_component_everywhere(text):
    name = safe_name(text)
    assert name not in ("", ".", "..")
    assert len(name.encode()) <= 120
    assert not set(name) & set('<>:"/\\|?*\x00\n\r\t\u202e')
    assert name[0] not in ".-=+@"
    assert name[-1] not in ". "
    assert PurePosixPath(name).parts == (name,)
    assert safe_name(name) == name or len(text) > 100


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cat", "cat"),
        ("a/b", "a_b"),
        ("..", "_"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("=x", "_=x"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("قطة", "قطة"),
        ("a\u202eb", "ab"),
        (".hidden", "_.hidden"),
        ("dot.", "dot"),
        ("-rf", "_-rf"),
    ],
)
def test_names_a_person_may_type(text, name):
    assert safe_name(text) == name


def test_file_names_keep_their_extension_and_are_unique_without_case():
    assert safe_file_name(b"a/b/=x y.PNG") == "_=x y.PNG"
    assert safe_file_name(b"caf\xe9.jpg") == "caf_xe9.jpg"
    assert safe_file_name(b"x" * 300 + b".jpeg").endswith(".jpeg")
    assert safe_file_name(b"new\nline.png") == "new_line.png"
    namer = Namer()
    assert [namer.take(name) for name in ("a.png", "A.png", "a.jpg", "b.png", "a (2).png", "a.png")] == [
        "a.png",
        "A (2).png",
        "a (3).jpg",
        "b.png",
        "a (2) (2).png",
        "a (4).png",
    ]


def test_labels_that_differ_in_case_get_different_folders(scene):
    scene.history.rename(scene.state(), 1, "CAT")
    assert sorted(plan_folders(scene.table()).counts()) == ["CAT", "cat (2)"]


def test_a_class_called_like_a_file_of_the_export_gets_another_folder(scene, tmp_path):
    scene.history.rename(scene.state(), 1, LABELS)
    table = scene.table()
    write_plan(plan_folders(table), table, source(scene), tmp_path / "out")
    assert (tmp_path / "out" / LABELS).is_file()
