"""library/catalog.sqlite: data sets, images and label events. Opening it brings it to the current schema.

One short-lived connection per piece of work: `with open_catalog(path) as db: ...` commits at the end,
rolls back on an error. WAL lets pages read while a job writes. A backup is kept before each migration.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from engine.core.errors import StorageError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE dataset (
        id TEXT PRIMARY KEY,               -- slug of the name and a short hash of kind and location
        name TEXT NOT NULL,
        kind TEXT NOT NULL,                -- folder | benchmark | vectors
        location BLOB NOT NULL,            -- os.fsencode of a path, or a benchmark's name
        options TEXT NOT NULL DEFAULT '{}',-- JSON: truth from folders, sample
        created REAL NOT NULL,
        scanned REAL                       -- when the last whole scan ended; NULL before the first
    ) STRICT;
    CREATE TABLE image (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused; a file whose bytes change gets a new one
        dataset TEXT NOT NULL REFERENCES dataset(id) ON DELETE CASCADE,
        path BLOB NOT NULL,                -- os.fsencode of the name inside the source
        content BLOB,                      -- blake2b-128 of the bytes; NULL where they could not be read
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        width INTEGER, height INTEGER, format TEXT,
        truth TEXT,                        -- class folder or benchmark class
        split TEXT NOT NULL DEFAULT '',    -- '', train or test
        failure TEXT,                      -- why it could not be read, one sentence
        quality TEXT,                      -- JSON of measured qualities
        UNIQUE (dataset, path)
    ) STRICT;
    CREATE INDEX image_content ON image (content);
    CREATE TABLE event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        dataset TEXT NOT NULL REFERENCES dataset(id) ON DELETE CASCADE,
        made REAL NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL DEFAULT '{}', -- JSON: label, run, cluster, the event undone
        contents BLOB NOT NULL DEFAULT x'' -- 16-byte content ids, end to end
    ) STRICT;
    CREATE INDEX event_dataset ON event (dataset, id);
    """,
    """
    ALTER TABLE image ADD COLUMN depth TEXT; -- kind of depth beyond 8 bits, '' for 8; NULL: not looked for
    ALTER TABLE image ADD COLUMN note TEXT;  -- one sentence on what is odd about a readable file
    CREATE TABLE pixel_range (               -- values shown as black and as white, for each kind of depth
        dataset TEXT NOT NULL REFERENCES dataset(id) ON DELETE CASCADE,
        depth TEXT NOT NULL,
        low REAL NOT NULL, high REAL NOT NULL,
        PRIMARY KEY (dataset, depth)
    ) STRICT;
    """,
    """
    ALTER TABLE image ADD COLUMN bytes BLOB;  -- id of the file's bytes where `content` is that of other bytes before
    ALTER TABLE image ADD COLUMN pixels BLOB; -- hash of the upright decoded pixels; NULL: not looked at for it
    ALTER TABLE image ADD COLUMN orientation INTEGER; -- EXIF's, 1 to 8
    CREATE INDEX image_pixels ON image (pixels) WHERE pixels IS NOT NULL;
    CREATE INDEX image_bytes ON image (bytes) WHERE bytes IS NOT NULL;
    ALTER TABLE dataset ADD COLUMN found TEXT; -- JSON: what the last scan left alone
    CREATE TABLE alias (                     -- further bytes of a known picture, as far as events carry it over
        dataset TEXT NOT NULL REFERENCES dataset(id) ON DELETE CASCADE,
        bytes BLOB NOT NULL,
        content BLOB NOT NULL,
        how TEXT NOT NULL,                   -- same | turned | kept
        event INTEGER,                       -- NULL until the scan that found it has ended
        PRIMARY KEY (dataset, bytes)
    ) STRICT;
    CREATE TABLE former (                    -- pictures that no file of the data set holds any more
        dataset TEXT NOT NULL REFERENCES dataset(id) ON DELETE CASCADE,
        content BLOB NOT NULL,
        path BLOB NOT NULL,                  -- where it lay last
        pixels BLOB,
        replaced BLOB,                       -- what lies at its place now; NULL where nothing does
        PRIMARY KEY (dataset, content)
    ) STRICT;
    """,
)


TERMINAL = "terminal"  # where a step was made that a command made
_WHERE: ContextVar[str] = ContextVar("where a step is made", default="")


@contextmanager
def made_in(window: str) -> Iterator[None]:
    """Let the steps that are made meanwhile say where: `TERMINAL`, or the window of the app that asked for a job."""
    token = _WHERE.set(window)
    try:
        yield
    finally:
        _WHERE.reset(token)


def made_where() -> str:
    """Return where the steps of this thread are made; empty where nobody said."""
    return _WHERE.get()


def append_event(db: sqlite3.Connection, dataset: str, kind: str, detail: Mapping[str, Any], contents: bytes) -> int:
    """Append one label event of a data set inside the caller's transaction; return its id.

    `detail` gets `before`, the data set's last event until then, by which a page knows that another window wrote, and
    `window`, where it was made, as far as `made_in` says it.
    """
    where = {"window": made_where()} if made_where() else {}
    before = db.execute("SELECT max(id) FROM event WHERE dataset = ?", (dataset,)).fetchone()[0] or 0
    cursor = db.execute(
        "INSERT INTO event (dataset, made, kind, detail, contents) VALUES (?, ?, ?, ?, ?)",
        (dataset, time.time(), kind, json.dumps({**detail, "before": before, **where}, ensure_ascii=False), contents),
    )
    return int(cursor.lastrowid or 0)


def connect(path: Path) -> sqlite3.Connection:
    """Open the catalog at `path`, migrated, in WAL mode, with foreign keys on.

    Raises
    ------
    StorageError
        Locked for more than ten seconds, damaged, or written by a newer Kindred.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=10, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} cannot be opened.", "Check the library folder and its permissions.") from error
    try:
        db.execute("PRAGMA foreign_keys = ON")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StorageError(
                "The catalog was written by a newer Kindred.", "Update Kindred, or open another workspace."
            )
        if version < len(MIGRATIONS):
            _migrate(db, path)
    except sqlite3.Error as error:
        db.close()
        raise catalog_error(error, path) from error
    except StorageError:
        db.close()
        raise
    db.row_factory = sqlite3.Row
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing, one transaction, the file copied beside itself first."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == len(MIGRATIONS):
            db.execute("COMMIT")
            return
        if version:
            with (
                sqlite3.connect(path) as source,
                sqlite3.connect(
                    path.with_name(f"catalog-v{version}-{time.strftime('%Y%m%d-%H%M%S')}.sqlite")
                ) as backup,
            ):
                source.backup(backup)
        for script in MIGRATIONS[version:]:
            for statement in _statements(script):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """Split a script into statements; `executescript` would commit in the middle."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def open_catalog(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Yield a connection inside one transaction; `write` takes the write lock at once.

    Raises
    ------
    StorageError
        Locked by another process, disk full, damaged: told in one sentence, nothing half-written.
    """
    db = connect(path)
    try:
        db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        yield db
        db.execute("COMMIT")
    except sqlite3.Error as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise catalog_error(error, path) from error
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        db.close()


_reading = threading.local()


def read_rows(path: Path, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of one small question, such as that for an image by its id, by a connection of this thread.

    Opening a catalog takes some ten times as long as such a question. What needs several answers of one moment opens
    a transaction by `open_catalog`.

    Raises
    ------
    StorageError
        As `open_catalog`.
    """
    try:
        found = path.stat()
        file = (path, found.st_dev, found.st_ino)
    except OSError:
        file = None
    if file is None or getattr(_reading, "file", None) != file:
        if (old := getattr(_reading, "db", None)) is not None:
            old.close()
        _reading.db = _reading.file = None
        db = connect(path)
        db.row_factory = None
        found = path.stat()
        _reading.db, _reading.file = db, (path, found.st_dev, found.st_ino)
    try:
        rows: list[tuple[Any, ...]] = _reading.db.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise catalog_error(error, path) from error
    return rows


@dataclass
class _Watch:
    """A connection that only asks whether others have written, and the file that it has open."""

    db: sqlite3.Connection
    file: tuple[int, int]
    number: int


_WATCHED = 4  # catalogs; a process works on one
_watches: dict[Path, _Watch] = {}
_numbers = count()
_watching = threading.Lock()


def changes(path: Path) -> tuple[int, int] | None:
    """Return what changes whenever anyone commits to the catalog at `path`; None where that cannot be told.

    It costs microseconds however large the catalog is: what was read under an equal answer still holds. Ask before
    reading, so that a commit in between is noticed the next time.
    """
    try:
        found = path.stat()
        with _watching:
            watch = _watches.get(path)
            if watch is None or watch.file != (found.st_dev, found.st_ino):
                for old in [path, *list(_watches)[: 1 - _WATCHED]]:
                    if old in _watches:
                        _watches.pop(old).db.close()
                db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
                watch = _watches[path] = _Watch(db, (found.st_dev, found.st_ino), next(_numbers))
            return watch.number, int(watch.db.execute("PRAGMA data_version").fetchone()[0])
    except (OSError, sqlite3.Error):
        return None


def catalog_error(error: sqlite3.Error, path: Path) -> StorageError:
    """Return SQLite's error as one sentence and the next step."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return StorageError(
            "The catalog is in use by another process.", "Close the other Kindred or wait a moment, then try again."
        )
    if "full" in text:
        return StorageError(
            "The disk is full: the change was not saved.", "Free some space and try again; nothing was half-written."
        )
    if "readonly" in text or "unable to open" in text:
        return StorageError(f"{path} cannot be written.", "Check the permissions of the library folder.")
    if "malformed" in text or "not a database" in text:
        return StorageError(
            f"{path} is damaged.", "Restore the newest catalog-v*.sqlite beside it, or move it away to start anew."
        )
    return StorageError(f"The catalog refused a change: {text}.")
