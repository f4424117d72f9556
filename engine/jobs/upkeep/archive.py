"""The library as one file, and back: a zip with a list of its members and their hashes.

What cannot be made again goes in: catalog (data sets, images, label events), runs, samples, views, keys, sweeps. Caches
stay out, and so does what an interrupted training or sweep would go on from. A restore checks every member before the
library appears, all at once, under its name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from engine import __version__
from engine.core.catalog import MIGRATIONS, catalog_error
from engine.core.errors import InputError, StorageError
from engine.core.files import replace_file, storage_errors, sync_folder
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.jobs.upkeep.library import read_only

FORMAT = 1
STAGING = "library.restoring"
MANIFEST = "kindred-library.json"
CATALOG = "catalog.sqlite"
LEFT_OUT = ("checkpoints", "work")  # folders from which interrupted work goes on; it can be made again
_BLOCK = 1 << 20
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError, struct.error),
    *(ValueError, KeyError, TypeError, AttributeError),
)
_HINT = "Take another backup; nothing was written."


@dataclass(frozen=True)
class Archived:
    """What an archive holds.

    Attributes
    ----------
    files, size : int
        Members and their bytes, unpacked.
    left_out, left_out_size : int
        Files of interrupted work that stayed out, and their bytes.
    """

    files: int
    size: int
    left_out: int = 0
    left_out_size: int = 0


def write_archive(workspace: Workspace, target: Path, progress: Progress = SILENT) -> Archived:
    """Write the library into `target`, atomically; the catalog as it stands at one moment, also while others write.

    Raises
    ------
    InputError
        `target` exists, or the library holds nothing.
    StorageError
        The disk is full, no permission, or the catalog is damaged or locked.
    """
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists already.", "Name another file; a backup never replaces anything.")
    if target.resolve().is_relative_to(workspace.root / "library"):
        raise InputError(f"{target} lies in the library itself.", "Name a file elsewhere, best on another disk.")
    names, left_out = _members(workspace.library)
    if not names and not workspace.catalog.exists():
        raise InputError(f"The library of {workspace.root} is empty.", "There is nothing to back up yet.")
    found: list[Archived] = []
    with tempfile.TemporaryDirectory(prefix="kindred-backup-") as scratch:
        catalog = Path(scratch) / CATALOG
        if workspace.catalog.exists():
            _copy_catalog(workspace.catalog, catalog)
        replace_file(target, lambda file: found.append(_pack(file, workspace.library, catalog, names, progress)))
    size = sum(path.lstat().st_size for path in left_out)
    return Archived(found[0].files, found[0].size, len(left_out), size)


def _members(library: Path) -> tuple[list[str], list[Path]]:
    """Return the names of the files that go in, the catalog apart, and the files that stay out."""
    names, left_out = [], []
    for here, folders, files in os.walk(library):
        folders[:] = [name for name in folders if not (Path(here) / name).is_symlink()]
        for name in files:
            path = Path(here) / name
            inside = path.relative_to(library)
            if path.is_symlink() or not path.is_file() or _is_passing(name) or inside == Path(CATALOG):
                continue
            if set(inside.parts[:-1]) & set(LEFT_OUT):
                left_out.append(path)
            else:
                names.append(inside.as_posix())
    return sorted(names), left_out


def _is_passing(name: str) -> bool:
    """Whether a file is a lock, half-written, or SQLite's own beside a database."""
    return name in ("lock", "pid") or name.endswith((".lock", ".tmp", ".sqlite-wal", ".sqlite-shm"))


def _copy_catalog(path: Path, copy: Path) -> None:
    """Copy the catalog as one transaction sees it."""
    try:
        source = read_only(path)
        target = sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            target.close()
            source.close()
    except sqlite3.Error as error:
        raise catalog_error(error, path) from error


def _pack(file: IO[bytes], library: Path, catalog: Path, names: list[str], progress: Progress) -> Archived:
    listed: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        sources = [(CATALOG, catalog)] if catalog.exists() else []
        sources += [(name, library / name) for name in names]
        for done, (name, path) in enumerate(sources):
            progress.update(done, len(sources), phase="Packing the library", unit="files")
            with contextlib.suppress(FileNotFoundError):  # a job replaced or removed it meanwhile
                listed[name] = _add(archive, name, path)
        about = {"format": FORMAT, "kindred": __version__, "made": time.time(), "catalog": len(MIGRATIONS)}
        archive.writestr(MANIFEST, json.dumps(about | {"files": listed}, ensure_ascii=False, indent=1))
        progress.update(len(sources), len(sources), phase="Packing the library", unit="files")
    return Archived(len(listed), sum(one["size"] for one in listed.values()))


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    digest, size = hashlib.blake2b(digest_size=16), 0
    with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as member:
        while block := source.read(_BLOCK):
            member.write(block)
            digest.update(block)
            size += len(block)
    return {"size": size, "blake2b": digest.hexdigest()}


def read_archive(workspace: Workspace, source: Path, progress: Progress = SILENT) -> Archived:
    """Make the library out of an archive: all of it, or nothing.

    Raises
    ------
    InputError
        No such file, not a backup, damaged, of a newer Kindred, or with a member that would lie outside the library;
        the workspace already holds work.
    StorageError
        The disk is full, or no permission.
    """
    if not source.is_file():
        raise InputError(f"There is no file {source}.", "Check the path.")
    if (held := _held(workspace)) is not None:
        raise InputError(
            f"The workspace {workspace.root} already holds work ({held}).",
            "Restore into another folder: --workspace NEW.",
        )
    staging = workspace.root / f"{STAGING}.{os.getpid()}"
    with storage_errors(staging):
        try:
            staging.mkdir(mode=0o700)
            archived = _unpack(source, staging, progress)
            _check_catalog(staging / CATALOG)
            (staging / "runs").mkdir(exist_ok=True)
            _exchange(workspace.library, staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return archived


def _held(workspace: Workspace) -> str | None:
    """Return what a library holds already; None where it is as good as new."""
    names, left_out = _members(workspace.library)
    if names or left_out:
        return names[0] if names else left_out[0].name
    if not workspace.catalog.exists():
        return None
    try:
        db = read_only(workspace.catalog)
        try:
            tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = db.execute("SELECT count(*) FROM dataset").fetchone()[0] if "dataset" in tables else 0
        finally:
            db.close()
    except sqlite3.Error:
        return CATALOG
    return f"{rows:,} data sets" if rows else None


def _unpack(source: Path, staging: Path, progress: Progress) -> Archived:
    try:
        with zipfile.ZipFile(source) as archive:
            about = _manifest(archive)
            members = _checked(archive, about["files"])
            total = sum(one["size"] for one in about["files"].values())
            if shutil.disk_usage(staging).free < total:
                raise StorageError(
                    f"The disk is full: the library needs {total / 2**20:,.0f} MB.", "Free some space and try again."
                )
            for done, member in enumerate(members):
                progress.update(done, len(members), phase="Unpacking the library", unit="files")
                _extract(archive, member, staging / member.filename, about["files"][member.filename])
    except _DAMAGE as error:
        raise InputError(f"{source.name} is no whole backup of Kindred.", _HINT) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # what a seek to a place before the file's beginning says
            raise
        raise InputError(f"{source.name} is no whole backup of Kindred.", _HINT) from error
    progress.update(len(members), len(members), phase="Unpacking the library", unit="files")
    return Archived(len(members), total)


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    if MANIFEST not in archive.namelist():
        raise InputError(
            f"{Path(str(archive.filename)).name} is no backup of Kindred.", "Name a file that `backup` wrote."
        )
    about: dict[str, Any] = json.loads(archive.read(MANIFEST))
    if about["format"] > FORMAT or about["catalog"] > len(MIGRATIONS):
        raise InputError("The backup was written by a newer Kindred.", "Update Kindred to restore it.")
    for one in about["files"].values():
        if not (isinstance(one["size"], int) and one["size"] >= 0 and isinstance(one["blake2b"], str)):
            raise ValueError("sizes and hashes")
    return about


def _checked(archive: zipfile.ZipFile, listed: dict[str, dict[str, Any]]) -> list[zipfile.ZipInfo]:
    """Return the members to unpack, every one of which lies inside the library and is a file that the list names."""
    members = [member for member in archive.infolist() if member.filename != MANIFEST]
    for member in members:
        if not _is_inside(member):
            raise InputError(
                f"The archive holds {member.filename!r}, which would not lie in the library.",
                "It is no backup that Kindred wrote; nothing was written.",
            )
    names = [member.filename for member in members]
    if sorted(names) != sorted(listed) or len(archive.namelist()) != len(set(archive.namelist())):
        raise ValueError("the list and the members differ")
    return members


def _is_inside(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a plain file with a plain relative path."""
    name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
    parts = PurePosixPath(name).parts
    plain = bool(parts) and not name.startswith("/") and not set(parts) & {"..", "."} and name == "/".join(parts)
    return plain and not set(name) & set("\\:\0") and kind in (0, stat.S_IFREG)


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, listed: dict[str, Any]) -> None:
    """Write one member; it must have the size and the hash that the list says, and never becomes larger."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.blake2b(digest_size=16), 0
    with archive.open(member) as source, path.open("xb") as target:
        while block := source.read(_BLOCK):
            size += len(block)
            if size > listed["size"]:
                break
            digest.update(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    if (size, digest.hexdigest()) != (listed["size"], listed["blake2b"]):
        raise ValueError("a member differs from the list")


def _check_catalog(path: Path) -> None:
    if not path.exists():
        return
    try:
        db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            whole = db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
        finally:
            db.close()
    except sqlite3.Error:
        whole = False
    if not whole:
        raise InputError("The catalog in the backup is damaged.", _HINT)


def _exchange(library: Path, staging: Path) -> None:
    """Put the unpacked library where the empty one is; a kill in between leaves no library or the whole one."""
    for path in _bottom_up(staging):
        sync_folder(path)
    empty = staging.with_name(f"{staging.name}.empty")
    library.rename(empty)
    staging.rename(library)
    sync_folder(library.parent)
    shutil.rmtree(empty)


def _bottom_up(folder: Path) -> Iterator[Path]:
    for here, _, _ in os.walk(folder, topdown=False):
        yield Path(here)
