"""The doctor finds each kind of damage, mends what is cache, and never changes the library."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys

import numpy as np
import pytest

from engine.__main__ import main
from engine.core.workspace import Workspace
from engine.embeddings.store import EmbeddingStore
from engine.images.datasets import remove_dataset
from engine.jobs.tasks.upkeep import DoctorRequest, check_workspace
from engine.runs.rows import load_rows


def sentences(workspace):
    return [finding.sentence for finding in check_workspace(workspace, DoctorRequest()).left]


def prints(folder):
    """Return the hash of each file; SQLite's own files beside a database come and go."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return {path.relative_to(folder): hashlib.blake2b(path.read_bytes()).hexdigest() for path in files}


def store_of(workspace, rows):
    return workspace.embeddings(rows.embedding.config_key)


def gone_process():
    """Return the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_whole_workspace_is_whole_and_counted(workspace, worked):
    found = check_workspace(workspace, DoctorRequest())
    assert found.left == []
    library = found.library
    assert (library.datasets, library.images, library.events, library.runs) == (1, 30, 4, 1)


def test_an_empty_workspace_is_whole(workspace):
    assert sentences(workspace) == []


def damage_shard(workspace, rows):
    path = store_of(workspace, rows) / "shard-000000.npy"
    path.write_bytes(path.read_bytes()[:-7])


def damage_numbers(workspace, rows):
    path = store_of(workspace, rows) / "shard-000000.npy"
    array = np.load(path)
    array[3, 2] = np.nan
    np.save(path, array)


def damage_keys(workspace, rows):
    path = store_of(workspace, rows) / "shard-000000.keys"
    path.write_bytes(path.read_bytes()[:-16])


def keys_alone(workspace, rows):
    (store_of(workspace, rows) / "shard-000007.keys").write_bytes(bytes(16))


def damage_configuration(workspace, rows):
    (store_of(workspace, rows) / "config.json").write_text('{"encoder": ')


def damage_graph(workspace, rows):
    np.save(workspace.neighbors(rows.embedding.key) / "indices.npy", np.zeros((3, 3), np.int32))


def damage_map(workspace, rows):
    folder = workspace.projection("x")
    folder.mkdir(parents=True)
    (folder / "xy.npy").write_bytes(b"")


def damage_thumbnails(workspace, rows):
    workspace.thumbnails.write_bytes(b"no database at all, and longer than its header" * 100)
    for suffix in ("-wal", "-shm"):
        workspace.thumbnails.with_name(workspace.thumbnails.name + suffix).unlink(missing_ok=True)


def damage_job(workspace, rows):
    (workspace.jobs / "scan_1").mkdir()


def half_written(workspace, rows):
    (store_of(workspace, rows) / f".shard-000001.npy.{gone_process()}.tmp").write_bytes(b"half")


def interrupted_restore(workspace, rows):
    folder = workspace.root / f"library.restoring.{gone_process()}"
    folder.mkdir()
    (folder / "catalog.sqlite").write_bytes(b"half")


def interrupted_exchange(workspace, rows):
    folder = store_of(workspace, rows)
    folder.rename(folder.with_name(f"{folder.name}.old"))


CACHE = {
    damage_shard: "damaged",
    damage_numbers: "NaN",
    damage_keys: "do not fit",
    keys_alone: "between a shard's keys and its vectors",
    damage_configuration: "not valid JSON",
    damage_graph: "graph is incomplete",
    damage_map: "map is incomplete",
    damage_thumbnails: "thumbnails are damaged",
    damage_job: "never written whole",
    half_written: "half written",
    interrupted_restore: "A restore did not",
    interrupted_exchange: "not put in the old ones' place",
}


@pytest.mark.parametrize(("damage", "words"), CACHE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_damage_of_the_cache_is_listed_first_and_mended_when_asked(workspace, worked, damage, words):
    rows, _ = worked
    damage(workspace, rows)
    library, cache = prints(workspace.library), prints(workspace.cache)
    found = check_workspace(workspace, DoctorRequest())
    assert [words in finding.sentence for finding in found.left] == [True], found.left
    assert found.left[0].is_cache
    assert prints(workspace.cache) == cache, "listing changes nothing"
    after = check_workspace(workspace, DoctorRequest(mend=True))
    assert (after.left, after.refused) == ([], [])
    assert len(after.mended) == 1
    assert prints(workspace.library) == library


def test_a_mended_shard_is_embedded_again(workspace, worked):
    rows, _ = worked
    before = np.array(rows.vectors)
    damage_shard(workspace, rows)
    check_workspace(workspace, DoctorRequest(mend=True))
    assert len(EmbeddingStore(store_of(workspace, rows))) == 0
    assert main(["embed", "--folder", str(rows.dataset.path), "--encoder", "descriptor"]) == 0
    again = load_rows(workspace, rows.dataset.id, rows.embedding.config_key)
    np.testing.assert_array_equal(again.vectors, before)


def test_embeddings_of_no_data_set_are_orphans_but_only_beside_a_catalog_that_says_so(workspace, worked, tmp_path):
    rows, _ = worked
    other = EmbeddingStore(workspace.embeddings("f" * 32), {"dtype": "float16"})
    other.append(np.array([b"x" * 16], "S16"), np.ones((1, 4)))
    assert sentences(workspace) == ["None of these embeddings belongs to a data set of the catalog."]
    remove_dataset(workspace, rows.dataset.id)
    assert sentences(workspace) == []  # an empty catalog may be one that is to be restored
    other.append(np.array([b"y" * 16], "S16"), np.ones((1, 4)))


def test_what_a_job_is_writing_is_left_alone(workspace, worked):
    rows, _ = worked
    damage_shard(workspace, rows)
    mine = store_of(workspace, rows) / f".shard-000001.npy.{os.getpid()}.tmp"
    mine.write_bytes(b"being written")
    with EmbeddingStore(store_of(workspace, rows)).writing():
        mine.write_bytes(b"being written")
        found = check_workspace(workspace, DoctorRequest(mend=True))
        assert len(found.caches) == len(found.refused) == 1
        assert "embedded by another job" in found.refused[0]
        assert mine.exists()


def change(catalog, statement):
    db = sqlite3.connect(catalog)
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute(statement)
    db.commit()
    db.close()


LIBRARY = {
    "event json": ("UPDATE event SET detail = '{\"label\": ' WHERE id = 2", "Label event 2 (label) cannot be read"),
    "event list": ("UPDATE event SET detail = '[]' WHERE id = 1", "Label event 1 (rename) cannot be read"),
    "event kind": ("UPDATE event SET kind = 'dance' WHERE id = 1", "'dance', which this Kindred does not know"),
    "event ids": ("UPDATE event SET contents = x'00' WHERE id = 2", "broken ids"),
    "event gone": ("DELETE FROM event WHERE id = 2", "about an event that is not there"),
    "data set gone": ("DELETE FROM dataset", "belong to a data set that is not in it"),
    "content id": ("UPDATE image SET content = x'01' WHERE id = 1", "a content id that is none"),
    "newer": ("PRAGMA user_version = 99", "newer Kindred"),
}


@pytest.mark.parametrize("case", LIBRARY)
def test_damage_of_the_library_is_reported_and_never_touched(workspace, worked, case):
    statement, words = LIBRARY[case]
    change(workspace.catalog, statement)
    before = prints(workspace.library)
    found = check_workspace(workspace, DoctorRequest(mend=True))
    assert any(words in finding.sentence for finding in found.left), found.left
    assert not any(finding.is_cache for finding in found.left)
    assert prints(workspace.library) == before


def test_a_broken_run_a_broken_view_and_a_half_written_file_are_reported(workspace, worked):
    _, run = worked
    (run.folder / "predictions.npz").write_bytes(b"PK no archive")
    view = next((workspace.library / "views").glob("*.json"))
    view.write_text("{")
    left = run.folder / f".results.json.{gone_process()}.tmp"
    left.write_bytes(b"half")
    told = sentences(workspace)
    assert any("predictions.npz cannot be read" in sentence for sentence in told)
    assert any("not valid JSON" in sentence for sentence in told)
    assert any("It may be deleted" in sentence for sentence in told)
    check_workspace(workspace, DoctorRequest(mend=True))
    assert left.exists()


def test_a_torn_catalog_is_reported_and_no_embeddings_are_called_orphans_beside_it(workspace, worked, tmp_path):
    torn = Workspace.open(tmp_path / "torn")
    change(workspace.catalog, "VACUUM INTO '" + str(torn.catalog) + "'")
    EmbeddingStore(torn.embeddings("f" * 32), {"dtype": "float16"}).append(
        np.array([b"x" * 16], "S16"), np.ones((1, 4))
    )
    whole = torn.catalog.read_bytes()
    for at in (0, 4096, 3 * 4096, len(whole) - 4096):
        data = bytearray(whole)
        data[at : at + 4096] = bytes(4096)
        torn.catalog.write_bytes(data)
        found = check_workspace(torn, DoctorRequest(mend=True))
        assert found.library.findings, at
        assert torn.catalog.read_bytes() == bytes(data)
        assert torn.embeddings("f" * 32).is_dir()
    torn.catalog.write_bytes(b"no database" * 1000)
    found = check_workspace(torn, DoctorRequest(mend=True))
    assert [finding.sentence.split(" is damaged")[0] for finding in found.left] == [str(torn.catalog)]


def test_the_command_lists_then_mends_and_its_status_says_whether_anything_is_left(workspace, worked, capsys):
    rows, _ = worked
    damage_shard(workspace, rows)
    assert main(["doctor"]) == 1
    listed = capsys.readouterr().out
    assert "shard-000000.npy" in listed and "By --mend it is removed" in listed and "doctor --mend" in listed
    assert main(["doctor", "--mend"]) == 0
    mended = capsys.readouterr().out
    assert "mended" in mended and mended.splitlines()[-1] == "Everything is whole."
    assert main(["doctor"]) == 0


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_new_folders_are_the_persons_own_and_others_are_noted(tmp_path):
    fresh = Workspace.open(tmp_path / "a" / "fresh")
    for folder in (fresh.root, fresh.cache, fresh.library, fresh.runs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    fresh.library.chmod(0o755)
    assert stat.S_IMODE(Workspace.open(fresh.root).library.stat().st_mode) == 0o755  # a person's own choice stays
    found = check_workspace(fresh, DoctorRequest())
    assert found.left == []
    assert "chmod 700" in found.library.notes[0]
