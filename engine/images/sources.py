"""Where images come from: a source lists entries and reads the encoded bytes of one of them.

A folder is walked without following a link out of it unless that is asked for; a benchmark set is a source too. Names
are bytes relative to the source, so that every name a file system allows survives; what is compared of them (class
folders, patterns) is compared in NFC.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.images.kinds import HEAD, by_bytes, by_name, suffix_of
from engine.images.pages import further_pages, page_bytes, page_name, page_of
from engine.images.reading import OWN, FolderSettings, LeftOut, existing, linked_originals
from engine.images.wordnet import class_words

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

    A file is an image by its name or by its first bytes. Links to files inside the folder are read; links that lead
    out of it are listed as problems unless the settings follow them, and those of Kindred's own export are always read;
    linked folders inside are not entered, because they would be walked twice. What begins with a dot, or is left out by
    the settings, is counted in `left_out`, all other files in `others`.

    Parameters
    ----------
    root : Path
    truth_from_folders : bool
        Class folders are the truth.
    truth_level : int
        How deep the class folders lie (`folder_truth`).
    settings : FolderSettings, optional
        What is read.

    Raises
    ------
    InputError
        No such folder.
    """

    def __init__(
        self,
        root: Path,
        truth_from_folders: bool = False,
        settings: FolderSettings | None = None,
        *,
        truth_level: int = 1,
    ) -> None:
        try:
            self.root = existing(root.expanduser()).resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"The folder {shown(os.fsencode(root))} cannot be found.", "Check the path, or relocate the data set."
            ) from error
        if not self.root.is_dir():
            raise InputError(f"{shown(os.fsencode(root))} is not a folder.", "Choose the folder that holds the images.")
        self.truth_from_folders = truth_from_folders
        self.truth_level = truth_level
        self.settings = settings or FolderSettings()
        self.problems: list[tuple[bytes, str]] = []
        self.others: Counter[str] = Counter()
        self._out = LeftOut(self.settings)
        self._walked: set[tuple[int, int]] = set()
        self._root = os.fsencode(self.root)

    @property
    def left_out(self) -> dict[str, int]:
        """How many files were left out, by what they were left out for; filled by `entries`."""
        return dict(self._out.counts)

    @cached_property
    def _originals(self) -> frozenset[str]:
        return linked_originals(self.root)

    def prepare(self, progress: Progress = SILENT) -> None:
        """Nothing to do: the folder is where it is."""

    def entries(self) -> Iterator[Entry]:
        """Walk the folder; with `truth_from_folders` the whole list is read before the first entry."""
        self.problems, self.others, self._out = [], Counter(), LeftOut(self.settings)
        self._walked = set()
        if not self.truth_from_folders:
            yield from self._walk()
            return
        entries = list(self._walk())
        found = folder_truth([entry.name for entry in entries], self.truth_level)
        names = sorted({truth for truth, _ in found if truth is not None})
        words = dict(zip(names, class_words(names), strict=True))  # of class folders named by WordNet ids
        for entry, (truth, split) in zip(entries, found, strict=True):
            yield replace(entry, truth=None if truth is None else words[truth], split=split)

    def _walk(self) -> Iterator[Entry]:
        pending = [b""]
        while pending:
            folder = pending.pop()
            try:
                if self.settings.follow_links and self._was_walked(os.path.join(self._root, folder)):
                    continue
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
            if self._out.own(folder, {child.name for child in children}, os.path.join(self._root, folder)):
                self._out.count(OWN, os.path.join(self._root, folder), folder=True)
                continue
            below: list[bytes] = []
            for child in children:
                name = folder + b"/" + child.name if folder else child.name
                real = child.is_dir(follow_symlinks=False)
                if reason := self._out.reason(name):
                    self._out.count(reason, child.path, folder=real)
                elif real:
                    below.append(name)
                elif child.is_symlink() and _leads_to_folder(child):
                    below += self._linked_folder(name, child)
                else:
                    yield from self._file(name, child)
            pending.extend(reversed(below))

    def _linked_folder(self, name: bytes, child: os.DirEntry[bytes]) -> list[bytes]:
        """Return a linked folder where it is to be walked: outside the source, which would else be walked again."""
        if not self.settings.follow_links:
            told = "A link to another folder; it is not followed (follow links, or add that folder by itself)."
            self.problems.append((name + b"/", told))
            return []
        real = Path(os.path.realpath(os.fsdecode(child.path)))
        return [] if real.is_relative_to(self.root) or self.root.is_relative_to(real) else [name]

    def _was_walked(self, path: bytes) -> bool:
        """Whether a folder was walked already, by whatever links; from now on it was."""
        found = os.stat(path)
        key = (found.st_dev, found.st_ino)
        seen = key in self._walked
        self._walked.add(key)
        return seen

    def _file(self, name: bytes, child: os.DirEntry[bytes]) -> Iterator[Entry]:
        """Yield a file that is an image, with its further pages where they are wanted; count any other."""
        named = by_name(child.name)
        if not named and not _begins_as_image(child, named_raw=named is False):
            self.others[suffix_of(child.name)] += 1
            return
        entry = self._entry(name, child)
        if entry is not None:
            yield entry
            if self.settings.all_pages:
                for number in further_pages(name, child.path):
                    yield replace(entry, name=page_name(name, number))

    def _entry(self, name: bytes, child: os.DirEntry[bytes]) -> Entry | None:
        try:
            if child.is_symlink() and self._real(child.path) is None:
                self.problems.append((name, "A link that leads out of the folder; it is not followed (follow links)."))
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
        """Return where a path leads, None when that is outside the folder and links are not followed."""
        real = Path(os.fsdecode(os.path.realpath(path, strict=True)))
        inside = self.settings.follow_links or real.is_relative_to(self.root) or str(real) in self._originals
        return real if inside else None

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
        """Return the bytes of one file, or of one page of it; never blocks on a pipe, never leaves the folder."""
        page = page_of(name) if self.settings.all_pages else None
        if page is not None and not os.path.lexists(os.path.join(self._root, name)):
            try:
                return page_bytes(self._read(page[0]), page[1], self.settings.max_pixels)
            except ReadError:
                raise
            except Exception as error:  # a damaged file makes a decoder raise anything
                raise ReadError(f"Page {page[1]} cannot be read ({error}).") from error
        return self._read(name)

    def _read(self, name: bytes) -> bytes:
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


def _leads_to_folder(child: os.DirEntry[bytes]) -> bool:
    try:
        return child.is_dir()
    except OSError:  # such as a link to itself
        return False


def _begins_as_image(child: os.DirEntry[bytes], *, named_raw: bool) -> bool:
    """Whether a file that is not named like an image begins like one; never blocks on a pipe."""
    try:
        if not stat.S_ISREG(child.stat().st_mode):
            return False
        with open(os.open(child.path, _OPEN), "rb", buffering=0) as file:
            return by_bytes(file.read(HEAD) or b"", named_raw=named_raw)
    except OSError:
        return False


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


def folder_truth(names: Sequence[bytes], level: int = 1) -> list[tuple[str | None, str]]:
    """Return (class, split) of each name from its folders.

    Folders that all names share are skipped; when the next level consists of split names only
    (train, val, test, ...) it gives the split; the class is the folder `level` levels below. A file that lies less
    deep has none.
    """
    if not names:
        return []
    parts, shared, has_splits = _levels(names)
    at = shared + has_splits + level - 1
    found: dict[bytes, tuple[str | None, str]] = {}
    for folder, folders in parts.items():
        truth = folders[at] if len(folders) > at else None
        found[folder] = (truth, SPLITS[folders[shared].lower()] if has_splits else "")
    return [found[name.rpartition(b"/")[0]] for name in names]


def class_levels(names: Sequence[bytes]) -> list[list[str]]:
    """Return the folder names of each level that could be the classes, the first level first, each in its order."""
    if not names:
        return []
    parts, shared, has_splits = _levels(names)
    levels: list[set[str]] = []
    for folders in parts.values():
        for depth, folder in enumerate(folders[shared + has_splits :]):
            if depth == len(levels):
                levels.append(set())
            levels[depth].add(folder)
    return [sorted(level) for level in levels]


def _levels(names: Sequence[bytes]) -> tuple[dict[bytes, list[str]], int, bool]:
    """Return the levels of each folder with files, how many all files share, and whether the next one names a split."""
    folders = dict.fromkeys(name.rpartition(b"/")[0] for name in names)  # a million files lie in few folders
    parts = {folder: [_folder_text(part) for part in folder.split(b"/")] if folder else [] for folder in folders}
    all_levels = parts.values()
    shared = 0
    while (
        all(len(levels) > shared for levels in all_levels)
        and len({levels[shared] for levels in all_levels}) == 1
        and any(len(levels) > shared + 1 for levels in all_levels)
    ):
        shared += 1
    level = {levels[shared].lower() for levels in all_levels if len(levels) > shared}
    has_splits = bool(level) and level <= SPLITS.keys() and all(len(levels) > shared for levels in all_levels)
    return parts, shared, has_splits and any(len(levels) > shared + 1 for levels in all_levels)


@lru_cache(maxsize=4096)
def _folder_text(name: bytes) -> str:
    """Return a folder's name as a label is written: NFC, whatever form the file system keeps."""
    return unicodedata.normalize("NFC", name.decode("utf-8", "replace"))
