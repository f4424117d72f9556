"""The catalog opens at the current schema, keeps a backup before it changes an old one, and tells what it cannot do."""

import sqlite3
import subprocess
import sys

import pytest

from engine.core import catalog
from engine.core.catalog import MIGRATIONS, changes, connect, open_catalog, read_rows
from engine.core.errors import StorageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "library" / "catalog.sqlite"


def add(db, id="d", location=b"/x"):
    db.execute(
        "INSERT INTO dataset (id, name, kind, location, created) VALUES (?, 'n', 'folder', ?, 0)", (id, location)
    )


def test_a_new_catalog_is_current_in_wal_with_foreign_keys(path):
    db = connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert {row["name"] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")} >= {
        "dataset",
        "image",
        "event",
    }
    db.close()
    assert not list(path.parent.glob("catalog-v*"))  # nothing to back up


def test_what_was_written_is_there_and_an_error_takes_everything_back(path):
    with open_catalog(path, write=True) as db:
        add(db)
    with pytest.raises(ZeroDivisionError), open_catalog(path, write=True) as db:
        add(db, "e")
        raise ZeroDivisionError
    with open_catalog(path) as db:
        assert [row["id"] for row in db.execute("SELECT id FROM dataset")] == ["d"]


def test_images_and_events_go_with_their_data_set(path):
    with open_catalog(path, write=True) as db:
        add(db)
        db.execute("INSERT INTO image (dataset, path, size, mtime_ns) VALUES ('d', ?, 1, 1)", (b"a.png",))
        db.execute("INSERT INTO event (dataset, made, kind) VALUES ('d', 0, 'rename')")
    with open_catalog(path, write=True) as db:
        db.execute("DELETE FROM dataset")
        assert db.execute("SELECT count(*) FROM image").fetchone()[0] == 0
        assert db.execute("SELECT count(*) FROM event").fetchone()[0] == 0
    with pytest.raises(StorageError), open_catalog(path, write=True) as db:
        db.execute("INSERT INTO image (dataset, path, size, mtime_ns) VALUES ('nobody', x'00', 1, 1)")


def test_integer_ids_are_never_given_twice(path):
    with open_catalog(path, write=True) as db:
        add(db)
        insert = "INSERT INTO image (dataset, path, size, mtime_ns) VALUES ('d', ?, 1, 1)"
        first = db.execute(insert, (b"a",)).lastrowid
        db.execute("DELETE FROM image")
        assert db.execute(insert, (b"a",)).lastrowid > first


def test_an_older_catalog_is_backed_up_then_migrated(path, monkeypatch):
    with open_catalog(path, write=True) as db:
        add(db)
    monkeypatch.setattr(catalog, "MIGRATIONS", (*MIGRATIONS, "ALTER TABLE dataset ADD COLUMN colour TEXT;"))
    with open_catalog(path) as db:
        assert db.execute("SELECT id, colour FROM dataset").fetchone()["colour"] is None
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
    (backup,) = path.parent.glob(f"catalog-v{len(MIGRATIONS)}-*.sqlite")
    kept = sqlite3.connect(backup)
    assert kept.execute("SELECT id FROM dataset").fetchall() == [("d",)]
    assert kept.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    kept.close()


def test_a_migration_that_fails_changes_nothing(path, monkeypatch):
    with open_catalog(path, write=True) as db:
        add(db)
    broken = "ALTER TABLE dataset ADD COLUMN colour TEXT;\nALTER TABLE nowhere ADD COLUMN x TEXT;"
    monkeypatch.setattr(catalog, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(StorageError):
        connect(path)
    monkeypatch.undo()
    with open_catalog(path) as db:
        assert "colour" not in db.execute("SELECT * FROM dataset").fetchone().keys()  # noqa: SIM118 - a row's columns


def test_a_newer_catalog_is_refused(path):
    connect(path).close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    raw.close()
    with pytest.raises(StorageError, match="newer Kindred"):
        connect(path)


def test_a_locked_catalog_is_told(path, monkeypatch):
    connect(path).close()
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **options: real(*words, **options | {"timeout": 0.05}))
    with open_catalog(path, write=True) as holder:
        add(holder)
        with pytest.raises(StorageError, match="in use by another process"), open_catalog(path, write=True):
            pass
        with open_catalog(path) as reader:  # readers do not wait
            assert reader.execute("SELECT count(*) FROM dataset").fetchone()[0] == 0


def test_a_file_that_is_no_catalog_is_told(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all, but long enough to look like one" * 20)
    with pytest.raises(StorageError, match="damaged"):
        connect(path)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("database or disk is full", "disk is full"),
        ("attempt to write a readonly database", "cannot be written"),
        ("database disk image is malformed", "damaged"),
        ("something else", "something else"),
    ],
)
def test_every_refusal_of_sqlite_is_a_sentence(path, words, sentence):
    assert sentence in catalog.catalog_error(sqlite3.OperationalError(words), path).sentence


def test_changes_tells_each_commit_and_no_look(path):
    assert changes(path) is None
    with open_catalog(path, write=True) as db:
        add(db)
    first = changes(path)
    with open_catalog(path) as db:
        assert db.execute("SELECT count(*) FROM dataset").fetchone()[0] == 1
    assert first is not None and changes(path) == first
    with pytest.raises(ZeroDivisionError), open_catalog(path, write=True) as db:
        add(db, "other")
        raise ZeroDivisionError
    assert changes(path) == first
    with open_catalog(path, write=True) as db:
        add(db, "other")
    assert changes(path) != first


def test_changes_tells_what_another_process_writes(path):
    with open_catalog(path, write=True) as db:
        add(db)
    first = changes(path)
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('DELETE FROM dataset'); db.commit()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert changes(path) != first


def test_changes_tells_another_file_in_the_same_place_and_keeps_few_open(tmp_path):
    paths = [tmp_path / str(number) / "catalog.sqlite" for number in range(9)]
    seen = []
    for path in paths:
        with open_catalog(path, write=True) as db:
            add(db)
        seen.append(changes(path))
    assert len(catalog._watches) == catalog._WATCHED
    last = paths[-1]
    assert changes(last) == seen[-1]
    for file in last.parent.iterdir():
        file.unlink()
    with open_catalog(last, write=True) as db:
        add(db)
    assert changes(last) != seen[-1]


def test_rows_read_by_the_threads_own_connection_are_those_of_this_moment(path):
    with open_catalog(path, write=True) as db:
        db.execute("INSERT INTO dataset (id, name, kind, location, created) VALUES ('a', 'A', 'folder', x'', 0)")
    ask = "SELECT name FROM dataset WHERE id = ?"
    assert read_rows(path, ask, ("a",)) == [("A",)]
    with open_catalog(path, write=True) as db:
        db.execute("UPDATE dataset SET name = 'B'")
        assert read_rows(path, ask, ("a",)) == [("A",)]  # not what nobody has committed
    assert read_rows(path, ask, ("a",)) == [("B",)]
    assert read_rows(path, ask, ("b",)) == []
    with pytest.raises(StorageError):
        read_rows(path, "SELECT nothing FROM dataset", ())


def test_rows_are_read_from_the_file_that_lies_there_now(tmp_path):
    for name in ("one", "two"):
        with open_catalog(tmp_path / f"{name}.sqlite", write=True) as db:
            values = (name, name)
            db.execute(
                "INSERT INTO dataset (id, name, kind, location, created) VALUES (?, ?, 'folder', x'', 0)", values
            )
    ask = "SELECT name FROM dataset"
    assert read_rows(tmp_path / "one.sqlite", ask, ()) == [("one",)]
    assert read_rows(tmp_path / "two.sqlite", ask, ()) == [("two",)]
    (tmp_path / "two.sqlite").replace(tmp_path / "one.sqlite")
    assert read_rows(tmp_path / "one.sqlite", ask, ()) == [("two",)]
    assert read_rows(tmp_path / "three.sqlite", ask, ()) == []
