"""Which images of a data set the lines of a file are about: by path, then by name where only one has it, then by bytes.

A line whose content id is in the data set is about that image, whatever is called so now. What fits several images
is about none of them.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.ids import WIDTH, Ids, pack, positions
from engine.labels.importing.file import LabelFile

UNMATCHED, BY_PATH, BY_NAME, BY_CONTENT, AMBIGUOUS = range(5)
WAYS = ("not found", "path", "name", "content id", "several fit")


@dataclass(frozen=True)
class Match:
    """Which image each line is about.

    Attributes
    ----------
    rows : (m,) int64
        Row of the data set's distinct images, -1 where none or several fit.
    way : (m,) uint8
        By what it was found (`WAYS`).
    other_bytes : int
        Lines found by path or name whose image had other bytes when the file was written.
    """

    rows: NDArray[np.int64]
    way: NDArray[np.uint8]
    other_bytes: int

    def counts(self) -> dict[str, int]:
        """Return how many lines were found in each way."""
        found = np.bincount(self.way, minlength=len(WAYS)).tolist()
        return {WAYS[way]: found[way] for way in (BY_PATH, BY_NAME, BY_CONTENT)}


def match(file: LabelFile, paths: Sequence[bytes], rows: NDArray[np.int64], contents: Ids, root: bytes = b"") -> Match:
    """Find the image of each line.

    Parameters
    ----------
    file : LabelFile
    paths : sequence of bytes
        Every readable file of the data set, duplicates included.
    rows : (f,) int64
        The distinct image that each of these files holds.
    contents : (n,) S16
        Content ids of the distinct images.
    root : bytes
        The data set's folder, which absolute paths begin with.
    """
    found = np.full(len(file), -1, np.int64)
    way = np.zeros(len(file), np.uint8)
    here = _Files(paths, rows.tolist())
    prefix = root.rstrip(b"/") + b"/" if root else b""
    named: dict[int, set[bytes]] = {}  # of each image found by its name, the paths that it was found for
    for at, path in enumerate(file.paths):
        if not path:
            continue
        if prefix and path.startswith(prefix):
            path = path[len(prefix) :]
        row, kind = here.find(path)
        found[at], way[at] = row, kind
        if kind == BY_NAME:
            named.setdefault(row, set()).add(path)
    for row in [row for row, asked in named.items() if len(asked) > 1]:
        several = (found == row) & (way == BY_NAME)
        found[several], way[several] = -1, AMBIGUOUS
    other_bytes = 0
    if any(file.contents):
        known = np.array([content is not None for content in file.contents])
        ids = pack([content or bytes(WIDTH) for content in file.contents])
        by_content = np.where(known, positions(contents, ids), -1)
        decides = (by_content >= 0) & (by_content != found)
        found[decides], way[decides] = by_content[decides], BY_CONTENT
        other_bytes = int(np.count_nonzero(known & (by_content < 0) & (found >= 0)))
    return Match(found, way, other_bytes)


class _Files:
    """The files of a data set, found by path or name; forms of Unicode count as equal only where nothing else fits."""

    def __init__(self, paths: Sequence[bytes], rows: Sequence[int]) -> None:
        self.exact = dict(zip(paths, rows, strict=True))
        self.composed: dict[str, int] = {}
        self.names: dict[str, list[tuple[str, int]]] = {}
        self.stems: dict[str, set[int]] = {}
        for path, row in zip(paths, rows, strict=True):
            text = _text(path)
            self.composed[text] = row if self.composed.get(text, row) == row else -1
            name = text.rpartition("/")[2]
            self.names.setdefault(name, []).append((text, row))
            self.stems.setdefault(os.path.splitext(name)[0], set()).add(row)

    def find(self, path: bytes) -> tuple[int, int]:
        """Return the row of a path and how it was found; -1 where none or several fit."""
        row = self.exact.get(path)
        if row is not None:
            return row, BY_PATH
        text = _text(path)
        if text in self.composed:
            row = self.composed[text]
            return (row, BY_PATH) if row >= 0 else (-1, AMBIGUOUS)
        name = text.rpartition("/")[2]
        candidates = self.names.get(name, [])
        if not candidates:
            rows = self.stems.get(name, set()) if "." not in name else set()
            return (next(iter(rows)), BY_NAME) if len(rows) == 1 else (-1, AMBIGUOUS if rows else UNMATCHED)
        if "/" in text:
            nested = {row for other, row in candidates if "/" in other and _ends(text, other)}
            if len(nested) == 1:
                return next(iter(nested)), BY_PATH
        rows = {row for _, row in candidates}
        return (next(iter(rows)), BY_NAME) if len(rows) == 1 else (-1, AMBIGUOUS)


def _ends(one: str, other: str) -> bool:
    """Whether one path is the end of the other, by whole folders: the same file seen from another folder."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")


def _text(path: bytes) -> str:
    return unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape"))
