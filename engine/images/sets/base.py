"""What benchmark sets share: pixel arrays as image entries, class folders as image entries, and where they lie.

A set is built without touching the disk; `prepare` makes its files be there (downloading what is missing) and
`entries` and `read` load them on first use.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.images.arrays import bmp
from engine.images.sources import Entry, FolderSource, ReadError, Source


def default_root() -> Path:
    """Return where benchmark sets are kept when no place is named: the workspace's cache."""
    return Workspace.open().cache / "benchmarks"


def find_folder(root: Path, names: Sequence[str]) -> Path | None:
    """Return the first of these folders that lies in `root`, or `root` itself when it bears one of the names."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    return root if root.name in names and root.is_dir() else None


@dataclass(frozen=True)
class Part:
    """One split of a set of pixels: (n, h, w) or (n, h, w, 3) uint8 images and (n,) class numbers."""

    split: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


class ArraySet:
    """A set that is published as arrays of pixels; each image becomes a BMP of exactly its pixels.

    Subclasses say how to `_fetch` missing files and how to `_load` them.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root or default_root()
        self.problems: list[tuple[bytes, str]] = []
        self._loaded: tuple[dict[str, Part], list[str]] | None = None
        self._lock = threading.Lock()

    def _fetch(self, progress: Progress) -> None:
        """Make the files be on disk."""
        raise NotImplementedError

    def _load(self) -> tuple[list[Part], list[str]]:
        """Return the splits and the class names."""
        raise NotImplementedError

    def prepare(self, progress: Progress = SILENT) -> None:
        """Make the set ready: download and check what is missing."""
        if self._loaded is None:
            self._fetch(progress)
            self._parts()

    def _parts(self) -> tuple[dict[str, Part], list[str]]:
        with self._lock:
            if self._loaded is None:
                parts, names = self._load()
                self._loaded = {part.split: part for part in parts}, names
            return self._loaded

    def entries(self) -> Iterator[Entry]:
        """List the images, split by split, in the published order."""
        parts, names = self._parts()
        for split, part in parts.items():
            size = part.images[:1].nbytes
            for at, label in enumerate(part.labels.tolist()):
                yield Entry(f"{split}/{at:06}.bmp".encode(), size, 0, truth=names[label], split=split)

    def read(self, name: bytes) -> bytes:
        """Return one image as BMP."""
        found = re.fullmatch(rb"(train|test)/(\d{6})\.bmp", name)
        part = self._parts()[0].get(found[1].decode()) if found else None
        if found is None or part is None or int(found[2]) >= len(part.images):
            raise ReadError("There is no such image in the set.")
        return bmp(np.asarray(part.images[int(found[2])]))


class FolderSet:
    """A set that is published as class folders of image files.

    Subclasses say how to `_fetch` missing files, where the folder is, and the truth and split of a name.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root or default_root()
        self.problems: list[tuple[bytes, str]] = []

    def _fetch(self, progress: Progress) -> None:
        """Make the files be on disk."""
        raise NotImplementedError

    def _folder(self) -> Path:
        """Return the folder of the set, or raise `Missing`."""
        raise NotImplementedError

    def _describe(self, names: Sequence[bytes]) -> Iterator[tuple[str, str] | None]:
        """Yield (truth, split) of each name, None where it is no image of the set."""
        raise NotImplementedError

    def prepare(self, progress: Progress = SILENT) -> None:
        """Make the set ready: download and check what is missing."""
        self._fetch(progress)

    def entries(self) -> Iterator[Entry]:
        """List the image files with class and split."""
        source = FolderSource(self._folder())
        entries = list(source.entries())
        self.problems = source.problems
        for entry, found in zip(entries, self._describe([entry.name for entry in entries]), strict=True):
            if found is not None:
                yield replace(entry, truth=found[0], split=found[1])

    def read(self, name: bytes) -> bytes:
        """Return the bytes of one image file."""
        return FolderSource(self._folder()).read(name)


class WhicheverForm:
    """A set that is published in several forms; each call goes to the one that lies on disk."""

    def _form(self) -> Source:
        """Return the form that is read."""
        raise NotImplementedError

    @property
    def problems(self) -> list[tuple[bytes, str]]:
        """Names that could not be listed and why."""
        return self._form().problems

    def prepare(self, progress: Progress = SILENT) -> None:
        """Make the set ready: list archives, download what is missing."""
        self._form().prepare(progress)

    def entries(self) -> Iterable[Entry]:
        """List the images."""
        return self._form().entries()

    def read(self, name: bytes) -> bytes:
        """Return the encoded bytes of one image."""
        return self._form().read(name)
