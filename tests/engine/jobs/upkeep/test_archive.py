"""Backup and restore: the library comes back byte for byte, into an empty workspace only, and from nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import zipfile

import pytest

from engine.__main__ import main
from engine.core.errors import InputError, StorageError
from engine.core.workspace import Workspace
from engine.jobs.tasks.upkeep import (
    BackupRequest,
    DoctorRequest,
    RestoreRequest,
    back_up,
    check_workspace,
    restore_library,
)
from engine.jobs.upkeep.archive import MANIFEST
from engine.labels.events import LabelHistory
from engine.runs.run import list_runs


def dump(path):
    """Return every row of the catalog."""
    db = sqlite3.connect(path)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    db.close()
    return found


def files(library):
    """Return the bytes of each file but the catalog's own."""
    found = (path for path in library.rglob("*") if path.is_file() and not path.name.startswith("catalog.sqlite"))
    return {path.relative_to(library).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def archive(workspace, worked, tmp_path):
    path = tmp_path / "kindred.zip"
    back_up(workspace, BackupRequest(file=str(path)))
    return path


@pytest.fixture
def empty(tmp_path):
    return Workspace.open(tmp_path / "empty")


def exported(workspace, run, target):
    assert (
        main(["export", str(run), "--workspace", str(workspace.root), "--format", "csv", "--output", str(target)]) == 0
    )
    return target.read_bytes()


def test_the_library_comes_back_byte_for_byte(workspace, worked, archive, empty, tmp_path):
    rows, run = worked
    found = restore_library(empty, RestoreRequest(file=str(archive)))
    assert found.files == len(files(workspace.library)) + 1
    assert files(empty.library) == files(workspace.library)
    assert dump(empty.catalog) == dump(workspace.catalog)
    assert [one.folder.name for one in list_runs(empty)] == [run.folder.name]
    labels = [
        LabelHistory(place, rows.dataset.id).state(rows.contents, run.assignments, run=run.folder.name).labels
        for place in (workspace, empty)
    ]
    assert labels[0] == labels[1]
    assert 'red, "quoted" and ünï' in labels[0]
    assert check_workspace(empty, DoctorRequest()).left == []
    assert stat.S_IMODE(empty.library.stat().st_mode) == 0o700
    shutil.copytree(workspace.cache / "embeddings", empty.cache / "embeddings")
    csv = [
        exported(place, list_runs(place)[0].folder, tmp_path / f"{at}.csv")
        for at, place in ((0, workspace), (1, empty))
    ]
    assert csv[0] == csv[1]
    LabelHistory(empty, rows.dataset.id).undo()  # and it goes on from there
    assert not list(empty.root.glob("library.*"))


def test_what_can_be_made_again_stays_out(workspace, worked, tmp_path):
    _, run = worked
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "checkpoint_epoch3.pt").write_bytes(bytes(1000))
    (run.folder / "lock").touch()
    (run.folder / ".results.json.1.tmp").touch()
    found = back_up(workspace, BackupRequest(file=str(tmp_path / "b.zip")))
    names = zipfile.ZipFile(tmp_path / "b.zip").namelist()
    assert (found.left_out, found.left_out_size) == (1, 1000)
    assert not [name for name in names if "checkpoint" in name or "lock" in name or ".tmp" in name or "cache" in name]
    assert f"runs/{run.folder.name}/predictions.npz" in names


def test_a_backup_holds_what_is_still_in_the_write_ahead_log(workspace, worked, tmp_path, empty):
    rows, run = worked
    reader = sqlite3.connect(workspace.catalog)  # keeps the log from being folded into the catalog
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchone()
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 1, "last minute")
    back_up(workspace, BackupRequest(file=str(tmp_path / "b.zip")))
    reader.close()
    restore_library(empty, RestoreRequest(file=str(tmp_path / "b.zip")))
    assert dump(empty.catalog) == dump(workspace.catalog)


def test_a_workspace_with_work_is_refused_and_stays(workspace, worked, archive):
    before = dump(workspace.catalog), files(workspace.library)
    with pytest.raises(InputError, match="already holds work"):
        restore_library(workspace, RestoreRequest(file=str(archive)))
    assert (dump(workspace.catalog), files(workspace.library)) == before


def test_a_workspace_that_was_only_opened_counts_as_empty(empty, archive):
    from engine.images.datasets import list_datasets

    assert list_datasets(empty) == []  # the app has been started on it: there is a catalog, with nothing in it
    restore_library(empty, RestoreRequest(file=str(archive)))
    assert len(list_datasets(empty)) == 1


def test_a_backup_replaces_nothing_and_never_lies_in_the_library(workspace, worked, archive, tmp_path):
    before = archive.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        back_up(workspace, BackupRequest(file=str(archive)))
    assert archive.read_bytes() == before
    with pytest.raises(InputError, match="in the library"):
        back_up(workspace, BackupRequest(file=str(workspace.library / "b.zip")))
    with pytest.raises(InputError, match="is empty"):
        back_up(Workspace.open(tmp_path / "new"), BackupRequest(file=str(tmp_path / "b.zip")))


def rewritten(archive, target, *, listed=True, **members):
    """Copy an archive with further members (name: bytes or ZipInfo with bytes), which its list names if `listed`."""
    import hashlib

    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        about = json.loads(old.read(MANIFEST))
        for name in old.namelist():
            if name != MANIFEST:
                new.writestr(name, old.read(name))
        for info, data in members.values():
            new.writestr(info, data)
            if listed:
                stored = info if isinstance(info, str) else info.filename
                digest = hashlib.blake2b(data, digest_size=16).hexdigest()
                about["files"][stored] = {"size": len(data), "blake2b": digest}
        new.writestr(MANIFEST, json.dumps(about))
    return target


def link(name, to, kind=stat.S_IFLNK):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info, to


HOSTILE = {
    "absolute": ("/tmp/kindred-evil", b"x"),
    "up": ("../evil", b"x"),
    "up inside": ("runs/../../evil", b"x"),
    "only up": ("..", b"x"),
    "dot": ("./runs/x", b"x"),
    "double": ("runs//x", b"x"),
    "drive": ("C:/evil", b"x"),
    "backslash": ("..\\evil", b"x"),
    "folder": ("runs/x/", b""),
    "link": link("runs/link", b"/etc/passwd"),
    "link up": link("views", b"../.."),
    "device": link("runs/device", b"", stat.S_IFCHR),
    "fifo": link("runs/fifo", b"", stat.S_IFIFO),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_member_that_would_lie_elsewhere_or_is_no_file_is_refused(archive, empty, tmp_path, case):
    hostile = rewritten(archive, tmp_path / "hostile.zip", one=HOSTILE[case])
    outside = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(InputError, match="would not lie in the library"):
        restore_library(empty, RestoreRequest(file=str(hostile)))
    assert sorted(path for path in tmp_path.rglob("*")) == outside
    assert files(empty.library) == {}


def damaged(archive, how, target):
    data = bytearray(archive.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = bytearray()
    elif how == "hit":
        with zipfile.ZipFile(archive) as whole:
            info = whole.getinfo("catalog.sqlite")
        for at in range(info.header_offset + 200, info.header_offset + 260):
            data[at] ^= 0x55
    elif how == "text":
        data = bytearray(b"labels, as text")
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("how", ["cut", "empty", "hit", "text"])
def test_a_damaged_archive_leaves_the_workspace_as_it_was(archive, empty, tmp_path, how):
    with pytest.raises(InputError, match="no whole backup"):
        restore_library(empty, RestoreRequest(file=str(damaged(archive, how, tmp_path / "bad.zip"))))
    assert files(empty.library) == {}
    assert not list(empty.root.glob("library.*"))


def test_members_that_the_list_does_not_name_and_others_twice_are_refused(archive, empty, tmp_path):
    for name in ("unlisted", "views/more.json"):
        extra = rewritten(archive, tmp_path / "extra.zip", listed=False, one=(name, b"x"))
        with pytest.raises(InputError, match="no whole backup"):
            restore_library(empty, RestoreRequest(file=str(extra)))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = rewritten(archive, tmp_path / "twice.zip", one=("a", b"1"), two=("a", b"1"))
    with pytest.raises(InputError, match="no whole backup"):
        restore_library(empty, RestoreRequest(file=str(twice)))


def test_a_member_that_unpacks_to_more_than_the_list_says_stops(archive, empty, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        about = json.loads(old.read(MANIFEST))
        about["files"] = {"zeros": {"size": 10, "blake2b": "0" * 32}}
        new.writestr("zeros", bytes(50_000_000))
        new.writestr(MANIFEST, json.dumps(about))
    with pytest.raises(InputError, match="no whole backup"):
        restore_library(empty, RestoreRequest(file=str(bomb)))


def test_other_zips_a_newer_one_and_a_lying_list(archive, empty, tmp_path):
    other = tmp_path / "photos.zip"
    with zipfile.ZipFile(other, "w") as made:
        made.writestr("a.jpg", b"x")
    with pytest.raises(InputError, match="is no backup of Kindred"):
        restore_library(empty, RestoreRequest(file=str(other)))
    for change, words in (
        ({"format": 99}, "newer Kindred"),
        ({"catalog": 99}, "newer Kindred"),
        ({"files": []}, "no whole backup"),
        ({"files": {"a": {"size": -1, "blake2b": ""}}}, "no whole backup"),
        ({"format": "x"}, "no whole backup"),
    ):
        with zipfile.ZipFile(archive) as old, zipfile.ZipFile(tmp_path / "n.zip", "w") as new:
            new.writestr(MANIFEST, json.dumps(json.loads(old.read(MANIFEST)) | change))
        with pytest.raises(InputError, match=words):
            restore_library(empty, RestoreRequest(file=str(tmp_path / "n.zip")))


def test_a_damaged_catalog_in_a_well_formed_archive_is_refused(archive, empty, tmp_path):
    import hashlib

    bad = os.urandom(5000)
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(tmp_path / "c.zip", "w") as new:
        about = json.loads(old.read(MANIFEST))
        new.writestr("catalog.sqlite", bad)
        digest = hashlib.blake2b(bad, digest_size=16).hexdigest()
        about["files"] = {"catalog.sqlite": {"size": len(bad), "blake2b": digest}}
        new.writestr(MANIFEST, json.dumps(about))
    with pytest.raises(InputError, match="catalog in the backup is damaged"):
        restore_library(empty, RestoreRequest(file=str(tmp_path / "c.zip")))


def test_a_full_disk_leaves_no_half_backup_and_no_half_library(
    workspace, worked, archive, empty, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        back_up(workspace, BackupRequest(file=str(tmp_path / "b2.zip")))
    with pytest.raises(StorageError, match="disk is full"):
        restore_library(empty, RestoreRequest(file=str(archive)))
    assert not (tmp_path / "b2.zip").exists() and not list(tmp_path.glob(".*"))
    assert files(empty.library) == {} and not list(empty.root.glob("library.*"))


def test_the_commands(workspace, worked, tmp_path, capsys):
    file, place = tmp_path / "kindred.zip", tmp_path / "elsewhere"
    assert main(["backup", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(file)
    assert main(["restore", str(file), "--workspace", str(place)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(place)
    assert main(["restore", str(file), "--workspace", str(place)]) == 2
    assert "already holds work" in capsys.readouterr().err
    assert main(["restore", str(tmp_path / "none.zip"), "--workspace", str(place)]) == 2
    assert dump(Workspace(place).catalog) == dump(workspace.catalog)
