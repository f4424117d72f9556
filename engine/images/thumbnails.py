"""256 px JPEGs by content id, packed in one SQLite file of the cache.

The scan makes them in the pass that checks an image anyway; `thumbnail` makes a missing one when a page
asks for it. The file may be deleted at any time, also while Kindred runs. A picture of more than 8 bits looks different
in a data set of another range, so the range is part of what its thumbnail is known by.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image

from engine.core.catalog import read_rows
from engine.core.errors import KindredError, StorageError
from engine.core.workspace import Workspace
from engine.images.contents import read_content
from engine.images.decode import MAX_PIXELS, RESAMPLE, decode_rgb
from engine.images.depth import Range, Ranges
from engine.images.ranges import load_ranges

SIDE = 256
SMALLEST = 64
QUALITY = 80
PICTURE_SIDE = 2048
PICTURE_QUALITY = 90


class ThumbnailStore:
    """Thumbnails by 16-byte key (`thumbnail_key`: mostly the content id); every thread has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        inode = self._inode()
        if inode is not None and getattr(self._local, "inode", None) == inode:
            db: sqlite3.Connection = self._local.db
            return db
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise StorageError(f"The thumbnails {self.path} cannot be opened: {error}.") from error
            self.path.unlink(missing_ok=True)  # damaged, and only a cache
            db = self._open()
        self._local.db, self._local.inode = db, self._inode()
        return db

    def _inode(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("CREATE TABLE IF NOT EXISTS thumbnail (content BLOB NOT NULL UNIQUE, jpeg BLOB NOT NULL) STRICT")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close this thread's connection."""
        db = getattr(self._local, "db", None)
        if db is not None:
            db.close()
        self._local.db = self._local.inode = None

    def get(self, content: bytes) -> bytes | None:
        """Return the JPEG of a content id, or None."""
        try:
            row = self._connection().execute("SELECT jpeg FROM thumbnail WHERE content = ?", (content,)).fetchone()
        except sqlite3.Error as error:
            raise StorageError(f"The thumbnails could not be read: {error}.") from error
        return None if row is None else bytes(row[0])

    def put_many(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep (content id, JPEG) pairs in one transaction; a known content is replaced."""
        if not items:
            return
        try:
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany("INSERT OR REPLACE INTO thumbnail VALUES (?, ?)", items)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite itself rolls back when the disk is full
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StorageError(
                f"The thumbnails could not be saved: {error}.", "Free some space; images and labels are not affected."
            ) from error

    def known(self, contents: Sequence[bytes]) -> set[bytes]:
        """Return which of these content ids have a thumbnail."""
        found: set[bytes] = set()
        db = self._connection()
        for start in range(0, len(contents), 500):
            part = contents[start : start + 500]
            marks = ",".join("?" * len(part))
            found.update(
                row[0] for row in db.execute(f"SELECT content FROM thumbnail WHERE content IN ({marks})", part)
            )
        return found


def encode_thumbnail(image: Image.Image) -> bytes:
    """Return the JPEG of an RGB picture, at most 256 px; tiny ones are enlarged to 64 px so that they show well."""
    if max(image.size) > SIDE:
        image = _scaled(image, SIDE)
    return _jpeg(_enlarged(image, SMALLEST), QUALITY)


def _enlarged(image: Image.Image, side: int) -> Image.Image:
    return _scaled(image, side) if max(image.size) < SMALLEST else image


def _scaled(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), RESAMPLE)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def thumbnail_key(content: bytes, shown: Range | None) -> bytes:
    """Return what a thumbnail is kept by: the content id, for a deep image with the range that it is shown in."""
    if shown is None:
        return content
    return hashlib.blake2b(content + f"{shown[0]} {shown[1]}".encode(), digest_size=16).digest()


def make_thumbnail(data: bytes, ranges: Ranges | None = None, *, max_pixels: int | None = MAX_PIXELS) -> bytes:
    """Return the 256 px JPEG of an encoded image.

    Raises
    ------
    ImageError
        The bytes are no readable image.
    """
    return encode_thumbnail(decode_rgb(data, SIDE, ranges=ranges, max_pixels=max_pixels))


def thumbnail(workspace: Workspace, image_id: int, *, store: ThumbnailStore | None = None) -> bytes | None:
    """Return the thumbnail of an image, made now if it is missing; None where there is nothing to show."""
    known = _known(workspace, image_id)
    if known is None:
        return None
    content, depth, ranges = known
    store = store or _store(workspace.thumbnails)
    key = thumbnail_key(content, ranges.get(depth))
    found = store.get(key)
    if found is not None:
        return found
    try:
        jpeg = make_thumbnail(read_content(workspace, content), ranges, max_pixels=None)
    except KindredError:
        return None
    store.put_many([(key, jpeg)])
    return jpeg


def picture(workspace: Workspace, image_id: int, *, side: int = PICTURE_SIDE) -> bytes | None:
    """Return the image itself as JPEG, its longer side at most `side` pixels; None where there is nothing to show."""
    known = _known(workspace, image_id)
    if known is None:
        return None
    content, _, ranges = known
    try:
        image = decode_rgb(read_content(workspace, content), side, ranges=ranges, max_pixels=None)
    except KindredError:
        return None
    return _jpeg(_enlarged(image, SMALLEST * 4), PICTURE_QUALITY)


def _known(workspace: Workspace, image_id: int) -> tuple[bytes, str, Ranges] | None:
    """Return the id of the bytes, the kind of depth and the data set's ranges of a readable image."""
    rows = read_rows(
        workspace.catalog,
        "SELECT dataset, coalesce(bytes, content), failure, coalesce(depth, '') FROM image WHERE id = ?",
        (image_id,),
    )
    dataset, content, failure, depth = rows[0] if rows else ("", None, None, "")
    if failure is not None or content is None:
        return None
    return content, depth, load_ranges(workspace, dataset) if depth else {}


@cache
def _store(path: Path) -> ThumbnailStore:
    return ThumbnailStore(path)
