"""Where images come from: a source lists entries and reads the encoded bytes of one of them.

A folder is walked without following a link out of it; a benchmark set is a source too. Names are
bytes relative to the source, so that every name a file system allows survives.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.images.wordnet import class_words

SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .heic .heif .hif .avif".split()
)  # what counts as an image by name; the bytes decide what it really is
SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "test",
    "valid": "test",
    "validation": "test",
}
MAX_FILE_BYTES = 1 << 30
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class ReadError(InputError):
    """The bytes of one entry could not be read; `sentence` says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source, before it is opened.

    Attributes
    ----------
    name : bytes
        Path inside the source, "/" between folders.
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change, nanoseconds; with `size` it tells an unchanged file.
    truth : str or None
        The class, where the source knows it.
    split : str
        "", "train" or "test".
    """

    name: bytes
    size: int
    mtime_ns: int
    truth: str | None = None
    split: str = ""


class Source(Protocol):
    """What the scan needs of a place with images.

    Attributes
    ----------
    problems : list of (bytes, str)
        Names that could not be listed and why; filled by `entries`.
    """

    @property
    def problems(self) -> list[tuple[bytes, str]]:
        """What `entries` could not list."""

    def prepare(self, progress: Progress = SILENT) -> None:
        """Make the images be there: benchmark sets download what is missing, folders have nothing to do."""

    def entries(self) -> Iterable[Entry]:
        """List the images, each name once."""

    def read(self, name: bytes) -> bytes:
        """Return the encoded bytes of one image.

        Raises
        ------
        ReadError
            Gone, unreadable, or outside the source.
        """


class FolderSource:
    """A folder and everything below it.

    Links to files inside the folder are read; links that lead out of it are listed as problems;
    linked folders are not entered (inside they would be walked twice, outside they would leave it).
    Names that begin with a dot are left alone.
    """

    def __init__(self, root: Path, truth_from_folders: bool = False) -> None:
        try:
            self.root = root.expanduser().resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"The folder {shown(os.fsencode(root))} cannot be found.", "Check the path, or relocate the data set."
            ) from error
        if not self.root.is_dir():
            raise InputError(f"{shown(os.fsencode(root))} is not a folder.", "Choose the folder that holds the images.")
        self.truth_from_folders = truth_from_folders
        self.problems: list[tuple[bytes, str]] = []
        self._root = os.fsencode(self.root)

    def prepare(self, progress: Progress = SILENT) -> None:
        """Nothing to do: the folder is where it is."""

    def entries(self) -> Iterator[Entry]:
        """Walk the folder; with `truth_from_folders` the whole list is read before the first entry."""
        self.problems = []
        if not self.truth_from_folders:
            yield from self._walk()
            return
        entries = list(self._walk())
        found = folder_truth([entry.name for entry in entries])
        names = sorted({truth for truth, _ in found if truth is not None})
        words = dict(zip(names, class_words(names), strict=True))  # of class folders named by WordNet ids
        for entry, (truth, split) in zip(entries, found, strict=True):
            yield replace(entry, truth=None if truth is None else words[truth], split=split)

    def _walk(self) -> Iterator[Entry]:
        pending = [b""]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(os.path.join(self._root, folder)) as found:
                    children = sorted(found, key=lambda child: child.name)
            except OSError as error:
                if not folder:
                    raise InputError(
                        f"The folder {shown(self._root)} cannot be read: {_why(error)}.",
                        "Change its permissions, or choose another folder.",
                    ) from error
                self.problems.append((folder + b"/", f"The folder cannot be read: {_why(error)}."))
                continue
            below = []
            for child in children:
                if child.name.startswith(b"."):
                    continue
                name = folder + b"/" + child.name if folder else child.name
                if child.is_dir(follow_symlinks=False):
                    below.append(name)
                elif os.path.splitext(child.name)[1].lower() in SUFFIXES:
                    entry = self._entry(name, child)
                    if entry is not None:
                        yield entry
                elif child.is_symlink() and child.is_dir():
                    self.problems.append(
                        (name + b"/", "A link to another folder; it is not followed. Add that folder by itself.")
                    )
            pending.extend(reversed(below))

    def _entry(self, name: bytes, child: os.DirEntry[bytes]) -> Entry | None:
        try:
            if child.is_symlink() and self._real(child.path) is None:
                self.problems.append((name, "A link that leads out of the folder; it is not followed."))
                return None
            found = child.stat()
        except OSError as error:
            self.problems.append((name, _link_reason(child, error)))
            return None
        if not stat.S_ISREG(found.st_mode):
            self.problems.append((name, "Not a regular file."))
            return None
        return Entry(name, found.st_size, found.st_mtime_ns)

    def _real(self, path: bytes) -> Path | None:
        """Return where a path leads, None when that is outside the folder."""
        real = Path(os.fsdecode(os.path.realpath(path, strict=True)))
        return real if real.is_relative_to(self.root) else None

    def path(self, name: bytes) -> Path:
        """Return where an entry really lies.

        Raises
        ------
        ReadError
            It is gone, or a name or a link would leave the folder.
        """
        try:
            real = self._real(os.path.join(self._root, name))
        except (OSError, ValueError) as error:
            raise ReadError(f"The file cannot be read: {_why(error)}.") from error
        if real is None:
            raise ReadError("The file lies outside the folder of the data set; it is not read.")
        return real

    def read(self, name: bytes) -> bytes:
        """Return the bytes of one file; never blocks on a pipe, never leaves the folder."""
        path = self.path(name)
        try:
            with open(os.open(path, _OPEN), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise ReadError("Not a regular file.")
                if found.st_size > MAX_FILE_BYTES:
                    raise ReadError("The file is larger than 1 GiB; it is not read.")
                return file.read()
        except OSError as error:
            raise ReadError(f"The file cannot be read: {_why(error)}.") from error


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is gone"
    if isinstance(error, PermissionError):
        return "no permission"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _link_reason(child: os.DirEntry[bytes], error: OSError) -> str:
    if child.is_symlink():
        return "A link that leads nowhere."
    return f"The file cannot be read: {_why(error)}."


def shown(name: bytes) -> str:
    """Return a name for the eye: undecodable bytes and line breaks become visible escapes."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def folder_truth(names: Sequence[bytes]) -> list[tuple[str | None, str]]:
    """Return (class, split) of each name from its folders.

    Folders that all names share are skipped; when the next level consists of split names only
    (train, val, test, ...) it gives the split; the level below is the class. A file that lies in
    no class folder has none.
    """
    if not names:
        return []
    parts = [name.split(b"/")[:-1] for name in names]
    shared = 0
    while (
        all(len(folders) > shared for folders in parts)
        and len({folders[shared] for folders in parts}) == 1
        and any(len(folders) > shared + 1 for folders in parts)
    ):
        shared += 1
    level = {folders[shared].decode("utf-8", "replace").lower() for folders in parts if len(folders) > shared}
    has_splits = bool(level) and level <= SPLITS.keys() and all(len(folders) > shared for folders in parts)
    has_splits = has_splits and any(len(folders) > shared + 1 for folders in parts)
    at = shared + has_splits
    found: list[tuple[str | None, str]] = []
    for folders in parts:
        truth = folders[at].decode("utf-8", "replace") if len(folders) > at else None
        split = SPLITS[folders[shared].decode("utf-8", "replace").lower()] if has_splits else ""
        found.append((truth, split))
    return found
