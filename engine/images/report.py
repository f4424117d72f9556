"""What a data set holds, read from the catalog: counts, formats, sizes, failures, duplicates, class folders.

`scan` returns it; a page may ask for it at any time without opening an image.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

import numpy as np

from engine.core.workspace import Workspace
from engine.images.depth import Ranges
from engine.images.headers import FIRST_TAKEN
from engine.images.identity import changed_in
from engine.images.kinds import RAW_SUFFIXES, reads_jxl, reads_raw
from engine.images.memory import remembered
from engine.images.ranges import ranges_in
from engine.images.reading import counted
from engine.images.sources import class_levels, folder_truth


@dataclass(frozen=True)
class Depth:
    """The images of one kind of depth beyond 8 bits.

    Attributes
    ----------
    images : int
        Readable files.
    low, high : float
        The values shown as black and as white.
    """

    images: int
    low: float
    high: float


class Sizes(TypedDict, total=False):
    """Extent of a data set's images."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    bytes: int


@dataclass(frozen=True)
class ScanReport:
    """A data set in numbers.

    Attributes
    ----------
    files : int
        Every file, failures included.
    readable : int
        Files that decode; duplicates count.
    distinct : int
        Distinct readable contents: the analysis rows.
    failed : list of (bytes, str)
        Path and reason of each file that cannot be used.
    formats : dict
        Readable files by format, the commonest first.
    sizes : dict
        `smallest`, `median`, `largest` as (width, height) by area, and `bytes` of the readable files;
        empty without images.
    duplicates : list of list of bytes
        Paths of exact copies, group by group.
    classes : dict
        Readable files by class: the truth where it is on, else what the class folders would give.
    levels : list of list of str
        Of a folder, the folder names of each level that could be the classes.
    depths : dict
        By kind of depth beyond 8 bits, such as "16-bit grey": how many images, and the range they are shown in.
    notes : list of (bytes, str)
        Path and sentence of each readable file that is odd, such as one with a damaged colour profile.
    others : dict
        Files that are no images, by suffix, the commonest first.
    left_out : dict
        Files that were left out, by what they were left out for: a system folder's name, a pattern, "hidden".
    changed_pixels : int
        Files whose pixels have changed at their place, so that they count as new images.
    told : list of str
        What the last scan said of images that keep their labels although their files were changed.
    seconds : float
    opened, added, changed, removed : int
        What this scan did; 0 when the report was only read.
    """

    files: int
    readable: int
    distinct: int
    failed: list[tuple[bytes, str]]
    formats: dict[str, int]
    sizes: Sizes
    duplicates: list[list[bytes]]
    classes: dict[str, int]
    seconds: float = 0.0
    opened: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    depths: dict[str, Depth] = field(default_factory=dict)
    notes: list[tuple[bytes, str]] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    changed_pixels: int = 0
    levels: list[list[str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def several(self) -> int:
        """How many files hold further pages or frames that are not taken."""
        return sum(FIRST_TAKEN in note for _, note in self.notes)

    @property
    def sentences(self) -> list[str]:
        """What is worth knowing about the folder beside its images: other files, what was left out, further pages."""
        told = beside({"others": self.others, "left_out": self.left_out})
        if self.several:
            files, hold = ("file", "holds") if self.several == 1 else ("files", "hold")
            told.append(f"{self.several:,} {files} {hold} several pages or frames; the first of each is taken.")
        return told

    @property
    def changed_sentence(self) -> str:
        """Say how many images changed in what they show; empty where none did."""
        if not self.changed_pixels:
            return ""
        one = self.changed_pixels == 1
        images, they = ("image has", "it counts as a new one") if one else ("images have", "they count as new ones")
        return f"{self.changed_pixels:,} {images} changed in the pixels; {they} until you keep the labels."

    @property
    def depth_sentence(self) -> str:
        """How many images are deeper than 8 bits and how they are shown; empty where there are none."""
        total = sum(found.images for found in self.depths.values())
        if not total:
            return ""
        said = {kind: f"between {_number(one.low)} and {_number(one.high)}" for kind, one in self.depths.items()}
        ranges = next(iter(said.values())) if len(said) == 1 else "; ".join(map(" ".join, said.items()))
        images, they = ("image is", "it is") if total == 1 else ("images are", "they are")
        return f"{total:,} {images} deeper than 8 bits; {they} shown {ranges}."


def beside(found: Mapping[str, Any]) -> list[str]:
    """Return sentences on the files beside the images: those of other kinds, and those that were left out."""
    others, left_out = found.get("others") or {}, found.get("left_out") or {}
    told = []
    if others:
        total = sum(others.values())
        told.append(f"{total:,} other {'file' if total == 1 else 'files'} left alone: {counted(others)}.")
        raw = sum(number for suffix, number in others.items() if suffix.encode() in RAW_SUFFIXES)
        if raw and not reads_raw():
            told.append("Raw photographs are read where the package rawpy is installed.")
        if ".jxl" in others and not reads_jxl():
            told.append("JPEG XL is read where the package pillow-jxl-plugin is installed.")
    if left_out:
        total = sum(left_out.values())
        told.append(f"{total:,} {'file' if total == 1 else 'files'} left out: {counted(left_out)}.")
    return told


def report(
    workspace: Workspace,
    dataset_id: str,
    *,
    seconds: float = 0.0,
    opened: int = 0,
    added: int = 0,
    changed: int = 0,
    removed: int = 0,
) -> ScanReport:
    """Return what the catalog knows of a data set."""
    found = remembered(workspace, dataset_id, "report", lambda db: _report(db, dataset_id))
    return replace(found, seconds=seconds, opened=opened, added=added, changed=changed, removed=removed)


def _report(db: sqlite3.Connection, dataset_id: str) -> ScanReport:
    db.row_factory = None
    known = db.execute("SELECT kind, found, options FROM dataset WHERE id = ?", (dataset_id,)).fetchone()
    kind, said, options = known or ("", None, "{}")
    found = json.loads(said or "{}")
    each = json.loads(options).get("all_pages", False)
    rows = db.execute(
        "SELECT path, content, format, width, height, size, truth, split, depth FROM image"
        " WHERE dataset = ? AND failure IS NULL AND content IS NOT NULL ORDER BY path",
        (dataset_id,),
    ).fetchall()
    odd = db.execute(
        "SELECT path, failure, note, content IS NOT NULL FROM image"
        " WHERE dataset = ? AND (failure IS NOT NULL OR content IS NULL OR note IS NOT NULL) ORDER BY path",
        (dataset_id,),
    ).fetchall()
    columns: tuple[Any, ...] = tuple(zip(*rows, strict=True)) if rows else ((),) * 9
    files, contents, formats, widths, heights, sizes, truth, splits, depths = columns
    paths = list(files) if kind == "folder" else []
    classes = Counter(truth)
    if paths and not any(classes):
        classes = Counter(name for name, _ in folder_truth(paths))
    distinct = len(set(contents))
    return ScanReport(
        files=len(rows) + sum(failure is not None or not read for _, failure, _, read in odd),
        readable=len(rows),
        distinct=distinct,
        failed=[(path, failure) for path, failure, _, _ in odd if failure is not None],
        formats={name: number for name, number in Counter(formats).most_common() if name},
        sizes=_sizes(widths, heights, sum(sizes)),
        duplicates=_duplicates(files, contents) if distinct < len(rows) else [],
        classes=dict(sorted((name, number) for name, number in classes.items() if name is not None)),
        levels=class_levels(paths),
        depths=_depths(ranges_in(db, dataset_id), Counter(depth for depth in depths if depth)),
        notes=[
            (path, note.replace(FIRST_TAKEN, "each is taken.") if each else note)
            for path, failure, note, read in odd
            if note and failure is None and read
        ],
        splits=dict(sorted(Counter(splits).items())),
        others=dict(Counter(found.get("others", {})).most_common()),
        left_out=dict(Counter(found.get("left_out", {})).most_common()),
        changed_pixels=len(changed_in(db, dataset_id)),
        told=list(found.get("told", [])),
    )


def _duplicates(files: Sequence[bytes], contents: Sequence[bytes]) -> list[list[bytes]]:
    """Return the paths of each content that several files hold."""
    groups: dict[bytes, list[bytes]] = {}
    for path, content in zip(files, contents, strict=True):
        groups.setdefault(content, []).append(path)
    return [paths for paths in groups.values() if len(paths) > 1]


def _sizes(widths: Sequence[int | None], heights: Sequence[int | None], total: int) -> Sizes:
    """Return the extent of those images whose pixels are known."""
    shapes = np.array([widths, heights], dtype=np.float64)  # unknown becomes NaN
    shapes = shapes[:, shapes[0] > 0].astype(np.int64)
    if not shapes.shape[1]:
        return {}
    order = np.argsort(shapes[0] * shapes[1], kind="stable")

    def shape(at: int) -> tuple[int, int]:
        width, height = shapes[:, order[at]].tolist()
        return width, height

    return {"smallest": shape(0), "median": shape(len(order) // 2), "largest": shape(-1), "bytes": total}


def _depths(ranges: Ranges, images: Counter[str]) -> dict[str, Depth]:
    return {kind: Depth(number, *ranges.get(kind, (0.0, 1.0))) for kind, number in sorted(images.items())}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.4g}"
