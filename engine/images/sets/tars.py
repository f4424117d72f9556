"""Images inside tar files, read where they lie: ImageNet's archives are too large to be unpacked beside themselves.

An archive is listed once; the list of names, offsets and sizes is kept in the workspace's cache.
"""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, StorageError
from engine.core.files import ARRAY_DAMAGE, content_id, save_arrays
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.images.sources import ReadError

_SUFFIXES = (".jpeg", ".jpg", ".png")


class TarImages:
    """The images of one plain tar file, those of tar files inside it included under the inner file's name.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._found: tuple[NDArray[np.bytes_], NDArray[np.int64], NDArray[np.int64]] | None = None

    def names(self, progress: Progress = SILENT) -> NDArray[np.bytes_]:
        """Return the images' names, sorted: "n01440764/n01440764_18.JPEG" of an inner tar file, else as they are."""
        return self._index(progress)[0]

    def sizes(self) -> NDArray[np.int64]:
        """Return the bytes of each image, in the order of `names`."""
        return self._index(SILENT)[2]

    def read(self, name: bytes) -> bytes:
        """Return the encoded bytes of one image."""
        names, offsets, sizes = self._index(SILENT)
        at = int(np.searchsorted(names, name))
        if at >= len(names) or names[at] != name:
            raise ReadError("There is no such image in the set.")
        try:
            with self.path.open("rb") as file:
                file.seek(int(offsets[at]))
                data = file.read(int(sizes[at]))
        except OSError as error:
            raise ReadError(f"{self.path.name} cannot be read: {error.strerror}.") from error
        if len(data) < sizes[at]:
            raise ReadError(f"{self.path.name} ends too early.")
        return data

    def _index(self, progress: Progress) -> tuple[NDArray[np.bytes_], NDArray[np.int64], NDArray[np.int64]]:
        with self._lock:
            if self._found is None:
                self._found = self._kept() or self._listed(progress)
            return self._found

    def _place(self) -> Path:
        found = self.path.stat()
        key = content_id(os.fsencode(self.path.resolve()) + f"|{found.st_size}|{found.st_mtime_ns}".encode()).hex()
        return Workspace.open().cache / "benchmarks" / "archives" / f"{key}.npz"

    def _kept(self) -> tuple[NDArray[np.bytes_], NDArray[np.int64], NDArray[np.int64]] | None:
        try:
            with np.load(self._place(), allow_pickle=False) as arrays:
                return arrays["names"], arrays["offsets"], arrays["sizes"]
        except ARRAY_DAMAGE:
            return None

    def _listed(self, progress: Progress) -> tuple[NDArray[np.bytes_], NDArray[np.int64], NDArray[np.int64]]:
        rows, total = [], max(1, self.path.stat().st_size)
        try:
            for row in _members(self.path, 0, total, ""):
                rows.append(row)
                if len(rows) % 1000 == 0:
                    progress.update(row[1], total, phase=f"Listing {self.path.name}", unit="bytes")
        except (OSError, tarfile.TarError, EOFError) as error:
            raise InputError(
                f"{self.path.name} cannot be listed: it is damaged, or no plain tar file.",
                f"Download {self.path} again.",
            ) from error
        rows.sort()
        names = np.array([row[0] for row in rows], dtype=np.bytes_)
        offsets, sizes = (np.array([row[at] for row in rows], dtype=np.int64) for at in (1, 2))
        try:
            save_arrays(self._place(), names=names, offsets=offsets, sizes=sizes)
        except StorageError as error:  # it is listed again next time
            progress.say(str(error))
        return names, offsets, sizes


def _members(path: Path, start: int, size: int, prefix: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, offset in the file, bytes) of the images of a tar file that lies in `path` at `start`."""
    with _Window(path, start, size) as window, tarfile.open(fileobj=window, mode="r:") as tar:
        for member in tar:
            name, offset = PurePosixPath(member.name), start + member.offset_data
            if not member.isfile():
                continue
            if name.suffix == ".tar":
                yield from _members(path, offset, member.size, f"{name.stem}/")
            elif name.suffix.lower() in _SUFFIXES:
                yield os.fsencode(prefix + (name.name if prefix else str(name))), offset, member.size


class _Window(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = path.open("rb"), start, size, 0

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if count is None or count < 0 else min(count, left))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
