"""What the catalog knows of a data set's images: one row per distinct content, or one per file.

`load_images` gives the analysis rows that everything to the right counts in; `files_of` gives every file,
duplicates and failures included, for export and the Images page.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core import ids as content_ids
from engine.core.catalog import open_catalog
from engine.core.ids import Ids
from engine.core.workspace import Workspace
from engine.images.memory import remembered

_ESCAPED = str.maketrans({letter: f"\\{letter}" for letter in "\\%_"})  # what means something in a pattern of LIKE


@dataclass(frozen=True)
class ImageTable:
    """The analysis rows of a data set: distinct readable contents.

    Images stand in the byte order of their first paths, vectors in the order of their file.

    Attributes
    ----------
    ids : (n,) int64
        Catalog ids of the first files; the gallery and the thumbnail route use them.
    contents : (n,) S16
        Content ids.
    paths : list of bytes
        First path of each content inside the source.
    truth : list of str or None
        Class, where one is known.
    split : list of str
        "", "train" or "test".
    width, height : (n,) int32
        Pixels, upright; 0 for vectors without images.
    sizes : (n,) int64
        Bytes of the file.
    """

    ids: NDArray[np.int64]
    contents: Ids
    paths: list[bytes]
    truth: list[str | None]
    split: list[str]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def digest(self) -> bytes:
        """Names the contents in their order."""
        return hashlib.blake2b(np.ascontiguousarray(self.contents).tobytes(), digest_size=16).digest()

    def rows(self, chosen: NDArray[np.int64] | NDArray[np.bool_] | Sequence[int]) -> ImageTable:
        """Return the table of some rows, given by index or mask."""
        at = np.arange(len(self))[np.asarray(chosen)] if len(self) else np.empty(0, np.int64)
        return ImageTable(
            self.ids[at],
            self.contents[at],
            [self.paths[i] for i in at],
            [self.truth[i] for i in at],
            [self.split[i] for i in at],
            self.width[at],
            self.height[at],
            self.sizes[at],
        )


def load_images(workspace: Workspace, dataset_id: str, *, split: str | None = None) -> ImageTable:
    """Return the analysis rows of a data set, all or of one split.

    Parameters
    ----------
    split : str, optional
        "train", "test" or "" (images without a split); None takes all. A content that lies in both
        splits belongs to that of its first path, so that splits never share an image.

    Returns
    -------
    ImageTable
        Shared with other callers while the data set is unchanged: read it, never write into it.
    """
    return remembered(workspace, dataset_id, f"images {split}", lambda db: _table(db, dataset_id, split))


def _table(db: sqlite3.Connection, dataset_id: str, split: str | None) -> ImageTable:
    db.row_factory = None
    found = db.execute(
        "SELECT id, content, path, truth, split, coalesce(width, 0), coalesce(height, 0), size FROM image"
        f" WHERE dataset = ? AND content IS NOT NULL AND failure IS NULL ORDER BY {_order(db, dataset_id)}",
        (dataset_id,),
    )
    seen: set[bytes] = set()
    rows = []
    for row in found:
        if row[1] not in seen:
            seen.add(row[1])
            if split is None or row[4] == split:
                rows.append(row)
    columns: tuple[Any, ...] = tuple(zip(*rows, strict=True)) if rows else ((),) * 8
    return ImageTable(
        _frozen(np.array(columns[0], np.int64)),
        content_ids.pack(columns[1]),
        list(columns[2]),
        list(columns[3]),
        list(columns[4]),
        _frozen(np.array(columns[5], np.int32)),
        _frozen(np.array(columns[6], np.int32)),
        _frozen(np.array(columns[7], np.int64)),
    )


def _order(db: sqlite3.Connection, dataset_id: str) -> str:
    """Return the column that rows are sorted by: vectors were added in the order of their file."""
    vectors = db.execute("SELECT 1 FROM dataset WHERE id = ? AND kind = 'vectors'", (dataset_id,)).fetchone()
    return "id" if vectors else "path"


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file of a data set as the catalog has it.

    Attributes
    ----------
    id : int
    path : bytes
        Inside the source.
    content : bytes or None
        Content id; None where the bytes could not be read.
    size : int
        Bytes.
    width, height : int or None
        Pixels, upright.
    format : str or None
    truth : str or None
    split : str
    failure : str or None
        Why it cannot be used, one sentence.
    quality : dict
        Measured qualities by name, numbers and words; empty where none were measured.
    data_id : bytes or None
        Id of the file's bytes now; another than `content` where a program changed the file but not the picture.
    """

    id: int
    path: bytes
    content: bytes | None
    size: int
    width: int | None
    height: int | None
    format: str | None
    truth: str | None
    split: str
    failure: str | None
    quality: dict[str, float | str]
    data_id: bytes | None = None


def files_of(workspace: Workspace, dataset_id: str) -> list[ImageFile]:
    """Return every file of a data set, duplicates and failures included, in the order of `ImageTable`."""
    with open_catalog(workspace.catalog) as db:
        db.row_factory = None
        found = db.execute(
            "SELECT id, path, content, size, width, height, format, truth, split, failure, quality, bytes"
            f" FROM image WHERE dataset = ? ORDER BY {_order(db, dataset_id)}",
            (dataset_id,),
        ).fetchall()
    return [ImageFile(*(*row[:10], json.loads(row[10]) if row[10] else {}, row[11] or row[2])) for row in found]


def count_images(workspace: Workspace, dataset_id: str) -> int:
    """Return the number of analysis rows of a data set."""
    return len(load_images(workspace, dataset_id))


def find_images(workspace: Workspace, dataset_id: str, text: str, *, limit: int = 20) -> list[tuple[int, bytes]]:
    """Return images whose path holds a text, as (catalog id, path): names that begin with it first.

    Capital and small letters of ASCII are the same. The catalog is read only until ten times `limit` images are
    found, so that a page may ask at every letter that is typed: what is returned is then a part of what there is.

    Parameters
    ----------
    text : str
        Empty text finds nothing.
    limit : int
        At least 1.
    """
    wanted = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    if not wanted:
        return []
    pattern = f"%{wanted.translate(_ESCAPED)}%"
    with open_catalog(workspace.catalog) as db:
        db.row_factory = None
        found = db.execute(  # LIKE makes no copy of each path in small letters: half the time of instr(lower(path))
            "SELECT id, path FROM image WHERE dataset = ? AND content IS NOT NULL AND failure IS NULL"
            " AND CAST(path AS TEXT) LIKE ? ESCAPE '\\' LIMIT ?",
            (dataset_id, pattern, 10 * limit),
        ).fetchall()
    needle = os.fsencode(wanted)

    def order(row: tuple[int, bytes]) -> tuple[int, int, bytes]:
        name = row[1].rpartition(b"/")[2].lower()
        at = name.find(needle)
        return (0 if at == 0 else 1 if at > 0 else 2, len(name), row[1])

    return sorted(found, key=order)[:limit]


def newest_images(workspace: Workspace, dataset_id: str, limit: int) -> list[int]:
    """Return the catalog ids of the readable images that were read last, the oldest of them first.

    Parameters
    ----------
    limit : int
        At most so many; at least 1.
    """
    with open_catalog(workspace.catalog) as db:
        found = db.execute(
            "SELECT id FROM image WHERE dataset = ? AND content IS NOT NULL AND failure IS NULL"
            " ORDER BY id DESC LIMIT ?",
            (dataset_id, limit),
        ).fetchall()
    return [int(row[0]) for row in reversed(found)]


def ids_of_paths(workspace: Workspace, dataset_id: str, paths: Sequence[bytes]) -> dict[bytes, int]:
    """Return the catalog id of each of these files; what is not in the data set is left out."""
    query = "SELECT id FROM image WHERE dataset = ? AND path = ?"
    with open_catalog(workspace.catalog) as db:
        found = {path: db.execute(query, (dataset_id, path)).fetchone() for path in paths}
    return {path: int(row[0]) for path, row in found.items() if row is not None}


def load_pixel_hashes(workspace: Workspace, dataset_id: str) -> Ids:
    """Return (n,) S16 hashes of the upright pixels, in the order of `load_images`; empty where none is kept."""

    def ask(db: sqlite3.Connection) -> Ids:
        table = _table(db, dataset_id, None)
        found = dict(db.execute("SELECT id, pixels FROM image WHERE dataset = ? AND pixels IS NOT NULL", (dataset_id,)))
        return np.array([found.get(image, b"") for image in table.ids.tolist()], "S16")

    return remembered(workspace, dataset_id, "pixel hashes", ask)


def load_quality(workspace: Workspace, dataset_id: str) -> dict[str, NDArray[np.float32]]:
    """Return the measured qualities by name, each (n,) in the order of `load_images`; NaN where none was measured.

    Names and ranges are those of `engine.images.quality.measure` and `engine.images.traces`; vectors without images
    have none.
    """
    return _measured(workspace, dataset_id)[0]


def load_words(workspace: Workspace, dataset_id: str) -> dict[str, NDArray[np.object_]]:
    """Return what was found of each image as a word, by name, (n,) in the order of `load_images`; "" for unknown."""
    return _measured(workspace, dataset_id)[1]


_Found = tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.object_]]]


def _measured(workspace: Workspace, dataset_id: str) -> _Found:
    return remembered(workspace, dataset_id, "quality", lambda db: _quality(db, dataset_id))


def _quality(db: sqlite3.Connection, dataset_id: str) -> _Found:
    table = _table(db, dataset_id, None)
    found = dict(db.execute("SELECT id, quality FROM image WHERE dataset = ? AND quality IS NOT NULL", (dataset_id,)))
    measured = [json.loads(found[image]) if image in found else {} for image in table.ids.tolist()]
    kinds = {name: type(value) for one in measured for name, value in one.items()}
    numbers = [name for name, kind in kinds.items() if kind is not str]
    return (
        {name: _frozen(np.array([one.get(name, np.nan) for one in measured], np.float32)) for name in numbers},
        {
            name: _frozen(np.array([one.get(name, "") for one in measured], dtype=np.object_))
            for name, kind in kinds.items()
            if kind is str
        },
    )
