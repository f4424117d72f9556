"""Which picture a file is: by its bytes, and by its pixels where another program has changed the bytes.

A picture is known by the id of the bytes that it was first read with (`image.content`); vectors, clusters and labels
hang on it. Captions, ratings, repaired EXIF or a lossless rotation write new bytes (`image.bytes`): the scan then keeps
the picture's id and appends one event of kind "carry", which can be undone like any other. A picture whose pixels
changed at its place is a new one; it is counted, and takes over the id on request (`keep_changed`).
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.core import ids
from engine.core.catalog import append_event, open_catalog
from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.images.fingerprint import looks_same
from engine.images.memory import remembered

How = Literal["same", "turned", "changed"]
Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Looks:
    """What is compared of a picture before and after its file was written anew.

    Attributes
    ----------
    pixels : bytes or None
        Hash of its upright pixels; None where none is kept.
    turns : tuple of bytes
        Hashes of it turned and flipped in every other way.
    width, height : int or None
        Pixels, upright.
    format : str or None
    orientation : int or None
        EXIF's.
    thumbnail : bytes or None
    """

    pixels: bytes | None
    turns: tuple[bytes, ...] = ()
    width: int | None = None
    height: int | None = None
    format: str | None = None
    orientation: int | None = None
    thumbnail: bytes | None = None


def compare(before: Looks, after: Looks) -> How:
    """Return whether a file still holds the same picture.

    Equal hashes are the same picture, upright or turned. Turning a JPEG without loss gives pixels that differ by
    rounding, so where its orientation or shape changed the thumbnails decide; they also do where no hash is kept of
    before, as in a catalog of an older version, then for what 256 px show.
    """
    if after.pixels is None:
        return "changed"
    if before.pixels == after.pixels:
        return "same"
    if before.pixels is not None and before.pixels in after.turns:
        return "turned"
    if before.thumbnail is None or after.thumbnail is None or before.format != after.format:
        return "changed"
    shape, was = (after.width, after.height), (before.width, before.height)
    if before.pixels is None and shape == was and looks_same(before.thumbnail, after.thumbnail):
        return "same"
    if after.format != "jpeg" or shape not in (was, was[::-1]):
        return "changed"
    if shape == was and looks_same(before.thumbnail, after.thumbnail, rounded=True):
        return "same" if before.orientation not in (None, after.orientation) else "changed"
    return "turned" if looks_same(before.thumbnail, after.thumbnail, turned=True) else "changed"


# ---------------------------------------------------------------------------------------------- during a scan


def known_as(db: sqlite3.Connection, dataset: str, data_id: bytes) -> bytes | None:
    """Return the picture that these bytes are known as in the data set, None where they are new."""
    row = db.execute("SELECT content FROM alias WHERE dataset = ? AND bytes = ?", (dataset, data_id)).fetchone()
    if row is not None:
        return bytes(row[0])
    for table in ("image", "former"):
        if db.execute(
            f"SELECT 1 FROM {table} WHERE dataset = ? AND content = ? LIMIT 1", (dataset, data_id)
        ).fetchone():
            return data_id
    return None


def note_alias(db: sqlite3.Connection, dataset: str, data_id: bytes, content: bytes, how: str) -> None:
    """Keep that these bytes are a known picture; the event that says so is written when the scan ends."""
    db.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?, ?, NULL)", (dataset, data_id, content, how))


def note_former(
    db: sqlite3.Connection, dataset: str, content: bytes, path: bytes, pixels: bytes | None, replaced: bytes | None
) -> None:
    """Keep what is known of a picture whose last file is gone; one that still has a file is left out."""
    if db.execute("SELECT 1 FROM image WHERE dataset = ? AND content = ? LIMIT 1", (dataset, content)).fetchone():
        return
    db.execute(
        "INSERT INTO former VALUES (?, ?, ?, ?, ?) ON CONFLICT (dataset, content)"
        " DO UPDATE SET path = excluded.path, pixels = coalesce(excluded.pixels, pixels), replaced = excluded.replaced",
        (dataset, content, path, pixels, replaced),
    )


def settle_identity(db: sqlite3.Connection, dataset: str, last: int) -> list[str]:
    """Find gone pictures again elsewhere, write the event of all that was carried over, and return its sentences.

    Parameters
    ----------
    last : int
        The highest image id before the scan: pictures with higher ones only are new.
    """
    db.execute(
        "DELETE FROM former WHERE dataset = ?1 AND content IN (SELECT content FROM image WHERE dataset = ?1)",
        (dataset,),
    )
    unclear = _find_elsewhere(db, dataset, last)
    rows = db.execute(
        "SELECT content, bytes, how FROM alias WHERE dataset = ? AND event IS NULL ORDER BY content", (dataset,)
    ).fetchall()
    told = []
    if rows:
        kinds = Counter(row[2] for row in rows)
        sentence = carried_sentence(kinds["same"], kinds["turned"])
        event = _write_carry(db, dataset, [(bytes(row[0]), bytes(row[1])) for row in rows], sentence)
        db.execute("UPDATE alias SET event = ? WHERE dataset = ? AND event IS NULL", (event, dataset))
        told.append(f"{sentence}.")
    if unclear:
        told.append(
            f"{_images(unclear)} {'has' if unclear == 1 else 'have'} the pixels of several that are gone, so it is "
            "open whose labels to keep; none were carried over."
        )
    return told


def carried_sentence(same: int, turned: int) -> str:
    """Say how many pictures keep what hangs on them although their files were changed."""
    both, are = same + turned, "was" if same + turned == 1 else "were"
    turns = f", {'it' if both == 1 else f'{turned:,} of them'} turned" if turned else ", not in their pixels"
    turns = turns.replace("their", "its") if both == 1 else turns
    return f"{_images(both)} {are} changed by another program{turns}: labels, clusters and vectors stay"


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _find_elsewhere(db: sqlite3.Connection, dataset: str, last: int) -> int:
    """Give new files the id of a gone picture with the same pixels; return how many fit several that are gone."""
    gone: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)  # by pixels: the path of each picture
    new: dict[bytes, dict[bytes, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for content, path, pixels in db.execute(
        "SELECT content, path, pixels FROM former WHERE dataset = ? AND pixels IS NOT NULL", (dataset,)
    ):
        gone[bytes(pixels)][bytes(content)] = bytes(path)
    for data_id, path, pixels in db.execute(
        "SELECT content, path, pixels FROM image i WHERE dataset = ?1 AND id > ?2 AND bytes IS NULL"
        " AND pixels IN (SELECT pixels FROM former WHERE dataset = ?1)"
        " AND NOT EXISTS (SELECT 1 FROM image o WHERE o.dataset = ?1 AND o.content = i.content AND o.id <= ?2)",
        (dataset, last),
    ).fetchall():
        new[bytes(pixels)][bytes(data_id)].append(bytes(path))
    unclear = 0
    for pixels, files in new.items():
        pairs = _matches(gone[pixels], files)
        unclear += len(files) - len(pairs)
        for content, data_id in pairs:
            note_alias(db, dataset, data_id, content, "same")
            _take_identity(db, dataset, content, data_id)
            db.execute("DELETE FROM former WHERE dataset = ? AND content = ?", (dataset, content))
    return unclear


def _matches(gone: Mapping[bytes, bytes], new: Mapping[bytes, Sequence[bytes]]) -> list[Pair]:
    """Match gone pictures (path by id) with new files (paths by id) of the same pixels.

    They are those of the only picture that is gone, else of the one with the same file name, where it is one.
    """
    if len(gone) == 1:
        return [(next(iter(gone)), data_id) for data_id in new]
    named: dict[bytes, list[bytes]] = defaultdict(list)
    for content, path in gone.items():
        named[path.rsplit(b"/", 1)[-1]].append(content)
    pairs = []
    for data_id, paths in new.items():
        fitting = {content for path in paths for content in named.get(path.rsplit(b"/", 1)[-1], ())}
        if len(fitting) == 1:
            pairs.append((fitting.pop(), data_id))
    return pairs


def _take_identity(db: sqlite3.Connection, dataset: str, content: bytes, data_id: bytes) -> None:
    """Make files with these bytes the picture `content`."""
    db.execute(
        "UPDATE image SET content = ?1, bytes = CASE WHEN ?2 = ?1 THEN NULL ELSE ?2 END"
        " WHERE dataset = ?3 AND coalesce(bytes, content) = ?2",
        (content, data_id, dataset),
    )


def _write_carry(db: sqlite3.Connection, dataset: str, pairs: Sequence[Pair], sentence: str) -> int:
    blob = b"".join(content for content, _ in pairs) + b"".join(data_id for _, data_id in pairs)
    return append_event(db, dataset, "carry", {"anchors": len(pairs), "sentence": sentence}, blob)


def know_as_in(db: sqlite3.Connection, dataset: str, other: str) -> None:
    """Give pictures the ids that another data set knows the same pixels by, where it is one id only; one event."""
    rows = db.execute(
        "SELECT DISTINCT o.content, i.content FROM image i JOIN image o ON o.pixels = i.pixels AND o.dataset = ?2"
        " WHERE i.dataset = ?1 AND i.bytes IS NULL AND i.failure IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM image s WHERE s.dataset = ?2 AND s.content = i.content)",
        (dataset, other),
    ).fetchall()
    once = Counter(bytes(row[1]) for row in rows)
    pairs = [(bytes(row[0]), bytes(row[1])) for row in rows if once[bytes(row[1])] == 1]
    if pairs:
        _carry(db, dataset, pairs, carried_sentence(len(pairs), 0), "same")


def _carry(db: sqlite3.Connection, dataset: str, pairs: Sequence[Pair], sentence: str, how: str) -> None:
    """Make files of these bytes (the second of each pair) the pictures of before (the first), by one event."""
    event = _write_carry(db, dataset, pairs, sentence)
    for content, data_id in pairs:
        db.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?, ?, ?)", (dataset, data_id, content, how, event))
        _take_identity(db, dataset, content, data_id)
        db.execute("DELETE FROM former WHERE dataset = ? AND content = ?", (dataset, content))
    db.execute("UPDATE dataset SET scanned = ? WHERE id = ?", (time.time(), dataset))


# ----------------------------------------------------------------------------------------------- undo and redo


def follow_carry(db: sqlite3.Connection, dataset: str, event: int, blob: bytes, *, holds: bool) -> None:
    """Make the catalog follow a carry event that was undone, or redone (`holds`)."""
    half = len(blob) // 2
    for content, data_id in zip(_split(blob[:half]), _split(blob[half:]), strict=True):
        if holds:
            db.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?, 'same', ?)", (dataset, data_id, content, event))
            _take_identity(db, dataset, content, data_id)
            db.execute("DELETE FROM former WHERE dataset = ? AND content = ?", (dataset, content))
            continue
        db.execute("DELETE FROM alias WHERE dataset = ? AND bytes = ? AND content = ?", (dataset, data_id, content))
        row = db.execute(
            "SELECT path, pixels FROM image WHERE dataset = ? AND content = ? AND bytes = ?",
            (dataset, content, data_id),
        ).fetchone()
        if row is not None:
            _take_identity(db, dataset, data_id, data_id)
            note_former(db, dataset, content, row[0], row[1], data_id)
    db.execute("UPDATE dataset SET scanned = ? WHERE id = ?", (time.time(), dataset))


def _split(blob: bytes) -> Iterable[bytes]:
    return (blob[at : at + ids.WIDTH] for at in range(0, len(blob), ids.WIDTH))


# ----------------------------------------------------------------------------------------- changed in their pixels


def changed_images(workspace: Workspace, dataset_id: str) -> list[tuple[bytes, bytes, bytes]]:
    """Return (path, id of the picture before, id of the picture now) of each file whose pixels have changed.

    They stay on the list until their labels are kept, they are said to be other pictures, or the file is as before.
    """
    return remembered(workspace, dataset_id, "changed", lambda db: changed_in(db, dataset_id))


def changed_in(db: sqlite3.Connection, dataset_id: str) -> list[tuple[bytes, bytes, bytes]]:
    """Return what `changed_images` does, from an open catalog."""
    rows = db.execute(
        "SELECT f.path, f.content, i.content FROM former f JOIN image i ON i.dataset = f.dataset AND i.path = f.path"
        " WHERE f.dataset = ? AND f.replaced = coalesce(i.bytes, i.content) AND i.failure IS NULL ORDER BY f.path",
        (dataset_id,),
    ).fetchall()
    return [(bytes(row[0]), bytes(row[1]), bytes(row[2])) for row in rows]


def keep_changed(workspace: Workspace, dataset_id: str) -> str:
    """Let files whose pixels changed be the pictures that they were, so that labels and clusters stay; one event.

    Returns
    -------
    str
        The event's sentence.

    Raises
    ------
    InputError
        None has changed, or each of them is a picture with other files.
    """
    with open_catalog(workspace.catalog, write=True) as db:
        found = changed_in(db, dataset_id)
        count = "SELECT count(*) FROM image WHERE dataset = ? AND content = ?"
        alone = {now for _, _, now in found if db.execute(count, (dataset_id, now)).fetchone()[0] == 1}
        pairs = [(before, now) for _, before, now in found if now in alone]
        if not pairs:
            raise InputError(
                "No image has changed in its pixels." if not found else "The changed files are copies of other images.",
                "Label them anew." if found else "",
            )
        sentence = f"{_images(len(pairs))} changed in {'its' if len(pairs) == 1 else 'their'} pixels: labels kept"
        _carry(db, dataset_id, pairs, sentence, "kept")
    return sentence


def forget_changed(workspace: Workspace, dataset_id: str) -> None:
    """Say that files whose pixels changed are other pictures now, so that they are not counted any more."""
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("UPDATE former SET replaced = NULL WHERE dataset = ? AND replaced IS NOT NULL", (dataset_id,))
        db.execute("UPDATE dataset SET scanned = ? WHERE id = ?", (time.time(), dataset_id))
