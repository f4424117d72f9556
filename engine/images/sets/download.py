"""Getting published files: downloaded with progress, resumed, checked against their checksum, unpacked safely.

Nothing is left half-done under its final name: a file is renamed after its checksum fits, a folder after the
last member is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO

from engine.core.errors import InputError
from engine.core.files import storage_errors
from engine.core.progress import SILENT, Progress

BLOCK = 1 << 20
TIMEOUT = 30.0


class Missing(InputError):
    """A published file is neither on this machine nor to be had from its source."""


def missing(title: str, what: str, root: Path, why: str) -> Missing:
    """Return the sentence for a set that is not here and cannot be fetched."""
    return Missing(
        f"{title} is not on this machine and could not be downloaded: {why}.",
        f"Put {what} into {root}, or name the folder that holds it as the data root.",
    )


def checksum(path: Path, algorithm: str, progress: Progress = SILENT) -> str:
    """Return the hex digest of a file."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    size = max(1, path.stat().st_size)
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            progress.update(done, size, phase=f"Checking {path.name}", unit="bytes")
    return digest.hexdigest()


def verify(path: Path, expected: str, progress: Progress = SILENT) -> None:
    """Check a file against "md5:..." or "sha256:...".

    Raises
    ------
    InputError
        The file is not the published one.
    """
    algorithm, _, digest = expected.partition(":")
    if checksum(path, algorithm, progress) != digest:
        raise InputError(
            f"{path.name} is not the published file: its checksum differs.",
            f"Delete {path} and let it be downloaded again.",
        )


def fetch(
    url: str,
    path: Path,
    expected: str,
    *,
    title: str,
    progress: Progress = SILENT,
    headers: Mapping[str, str] | None = None,
    before: int = 0,
    total: int = 0,
    forms: str = "",
) -> None:
    """Download `url` to `path` unless it is there; an interrupted download goes on where it stopped.

    Parameters
    ----------
    expected : str
        "md5:..." or "sha256:..." of the whole file.
    headers : mapping, optional
        Sent with the request.
    before, total : int
        Bytes of other files of the same set, for progress over all of them.
    forms : str
        What a person may put there instead, in words; the file's name when empty.

    Raises
    ------
    Missing
        No network, no such file, or access refused.
    InputError
        What arrived is not the published file.
    StorageError
        The disk is full.
    """
    if path.exists():
        verify(path, expected, progress)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "kindred", **(headers or {})})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        _receive(
            request,
            part,
            have,
            lambda done, size: progress.update(
                before + done, total or size, phase=f"Downloading {title}", unit="bytes"
            ),
        )
    except urllib.error.HTTPError as error:
        if error.code == 416:  # all of it was there
            error.close()
        else:
            raise missing(title, forms or path.name, path.parent, _refusal(error.code)) from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, EOFError) as error:
        why = getattr(error, "reason", error)
        raise missing(title, forms or path.name, path.parent, f"no answer from the network ({why})") from error
    try:
        verify(part, expected, progress)
    except InputError:
        part.unlink()
        raise
    os.replace(part, path)


def _refusal(code: int) -> str:
    if code in (401, 403):
        return "its source wants you to accept its terms or to log in first"
    return f"its source answered {code}"


def _receive(request: urllib.request.Request, part: Path, have: int, heard: Callable[[int, int], None]) -> None:
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, storage_errors(part):  # noqa: S310
        resumed = answer.status == 206
        done = have if resumed else 0
        size = done + int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                done += len(block)
                heard(done, size)
        if size and done < size:
            raise EOFError("the connection ended early")


def unpack(
    archive: Path, folder: str, target: Path, *, skip: tuple[str, ...] = (), progress: Progress = SILENT
) -> None:
    """Unpack `folder` of a .tar.gz or .zip into `target`: plain files only, none outside of it; renamed when whole.

    Raises
    ------
    InputError
        The archive is damaged.
    StorageError
        The disk is full.
    """
    working = target.with_name(f".{target.name}.{os.getpid()}.partial")
    size = max(1, archive.stat().st_size)
    members = _members_of_zip if archive.suffix == ".zip" else _members_of_tar
    try:
        with storage_errors(target):
            for named, done, stream in members(archive):
                name = PurePosixPath(named)
                inside = name.relative_to(folder) if name.is_relative_to(folder) else None
                if inside is None or ".." in inside.parts or name.name in skip:
                    continue
                path = working / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as out:
                    shutil.copyfileobj(stream, out, BLOCK)
                progress.update(done, size, phase=f"Unpacking {archive.name}", unit="bytes")
        os.replace(working, target)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, FileNotFoundError) as error:
        raise InputError(
            f"{archive.name} cannot be unpacked: it is damaged.", f"Delete {archive} and try again."
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _members_of_tar(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield name, bytes read so far and content of each plain file of a .tar.gz."""
    with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r:gz") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield member.name, file.tell(), stream


def _members_of_zip(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield name, bytes read so far and content of each plain file of a .zip."""
    done = 0
    with zipfile.ZipFile(archive) as found:
        for member in found.infolist():
            done += member.compress_size
            link = (member.external_attr >> 16) & 0o170000 == 0o120000
            if not member.is_dir() and not link:
                with found.open(member) as stream:
                    yield member.filename, done, stream
