"""Folders that lie elsewhere than before: told by what they hold, and taken for the data set that they were.

A folder that is opened for the first time may be a known one that was moved, renamed, mounted elsewhere or copied.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from engine.core.catalog import open_catalog
from engine.core.errors import InputError
from engine.core.files import content_id
from engine.core.workspace import Workspace
from engine.images.datasets import (
    Dataset,
    find_dataset,
    known_folder,
    list_datasets,
    store_vectors,
)
from engine.images.decode import ImageError, decode
from engine.images.reading import FolderSettings
from engine.images.sources import FolderSource, ReadError, shown
from engine.images.vectors import read_vectors

_LISTED, _LOOKED_AT = 50_000, 32  # files of a folder that are listed and read to find out whether they are known


def relocate(workspace: Workspace, id: str, new_path: str | Path) -> Dataset:
    """Say where a moved folder or vector file lies now; images, labels and ids stay.

    Raises
    ------
    InputError
        Not there, taken by another data set with labels, or holding none of the known images. A data set without
        labels that lies there already gives way.
    """
    dataset = find_dataset(workspace, id)
    if dataset.kind == "benchmark":
        raise InputError("A benchmark set has no folder to relocate.", "Add it again with another data root.")
    if dataset.kind == "vectors":
        file = Path(new_path).expanduser().resolve()
        vectors = read_vectors(file)
        location = os.fsencode(file)
        store = True
    else:
        location = os.fsencode(_checked_move(workspace, dataset, Path(new_path)))
        store = False
    with open_catalog(workspace.catalog, write=True) as db:
        other = db.execute(
            "SELECT id, name FROM dataset WHERE kind = ? AND location = ? AND id <> ?", (dataset.kind, location, id)
        ).fetchone()
        if other is not None:
            if db.execute("SELECT 1 FROM event WHERE dataset = ? AND kind <> 'carry'", (other["id"],)).fetchone():
                raise InputError(
                    f"That place is already the data set {other['name']!r}, which has labels of its own.",
                    "Forget one of the two first.",
                )
            db.execute("DELETE FROM dataset WHERE id = ?", (other["id"],))
        db.execute("UPDATE dataset SET location = ? WHERE id = ?", (location, id))
    if store:
        store_vectors(workspace, id, vectors)
    return find_dataset(workspace, id)


def _checked_move(workspace: Workspace, dataset: Dataset, new_path: Path) -> Path:
    source = FolderSource(new_path, settings=FolderSettings.of(dataset.options))
    with open_catalog(workspace.catalog) as db:
        known = db.execute(
            "SELECT path, size FROM image WHERE dataset = ? AND content IS NOT NULL ORDER BY random() LIMIT 200",
            (dataset.id,),
        ).fetchall()
    found = any(_same_file(source, row["path"], row["size"]) for row in known)
    if known and not found and not known_files(workspace, source).get(dataset.id):
        raise InputError(
            f"None of the known images of {dataset.name!r} is in {shown(os.fsencode(new_path))}.",
            "Choose the folder that holds the same files, or add it as a new data set.",
        )
    return source.root


def known_files(workspace: Workspace, source: FolderSource) -> dict[str, int]:
    """Return how many files of a folder, of some spread over it, are known by bytes or pixels, by data set.

    The empty name stands for the number of files looked at.
    """
    entries = list(islice(source.entries(), _LISTED))
    step = max(1, -(-len(entries) // _LOOKED_AT))
    found: Counter[str] = Counter()
    for entry in entries[::step]:
        try:
            data = source.read(entry.name)
        except ReadError:
            continue
        found[""] += 1
        found.update(_holding(workspace, data, source))
    return dict(found)


def _holding(workspace: Workspace, data: bytes, source: FolderSource) -> set[str]:
    """Return the data sets that hold a file by its bytes, else those that hold it by its pixels."""
    query = "SELECT DISTINCT dataset FROM image WHERE failure IS NULL AND "
    with open_catalog(workspace.catalog) as db:
        rows = db.execute(f"{query} (content = ?1 OR bytes = ?1)", (content_id(data),)).fetchall()
        if not rows:
            rows = db.execute(f"{query} pixels = ?", (_pixels(data, source),)).fetchall()
        return {str(row["dataset"]) for row in rows}


def _pixels(data: bytes, source: FolderSource) -> bytes | None:
    try:
        return decode(data, 256, max_pixels=source.settings.max_pixels, hashed=1).hashes[0]
    except ImageError:
        return None


@dataclass(frozen=True)
class KnownElsewhere:
    """A data set whose images a folder holds, too.

    Attributes
    ----------
    dataset : Dataset
    images : int
        How many images it has.
    gone : bool
        Its own folder is not there any more: it was moved, renamed or mounted elsewhere.
    """

    dataset: Dataset
    images: int
    gone: bool

    @property
    def sentence(self) -> str:
        """What a person is told."""
        images = f"{self.images:,} image{'' if self.images == 1 else 's'}"
        where = f"which {'was' if self.gone else 'is'} at {shown(self.dataset.location)}"
        after = "and is not there any more" if self.gone else "and still there"
        return f"These images are known as {self.dataset.name!r} ({images}), {where} {after}."


def known_elsewhere(workspace: Workspace, path: Path) -> KnownElsewhere | None:
    """Return the data set whose images a folder holds that is no data set yet; None where most of them are new.

    A few dozen files are read, so it may be asked for before a folder is opened.

    Raises
    ------
    InputError
        No such folder.
    """
    source = FolderSource(path)
    if known_folder(workspace, source.root) is not None:
        return None
    datasets = {one.id: one for one in list_datasets(workspace) if one.kind == "folder"}
    found = known_files(workspace, source) if datasets else {}
    total, offered = found.pop("", 0), []
    for id, number in found.items():
        dataset = datasets.get(id)
        if dataset is None or 2 * number < total:
            continue
        gone = not dataset.path.is_dir()
        if gone or not (source.root.is_relative_to(dataset.path) or dataset.path.is_relative_to(source.root)):
            offered.append((gone, number, _events(workspace, id), id))
    if not offered:
        return None
    gone, _, _, id = max(offered)
    with open_catalog(workspace.catalog) as db:
        images = db.execute("SELECT count(*) FROM image WHERE dataset = ? AND failure IS NULL", (id,)).fetchone()[0]
    return KnownElsewhere(datasets[id], images, gone)


def _events(workspace: Workspace, id: str) -> int:
    with open_catalog(workspace.catalog) as db:
        return int(db.execute("SELECT count(*) FROM event WHERE dataset = ?", (id,)).fetchone()[0])


def _same_file(source: FolderSource, name: bytes, size: int) -> bool:
    try:
        return source.path(name).stat().st_size == size
    except (ReadError, OSError):
        return False
