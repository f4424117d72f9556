"""Images written into folders: planned first, shown with counts, then copied or linked, and undone again.

A `Plan` says which file goes where; every format that brings images along is one plan. Originals are only read.
The manifest in the target lists every file with its hash, so that `undo_export` removes what was written and no more.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from engine.core.csv import csv_bytes
from engine.core.errors import InputError, KindredError, StorageError
from engine.core.files import content_id, replace_file, storage_errors
from engine.core.ids import to_bytes
from engine.core.progress import SILENT, Progress
from engine.export.layout import CLASSES, class_list
from engine.export.names import Namer, safe_file_name, safe_name
from engine.export.settings import Mode
from engine.images.sources import Source, shown
from engine.labels.table import LabelTable

Splits = list[str] | None
MANIFEST = "kindred-export.jsonl"
LABELS = "labels.csv"
README = "README.txt"
UNLABELLED = "_unlabelled"
FORMAT = 1
_WRITERS, _BATCH = 4, 100  # threads that write images, and images between two looks at how it goes


@dataclass(frozen=True)
class Plan:
    """What an export will write.

    Attributes
    ----------
    places : dict of int to str
        Line of the table -> place inside the target, with forward slashes.
    files : dict of str to bytes
        Further files by place: label files, read-me.
    skipped : int
        Lines left out because they have no label.
    n_bytes : int
        Bytes of the images.
    """

    places: dict[int, str]
    files: dict[str, bytes] = field(default_factory=dict)
    skipped: int = 0
    n_bytes: int = 0

    def __post_init__(self) -> None:
        for place in (*self.places.values(), *self.files):
            _check_place(place)

    def counts(self) -> dict[str, int]:
        """Return the number of images in each folder, by name."""
        folders = Counter(str(PurePosixPath(place).parent) for place in self.places.values())
        return dict(sorted(folders.items()))

    def tree(self) -> list[str]:
        """Return the dry run: one line per folder with its count, then the label files."""
        lines = [
            f"{'' if folder == '.' else folder + '/'}  {count:,} image{'' if count == 1 else 's'}"
            for folder, count in self.counts().items()
        ]
        return [*lines, *sorted({*self.files, LABELS})]


@dataclass(frozen=True)
class ExportReport:
    """What was written, and what could not be.

    Attributes
    ----------
    target : Path
    written : int
        Images written.
    failed : list of (path, reason)
        Files that are gone or changed since the scan; the rest was exported.
    by_source : dict of str to int
        How many of the labels are by the person, by a cluster's name, by an accepted guess, and missing.
    quality : list of str
        The same, and what an audit covers, as sentences.
    notes : list of str
        Sentences on what the export could not do as it was asked to, such as a class that a part is without.
    """

    target: Path
    written: int
    failed: list[tuple[str, str]]
    by_source: dict[str, int] = field(default_factory=dict)
    quality: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class UndoReport:
    """What undoing an export removed, and what it kept because it was changed since."""

    removed: int
    kept: list[str]


def plan_folders(
    table: LabelTable, *, splits: list[str] | None = None, include_unlabelled: bool = False, prefix: str = ""
) -> Plan:
    """Plan one folder per label, inside one folder per split where splits are given.

    Parameters
    ----------
    table : LabelTable
    splits : list of str, optional
        "train", "val" or "test" for each line.
    include_unlabelled : bool
        Put images without a label into a folder of their own instead of leaving them out.
    prefix : str
        A folder above all others.
    """
    folder_names = class_folders(table)
    order = sorted({label for label in table.label if label}, key=lambda label: folder_names[label])
    namers: dict[str, Namer] = {}
    places: dict[int, str] = {}
    for line, (path, label) in enumerate(zip(table.paths, table.label, strict=True)):
        if label is None and not include_unlabelled:
            continue
        parts = [prefix, splits[line] if splits else "", folder_names[label] if label else UNLABELLED]
        folder = "/".join(part for part in parts if part)
        places[line] = f"{folder}/{namers.setdefault(folder, Namer()).take(safe_file_name(path))}"
    files = {CLASSES: class_list(table, places, order, splits=splits, folders=folder_names)}
    return make_plan(table, places, files)


def class_folders(table: LabelTable) -> dict[str, str]:
    """Return a safe folder name for each label, distinct without regard to case."""
    namer = Namer(stems=False)
    for taken in (UNLABELLED, LABELS, MANIFEST, CLASSES, README):
        namer.take(taken)
    return {label: namer.take(safe_name(label)) for label in sorted({label for label in table.label if label})}


def make_plan(table: LabelTable, places: dict[int, str], files: dict[str, bytes] | None = None) -> Plan:
    """Return the plan with its counts."""
    size = int(table.size[list(places)].sum()) if len(table.size) and places else 0
    return Plan(places, files or {}, len(table) - len(places), size)


def write_plan(
    plan: Plan,
    table: LabelTable,
    source: Source,
    target: Path,
    *,
    mode: Mode = "copy",
    progress: Progress = SILENT,
) -> ExportReport:
    """Write a plan into an empty or new folder.

    Parameters
    ----------
    plan, table
        What goes where.
    source : Source
        Where the images are read; never written.
    target : Path
        New or empty, outside the source folder.
    mode : "copy", "hardlink" or "symlink"
        Links need a source that is a folder; hard links the same disk.

    Raises
    ------
    InputError
        The target is not empty or lies inside the source; links of images that are no files.
    StorageError
        Disk full or no permission: what was written is removed again.
    """
    if not plan.places:
        raise InputError("No image has a label, so nothing would be written.", "Name clusters, or include the rest.")
    root = check_target(target, source, mode)
    plan = replace(plan, files={LABELS: label_file(plan, table)} | plan.files)
    if mode == "copy":
        _check_room(target, plan.n_bytes)
    writers: dict[Mode, Callable[[bytes, bytes, Path], None]] = {
        "copy": lambda path, content, place: _copy(source, path, content, place),
        "hardlink": lambda path, content, place: os.link(_original(root, path), place),
        "symlink": lambda path, content, place: os.symlink(_original(root, path), place),
    }
    contents = to_bytes(table.file_ids)

    def write(item: tuple[int, str]) -> tuple[str, str] | None:
        """Write one image; return path and reason where it could not be read."""
        line, place = item
        path = table.paths[line]
        to = target / place
        try:
            with storage_errors(to):
                writers[mode](path, contents[line], to)
        except (InputError, FileNotFoundError) as error:
            return shown(path), getattr(error, "sentence", "The file is gone.")
        return None

    failed: list[tuple[str, str]] = []
    with storage_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    _write_manifest(target, plan, table, mode, root, complete=False)
    try:
        for folder in dict.fromkeys(str(PurePosixPath(place).parent) for place in plan.places.values()):
            with storage_errors(target / folder):
                (target / folder).mkdir(parents=True, exist_ok=True)
        images = list(plan.places.items())
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="export") as pool:  # each new file waits for the disk
            for start in range(0, len(images), _BATCH):
                progress.update(start, len(images), phase="Write images", unit="images")
                outcomes = pool.map(write, images[start : start + _BATCH])
                failed += [outcome for outcome in outcomes if outcome is not None]
        for place, data in plan.files.items():
            replace_file(target / place, lambda file, data=data: file.write(data))  # type: ignore[misc]
        _write_manifest(target, plan, table, mode, root, complete=True)
    except OSError as error:
        undo_export(target)
        if error.errno == errno.EXDEV:
            raise InputError("Hard links need the same disk.", "Copy the images, or choose another folder.") from error
        raise StorageError(f"The export failed: {error.strerror}.", "Nothing was left behind.") from error
    except KindredError:
        undo_export(target)
        raise
    progress.update(len(plan.places), len(plan.places), phase="Write images", unit="images")
    return ExportReport(target, len(plan.places) - len(failed), failed)


def label_file(plan: Plan, table: LabelTable) -> bytes:
    """Return labels.csv of an export: where each image lies, its label, who said it and how sure it is."""
    lines = sorted(plan.places)
    return csv_bytes({"file": [plan.places[line] for line in lines]} | table.take(lines).columns())


def undo_export(target: Path) -> UndoReport:
    """Remove what an export wrote, finished or broken off; files that were changed since are kept and named.

    Raises
    ------
    InputError
        No export there, or its manifest was edited.
    """
    removed, kept = 0, []
    folders: set[Path] = set()
    for entry in read_manifest(target):
        place = target / str(entry["place"])
        folders.update(list(place.relative_to(target).parents)[:-1])
        if not place.parent.resolve().is_relative_to(target.resolve()):
            kept.append(str(entry["place"]))
            continue
        _part(place).unlink(missing_ok=True)  # what a killed export left
        if not os.path.lexists(place):
            continue
        if not _is_ours(place, entry):
            kept.append(str(entry["place"]))
            continue
        place.unlink()
        removed += 1
    (target / MANIFEST).unlink()
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        if (target / folder).is_dir() and not any((target / folder).iterdir()):
            (target / folder).rmdir()
    if not any(target.iterdir()):
        target.rmdir()
    return UndoReport(removed, kept)


def read_manifest(target: Path) -> list[dict[str, Any]]:
    """Return the entries of an export's manifest: place, content_id, path, and mode of each file.

    Raises
    ------
    InputError
        No manifest, or one that was edited: a place outside the target, a missing part.
    """
    path = target / MANIFEST
    if not path.is_file():
        raise InputError(f"{target} holds no export of Kindred: {MANIFEST} is missing.")
    try:
        header, *entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for entry in entries:
            _check_place(entry["place"])
            bytes.fromhex(entry["content_id"])
            entry["mode"] = header["mode"] if entry["path"] is not None else "copy"
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(f"{path} was edited or cut short.", "Delete the export by hand.") from error
    return entries


def _write_manifest(
    target: Path, plan: Plan, table: LabelTable, mode: Mode, root: Path | None, *, complete: bool
) -> None:
    header = {"format": FORMAT, "made": time.time(), "mode": mode, "complete": complete}
    contents = to_bytes(table.file_ids)

    def lines() -> Iterator[dict[str, Any]]:
        yield header
        for place, data in plan.files.items():
            yield {"place": place, "content_id": content_id(data).hex(), "path": None}
        for line, place in plan.places.items():
            path = table.paths[line]
            original = os.fsdecode(os.fsencode(root) + b"/" + path if root else path)
            yield {"place": place, "content_id": contents[line].hex(), "path": original}

    replace_file(
        target / MANIFEST,
        lambda file: file.writelines((json.dumps(line, ensure_ascii=True) + "\n").encode() for line in lines()),
    )


def _copy(source: Source, path: bytes, content: bytes, place: Path) -> None:
    """Write the file's bytes under a temporary name, then rename; refuse bytes that are not those scanned."""
    data = source.read(path)
    if content_id(data) != content:
        raise InputError("The file has changed since the scan.")
    part = _part(place)
    try:
        part.write_bytes(data)
        os.replace(part, place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _part(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")


def _original(root: Path | None, path: bytes) -> str:
    """Return the real file that a link is made to."""
    if root is None:
        raise InputError("These images are no files of their own.", "Copy them instead.")
    real = os.path.realpath(os.fsencode(root) + b"/" + path)
    if not os.path.isfile(real):
        raise InputError("The file is gone.")
    return os.fsdecode(real)


def _is_ours(place: Path, entry: dict[str, Any]) -> bool:
    """Return whether the file is what the export wrote."""
    if entry["mode"] == "symlink":
        return place.is_symlink() and os.readlink(place) == os.path.realpath(entry["path"])
    if place.is_symlink() or not place.is_file():
        return False
    if entry["mode"] == "hardlink" and os.path.exists(entry["path"]) and os.path.samefile(place, entry["path"]):
        return True
    return content_id(place.read_bytes()).hex() == entry["content_id"]


def _check_place(place: str) -> None:
    parts = PurePosixPath(place).parts
    if not parts or place.startswith("/") or ".." in parts or "\\" in place or "\x00" in place or place == MANIFEST:
        raise InputError(f"{place!r} is no place inside an export.")


def check_target(target: Path, source: Source, mode: Mode) -> Path | None:
    """Return the source's folder, None where it has none, refusing targets that could harm it.

    Raises
    ------
    InputError
        The target is not empty or lies inside the source; links of images that are no files.
    """
    found = getattr(source, "root", None)
    root = Path(found).resolve() if found is not None else None
    if root is None and mode != "copy":
        raise InputError("These images are no files of their own, so they cannot be linked.", "Copy them instead.")
    real = target.resolve()
    if root is not None and (real.is_relative_to(root) or root.is_relative_to(real)):
        raise InputError("The export cannot lie in the folder of the images.", "Choose a folder outside it.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty.", "Choose a new folder, or undo the earlier export first.")
    return root


def _check_room(target: Path, n_bytes: int) -> None:
    there = target.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise StorageError(
            f"The images need {n_bytes / 2**30:,.1f} GiB and {free / 2**30:,.1f} GiB are free.",
            "Free some space, or link instead of copying.",
        )
