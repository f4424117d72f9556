"""The data sets of a workspace: folders, benchmark sets and vector files, each added once and found by id.

Adding records where the images are; `scan` looks at them. Images are kept relative to the location,
so a moved folder is relocated without opening a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from engine.core.catalog import open_catalog
from engine.core.errors import InputError
from engine.core.ids import to_bytes
from engine.core.workspace import Workspace
from engine.images.reading import FolderSettings
from engine.images.sets.registry import find_benchmark, open_benchmark
from engine.images.sources import FolderSource, Source, class_levels, folder_truth, shown
from engine.images.vectors import VectorFile, read_vectors

Kind = Literal["folder", "benchmark", "vectors"]


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Attributes
    ----------
    id : str
        Slug of the name and a short hash; safe in file names and addresses.
    name : str
        What the person calls it.
    kind : "folder", "benchmark" or "vectors"
    location : bytes
        `os.fsencode` of a path, or a benchmark's name.
    options : dict
        `truth_from_folders`, `data_root`, and what of a folder is read (`FolderSettings`).
    scanned : float or None
        When the last whole scan ended, seconds since 1970.
    """

    id: str
    name: str
    kind: Kind
    location: bytes
    options: dict[str, Any]
    scanned: float | None

    @property
    def path(self) -> Path:
        """The folder or file; for a benchmark its name as a path."""
        return Path(os.fsdecode(self.location))

    @property
    def n_classes(self) -> int | None:
        """How many classes a benchmark set has; None where that is not known beforehand."""
        return find_benchmark(self.location.decode()).classes if self.kind == "benchmark" else None

    @property
    def holds(self) -> Literal["photographs", "drawings", "vectors"]:
        """What is in it, as far as anyone knows: a person's folder is taken for photographs."""
        if self.kind == "vectors":
            return "vectors"
        return find_benchmark(self.location.decode()).holds if self.kind == "benchmark" else "photographs"

    def source(self) -> Source:
        """Open the place where the images are.

        Raises
        ------
        InputError
            It is gone, or holds no images.
        """
        return open_source(self.kind, self.location, self.options)


def open_source(kind: str, location: bytes, options: Mapping[str, Any]) -> Source:
    """Open the source of a data set.

    Parameters
    ----------
    kind : "folder" or "benchmark"
    location : bytes
        The folder's path (`os.fsencode`) or the benchmark's name.
    options : mapping
        `truth_from_folders` and `truth_level` for folders, `data_root` for benchmarks.

    Raises
    ------
    InputError
        The folder is gone, the benchmark unknown, or the kind has no images.
    """
    if kind == "folder":
        truth = bool(options.get("truth_from_folders", False))
        level = int(options.get("truth_level", 1))
        return FolderSource(Path(os.fsdecode(location)), truth, FolderSettings.of(dict(options)), truth_level=level)
    if kind == "benchmark":
        return open_benchmark(location.decode(), options.get("data_root"))
    raise InputError("This data set holds vectors only; it has no images to read.")


def add_folder(
    workspace: Workspace,
    path: str | Path,
    *,
    name: str | None = None,
    truth_from_folders: bool = False,
    truth_level: int | None = None,
) -> Dataset:
    """Add a folder of images, or return it if it is known; nothing is read yet.

    Parameters
    ----------
    name : str, optional
        The folder's own name by default.
    truth_from_folders : bool
        Class folders are the truth; adding a known folder with True turns it on.
    truth_level : int, optional
        How deep they lie: 1 for the first folders in which the images differ, splits aside. Left out: as it was, or 1.

    Raises
    ------
    InputError
        No such folder, or not a folder.
    """
    root = FolderSource(Path(path)).root
    if (known := known_folder(workspace, root)) is not None:
        root = known.path
    options = {"truth_from_folders": truth_from_folders} | ({"truth_level": truth_level} if truth_level else {})
    dataset = _add(workspace, "folder", os.fsencode(root), name or _readable(root), options)
    level = int(dataset.options.get("truth_level", 1))
    if truth_from_folders and not (dataset.options.get("truth_from_folders") and level == (truth_level or level)):
        set_truth_from_folders(workspace, dataset.id, True, truth_level or level)
    return find_dataset(workspace, dataset.id)


def known_folder(workspace: Workspace, root: Path) -> Dataset | None:
    """Return the data set of the very folder, also where it is reached by another path or in other letters."""
    with open_catalog(workspace.catalog) as db:
        known = [_from_row(row) for row in db.execute("SELECT * FROM dataset WHERE kind = 'folder' ORDER BY created")]
    exact = next((one for one in known if one.path == root), None)
    return exact or next((one for one in known if _same_folder(one.path, root)), None)


def _same_folder(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def add_benchmark(
    workspace: Workspace, name: str, *, data_root: str | Path | None = None, waiting: bool = False
) -> Dataset:
    """Add a benchmark set, or return it if it is known; its files are fetched by the first scan.

    Parameters
    ----------
    data_root : path, optional
        Where its files lie or shall lie; the workspace's cache by default.
    waiting : bool
        A set that is not known yet is made ready before anyone asked for it: it is not listed until it is added again
        without this.

    Raises
    ------
    InputError
        Unknown name; the known ones are listed.
    """
    entry = find_benchmark(name)
    root = Path(data_root).expanduser().resolve() if data_root is not None else workspace.cache / "benchmarks"
    options = {"data_root": str(root)} if entry.download else {}
    dataset = _add(workspace, "benchmark", name.encode(), entry.title, options | ({"waiting": True} if waiting else {}))
    if data_root is None and dataset.options.get("waiting") and not waiting:
        _open(workspace, dataset)
    elif data_root is not None and dataset.options != options:
        update_dataset(workspace, dataset.id, options=json.dumps(options))
    return find_dataset(workspace, dataset.id)


def _open(workspace: Workspace, dataset: Dataset) -> None:
    """List a set that was waiting, as the newest."""
    options = {name: value for name, value in dataset.options.items() if name != "waiting"}
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute(
            "UPDATE dataset SET options = ?, created = ? WHERE id = ?", (json.dumps(options), time.time(), dataset.id)
        )


def add_vectors(workspace: Workspace, path: str | Path) -> Dataset:
    """Add a file of vectors with its ids and labels, checked whole before anything is kept.

    Raises
    ------
    InputError
        The file is missing or its content is not usable; the sentence says what and where.
    """
    file = Path(path).expanduser().resolve()
    vectors = read_vectors(file)
    dataset = _add(workspace, "vectors", os.fsencode(file), _readable(file, stem=True), {})
    store_vectors(workspace, dataset.id, vectors)
    return find_dataset(workspace, dataset.id)


def store_vectors(workspace: Workspace, dataset_id: str, vectors: VectorFile) -> None:
    """Make the rows of the catalog equal to those of a vector file, in its order.

    They keep their integer ids unless a row came, went or moved; labels hang on the content and always stay.
    """
    wanted = list(zip(vectors.paths, to_bytes(vectors.contents), strict=True))
    labels = vectors.labels or [None] * len(wanted)
    size = vectors.vectors.shape[1] * 4
    with open_catalog(workspace.catalog, write=True) as db:
        rows = db.execute("SELECT path, content FROM image WHERE dataset = ? ORDER BY id", (dataset_id,))
        if [tuple(row) for row in rows] != wanted:
            db.execute("DELETE FROM image WHERE dataset = ?", (dataset_id,))
        db.executemany(
            "INSERT INTO image (dataset, path, content, size, mtime_ns, truth) VALUES (?, ?, ?, ?, 0, ?)"
            " ON CONFLICT (dataset, path) DO UPDATE SET truth = excluded.truth, size = excluded.size",
            [(dataset_id, *row, size, truth) for row, truth in zip(wanted, labels, strict=True)],
        )
        db.execute("UPDATE dataset SET scanned = ? WHERE id = ?", (time.time(), dataset_id))


def list_datasets(workspace: Workspace) -> list[Dataset]:
    """Return the data sets, the newest first; those that were made ready and never opened are left out."""
    with open_catalog(workspace.catalog) as db:
        found = [_from_row(row) for row in db.execute("SELECT * FROM dataset ORDER BY created DESC, id")]
    return [dataset for dataset in found if not dataset.options.get("waiting")]


def find_dataset(workspace: Workspace, id: str) -> Dataset:
    """Return the data set with this id.

    Raises
    ------
    InputError
        There is none; the known ones are listed.
    """
    with open_catalog(workspace.catalog) as db:
        row = db.execute("SELECT * FROM dataset WHERE id = ?", (id,)).fetchone()
        if row is not None:
            return _from_row(row)
        known = [found["id"] for found in db.execute("SELECT id FROM dataset ORDER BY created DESC LIMIT 20")]
    raise InputError(f"There is no data set {id!r}.", f"Known: {', '.join(known)}." if known else "Add one first.")


def remove_dataset(workspace: Workspace, id: str) -> None:
    """Forget a data set with its images and label history; files on disk are never touched."""
    find_dataset(workspace, id)
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("DELETE FROM dataset WHERE id = ?", (id,))
    workspace.sample(id).unlink(missing_ok=True)


def set_truth_from_folders(workspace: Workspace, id: str, on: bool, level: int = 1) -> Dataset:
    """Take the class folders of a level as the truth, or forget it; no file is opened.

    Raises
    ------
    InputError
        The data set is not a folder, or has no folders so deep.
    """
    dataset = find_dataset(workspace, id)
    if dataset.kind != "folder":
        raise InputError("Only a folder has class folders.", "Benchmark sets and vector files bring their own truth.")
    with open_catalog(workspace.catalog, write=True) as db:
        paths = [row["path"] for row in _image_rows(db, id)]
        levels = class_levels(paths)
        if on and paths and not 1 <= level <= max(1, len(levels)):
            deep = f"{len(levels)} {'level' if len(levels) == 1 else 'levels'} of folders"
            raise InputError(f"There is no level {level} of class folders.", f"These images lie in {deep}.")
        found = folder_truth(paths, level) if on else [(None, "")] * len(paths)
        db.executemany(
            "UPDATE image SET truth = ?, split = ? WHERE dataset = ? AND path = ?",
            [(truth, split, id, path) for path, (truth, split) in zip(paths, found, strict=True)],
        )
        options = json.dumps(dataset.options | {"truth_from_folders": on, "truth_level": level})
        db.execute("UPDATE dataset SET options = ? WHERE id = ?", (options, id))
    return find_dataset(workspace, id)


def set_reading(workspace: Workspace, id: str, settings: FolderSettings) -> Dataset:
    """Keep what of a folder is read; the next scan goes by it.

    Raises
    ------
    InputError
        The data set is not a folder.
    """
    dataset = find_dataset(workspace, id)
    if dataset.kind != "folder":
        raise InputError("Only a folder lets you choose which of its files are read.")
    kept = {name: value for name, value in dataset.options.items() if name not in FolderSettings.model_fields}
    options = kept | settings.model_dump(mode="json", exclude_defaults=True)
    if options != dataset.options:
        update_dataset(workspace, id, options=json.dumps(options))
    return find_dataset(workspace, id)


def _add(workspace: Workspace, kind: Kind, location: bytes, name: str, options: dict[str, Any]) -> Dataset:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or kind
    base = f"{slug}-{hashlib.blake2b(kind.encode() + b':' + location, digest_size=4).hexdigest()}"
    with open_catalog(workspace.catalog, write=True) as db:
        row = db.execute("SELECT * FROM dataset WHERE kind = ? AND location = ?", (kind, location)).fetchone()
        if row is not None:
            return _from_row(row)
        taken = {found["id"] for found in db.execute("SELECT id FROM dataset")}
        id = next(one for one in (base, *(f"{base}-{n}" for n in range(2, 1000))) if one not in taken)
        db.execute(
            "INSERT INTO dataset (id, name, kind, location, options, created) VALUES (?, ?, ?, ?, ?, ?)",
            (id, name, kind, location, json.dumps(options), time.time()),
        )
        return _from_row(db.execute("SELECT * FROM dataset WHERE id = ?", (id,)).fetchone())


def update_dataset(workspace: Workspace, id: str, **values: bytes | str) -> None:
    """Write some columns of a data set."""
    assignments = ", ".join(f"{column} = ?" for column in values)
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute(f"UPDATE dataset SET {assignments} WHERE id = ?", (*values.values(), id))


def _image_rows(db: sqlite3.Connection, id: str) -> list[sqlite3.Row]:
    return db.execute("SELECT path, content FROM image WHERE dataset = ? ORDER BY path", (id,)).fetchall()


def _from_row(row: sqlite3.Row) -> Dataset:
    return Dataset(
        row["id"],
        row["name"],
        cast(Kind, row["kind"]),
        bytes(row["location"]),
        json.loads(row["options"]),
        row["scanned"],
    )


def _readable(path: Path, *, stem: bool = False) -> str:
    return shown(os.fsencode(path.stem if stem else path.name)) or "images"
