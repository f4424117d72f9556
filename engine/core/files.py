"""Writing that a crash cannot tear: every file goes to a temporary name, is synced, then renamed.

`replace_file` is the one primitive; the rest are the formats Kindred keeps on disk.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle  # its error only: nothing is unpickled
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import StorageError

# What NumPy raises on arrays that are damaged: it reads their headers as Python literals, with several fallbacks.
ARRAY_DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, MemoryError),
    *(SyntaxError, tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error),
    *(NotImplementedError, RuntimeError),  # zip: a way of packing that nobody knows, a password
    AttributeError,  # one array where an archive should be
)
# What torch raises on files that are damaged or hold more than tensors; it looks at nothing else of them.
TENSOR_DAMAGE: tuple[type[Exception], ...] = (*ARRAY_DAMAGE, pickle.UnpicklingError, AssertionError)


def content_id(data: bytes | memoryview) -> bytes:
    """Return the identity of a file's bytes: blake2b, 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn "no space left" and "no permission" into one sentence about `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk is full: {path.name} was not written.",
                "Free some space and try again; nothing was half-written.",
            ) from error
        if error.errno == errno.EFBIG:
            raise StorageError(
                f"{path.name} is larger than this disk takes, and was not written.", "Choose a folder on another disk."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"No permission to write {path}.", "Choose another folder or change its permissions."
            ) from error
        raise


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write `path` atomically: `write(file)` into a temporary sibling, fsync, rename.

    Raises
    ------
    StorageError
        When the disk is full, the folder may not be written or is deleted meanwhile; `path` keeps its old content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except FileNotFoundError as error:
            raise StorageError(
                f"{path.parent} was deleted while {path.name} was written.",
                "Do the step again; it makes the folder anew.",
            ) from error
        finally:
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    replace_file(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")))


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON is any
    """Return `value` as JSON knows it: NumPy scalars and arrays, paths, sets; NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - JSON is any
    """Write `value` as indented JSON, atomically; NaN and infinity become null."""
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is any
    """Read a JSON file.

    Raises
    ------
    StorageError
        When the file is missing or is not JSON, naming it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path} is not valid JSON.", "It was edited or cut short; restore it or run again."
        ) from error


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write one array as .npy, atomically."""
    replace_file(path, lambda file: np.save(file, array, allow_pickle=False))


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays as .npz, atomically."""
    replace_file(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def load_array(path: Path, *, mapped: bool = True) -> NDArray[Any]:
    """Open one .npy file, memory-mapped and read-only by default; never unpickles.

    Raises
    ------
    StorageError
        When the file is missing, cut short or not an array.
    """
    try:
        loaded: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist.") from error
    except ARRAY_DAMAGE as error:
        raise StorageError(
            f"{path} is damaged: it is not a readable .npy array.", "Delete it; it will be made again."
        ) from error
    return loaded


def load_arrays(path: Path, *, hint: str = "Delete it; it will be made again.") -> dict[str, NDArray[Any]]:
    """Read all arrays of an .npz file; never unpickles.

    Raises
    ------
    StorageError
        When the file is missing, cut short or holds no arrays; `hint` is its next step.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist.", hint) from error
    except ARRAY_DAMAGE as error:
        raise StorageError(f"{path} cannot be read.", hint) from error
