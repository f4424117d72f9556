"""What the doctor looks at in the library: catalog, label events, runs, kept samples, views and keys.

Nothing here writes: the catalog is opened read-only, and a finding says what a person can do.
"""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.catalog import MIGRATIONS, catalog_error
from engine.core.errors import KindredError, StorageError
from engine.core.files import read_json
from engine.core.ids import WIDTH
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.jobs.upkeep.findings import Finding, half_written, size_of
from engine.labels.log import ACTIONS
from engine.runs.run import open_run

_RESTORE = "Restore the library from a backup, or move this file away."
_KINDS = {*ACTIONS, "undo", "redo"}


@dataclass
class LibraryCheck:
    """What there is in a library, and what is wrong with it.

    Attributes
    ----------
    datasets, images, events, runs, unfinished : int
        How many there are; `unfinished` runs were interrupted and go on when they are resumed.
    readable : bool
        Whether the catalog could be read and is whole.
    findings : list of Finding
    notes : list of str
        What a person may want to know and what is no fault.
    """

    datasets: int = 0
    images: int = 0
    events: int = 0
    runs: int = 0
    unfinished: int = 0
    readable: bool = True
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_library(workspace: Workspace, progress: Progress = SILENT) -> LibraryCheck:
    """Look at everything in the library; nothing is changed."""
    found = LibraryCheck()
    progress.update(0, 3, phase="Looking at the catalog")
    if workspace.catalog.exists():
        _check_catalog(workspace.catalog, found)
    progress.update(1, 3, phase="Looking at the runs")
    _check_runs(workspace, found)
    progress.update(2, 3, phase="Looking at what is kept")
    for name in ("samples", "views", "keys"):
        for path in sorted((workspace.library / name).glob("*.json")):
            try:
                read_json(path)
            except StorageError as error:
                found.findings.append(Finding(path, f"{error.sentence} {_RESTORE}"))
    for path in half_written(workspace.library):
        sentence = "It was half written when its program ended; what it should replace is whole. It may be deleted."
        found.findings.append(Finding(path, sentence, size=size_of(path)))
    if os.name != "nt" and workspace.library.is_dir() and workspace.library.stat().st_mode & 0o077:
        closed = shlex.join(["chmod", "700", str(workspace.library)])
        found.notes.append(f"Other users of this machine may look into the library. To close it: {closed}")
    progress.update(3, 3, phase="Looking at what is kept")
    return found


def read_only(path: Path) -> sqlite3.Connection:
    """Open a database for reading only; where its folder may not be written, as it lies there.

    Raises
    ------
    sqlite3.Error
    """
    where = path.resolve().as_uri()
    frozen = not os.access(path.parent, os.W_OK)
    db = sqlite3.connect(f"{where}?mode=ro{'&immutable=1' if frozen else ''}", uri=True, timeout=10)
    db.row_factory = sqlite3.Row
    return db


def _check_catalog(path: Path, found: LibraryCheck) -> None:
    try:
        db = read_only(path)
        try:
            for sentence in _of_catalog(db, found):
                found.findings.append(Finding(path, sentence))
        finally:
            db.close()
    except sqlite3.Error as error:
        found.readable = False
        said = catalog_error(error, path)
        found.findings.append(Finding(path, f"{said.sentence} {said.hint}"))


def _of_catalog(db: sqlite3.Connection, found: LibraryCheck) -> Iterator[str]:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        found.readable = False
        yield "The catalog was written by a newer Kindred. Update Kindred to check it."
        return
    wrong = [row[0] for row in db.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
    if wrong:
        found.readable = False
        yield f"The catalog is damaged ({wrong[0].strip().splitlines()[-1].rstrip('.')}). {_RESTORE}"
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    lacking = sorted({"dataset", "image", "event"} - tables)
    if lacking:
        found.readable = False
        if version:
            yield f"The catalog lacks its table {lacking[0]}. {_RESTORE}"
        return
    lost = db.execute("PRAGMA foreign_key_check").fetchall()
    if lost:
        yield f"{len(lost):,} rows of the catalog belong to a data set that is not in it. {_RESTORE}"
    found.datasets = db.execute("SELECT count(*) FROM dataset").fetchone()[0]
    found.images = db.execute("SELECT count(*) FROM image").fetchone()[0]
    query = "SELECT count(*) FROM image WHERE content IS NOT NULL AND length(content) <> ?"
    odd = db.execute(query, (WIDTH,)).fetchone()[0]
    if odd:
        yield f"{odd:,} images have a content id that is none. {_RESTORE}"
    yield from _of_events(db, found)


def _of_events(db: sqlite3.Connection, found: LibraryCheck) -> Iterator[str]:
    """Say which label events cannot be read: their JSON, their kind, their content ids, what they undo."""
    seen: set[int] = set()
    for row in db.execute("SELECT id, kind, detail, contents FROM event ORDER BY id"):
        found.events += 1
        seen.add(row["id"])
        try:
            detail = json.loads(row["detail"])
            whole = isinstance(detail, dict)
            targets = detail.get("targets", []) if whole else []
        except ValueError:
            whole, targets = False, []
        if not whole:
            yield f"Label event {row['id']:,} ({row['kind']}) cannot be read. {_RESTORE}"
        elif row["kind"] not in _KINDS:
            yield f"Label event {row['id']:,} is a {row['kind']!r}, which this Kindred does not know. Update Kindred."
        elif len(row["contents"]) % WIDTH:
            yield f"Label event {row['id']:,} ({row['kind']}) names images by broken ids. {_RESTORE}"
        elif row["kind"] in ("undo", "redo") and not set(targets) <= seen:
            yield f"Label event {row['id']:,} ({row['kind']}) is about an event that is not there. {_RESTORE}"


def _check_runs(workspace: Workspace, found: LibraryCheck) -> None:
    for parent in (workspace.runs, workspace.library / "bin"):
        for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
            if not folder.is_dir():
                continue
            if not (folder / "results.json").exists():
                found.unfinished += 1
                continue
            found.runs += 1
            try:
                run = open_run(folder)
                run.results  # noqa: B018 - reading is the check
                run.contents  # noqa: B018
            except KindredError as error:
                found.findings.append(Finding(folder, f"The run cannot be read: {error}"))
