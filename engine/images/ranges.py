"""The range of values that a data set's images of more than 8 bits are shown in, kept in the catalog.

A range is measured once, by the scan that first meets a kind of depth, on the images whose content ids are the
smallest: the same ones in whatever order and by however many threads they are read. It stays as it is when images
come, so that old vectors stay true, until a person has it measured anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from engine.core.catalog import open_catalog
from engine.core.workspace import Workspace
from engine.images.decode import MAX_PIXELS, ImageError, sample_of
from engine.images.depth import Range, Ranges, range_of
from engine.images.sources import ReadError

MEASURED = 512  # images of one kind that its range is measured on


def load_ranges(workspace: Workspace, dataset_id: str) -> dict[str, Range]:
    """Return the range of each kind of depth that the data set holds, such as {"16-bit grey": (112.0, 3870.0)}."""
    with open_catalog(workspace.catalog) as db:
        return ranges_in(db, dataset_id)


def ranges_in(db: sqlite3.Connection, dataset_id: str) -> dict[str, Range]:
    """Return what `load_ranges` does, from an open catalog."""
    rows = db.execute(
        "SELECT depth, low, high FROM pixel_range WHERE dataset = ? ORDER BY depth", (dataset_id,)
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def load_depths(workspace: Workspace, dataset_id: str) -> dict[bytes, str]:
    """Return the kind of depth of each content that is deeper than 8 bits."""
    with open_catalog(workspace.catalog) as db:
        rows = db.execute(
            "SELECT content, depth FROM image WHERE dataset = ? AND depth <> '' AND content IS NOT NULL", (dataset_id,)
        )
        return {row[0]: row[1] for row in rows}


def measure_range(
    names: Mapping[bytes, bytes], read: Callable[[bytes], bytes], *, max_pixels: int = MAX_PIXELS
) -> Range | None:
    """Return the range of images of one kind of depth; None where none of them has a value.

    Parameters
    ----------
    names : mapping
        Name inside the source by content id, of all images of this kind.
    read : function of a name
        Returns the file; may raise `ReadError`.
    max_pixels : int
        Images with more are left out.
    """
    samples, floating = [], False
    for content in sorted(names)[:MEASURED]:
        try:
            values, floats = sample_of(read(names[content]), max_pixels=max_pixels)
        except (ImageError, ReadError):
            continue
        samples.append(values)
        floating |= floats
    return range_of(samples, floating=floating)


def keep_range(workspace: Workspace, dataset_id: str, depth: str, measured: Range) -> Range:
    """Keep a range where none is kept yet; return the one that is."""
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("INSERT OR IGNORE INTO pixel_range VALUES (?, ?, ?, ?)", (dataset_id, depth, *measured))
        return ranges_in(db, dataset_id)[depth]


def forget_ranges(workspace: Workspace, dataset_id: str) -> None:
    """Forget the ranges and the deep images, so that the next scan measures and looks anew.

    The images get new ids, since their pictures change; labels, known by content, stay.
    """
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("DELETE FROM pixel_range WHERE dataset = ?", (dataset_id,))
        db.execute("DELETE FROM image WHERE dataset = ? AND depth <> ''", (dataset_id,))


def conflict(one: Ranges, other: Ranges) -> bool:
    """Whether two sets of ranges show some kind of depth differently."""
    return any(tuple(one[depth]) != tuple(other[depth]) for depth in one.keys() & other.keys())
