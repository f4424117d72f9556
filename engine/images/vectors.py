"""Vectors that were made elsewhere: .npz, .npy and .parquet files, checked before anything is kept.

A vector without an image is known by the id given for it, else by the hash of its row.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core import ids as content_ids
from engine.core.errors import InputError
from engine.core.files import content_id
from engine.core.ids import Ids

SUFFIXES = (".npz", ".npy", ".parquet")
_NAMES = {
    "vectors": ("vectors", "vector", "embeddings", "embedding"),
    "ids": ("ids", "id"),
    "labels": ("labels", "label"),
}
_HINT = (
    "Give .npz with `vectors` (n, d) and optional `ids` and `labels`, .npy with (n, d),"
    " or .parquet with a column `vectors`."
)


@dataclass(frozen=True)
class VectorFile:
    """The checked content of a vector file.

    Attributes
    ----------
    vectors : (n, d) float32
        Finite, not necessarily unit length.
    ids : list of str or None
        Given names, distinct.
    labels : list of (str or None), or None
        Classes; an empty or missing one is None.
    """

    vectors: NDArray[np.float32]
    ids: list[str] | None
    labels: list[str | None] | None

    @property
    def contents(self) -> Ids:
        """The (n,) S16 content ids, row by row: hash of the id's text, else of the row's bytes."""
        if self.ids is not None:
            return content_ids.pack([content_id(name.encode("utf-8", "surrogatepass")) for name in self.ids])
        rows = np.ascontiguousarray(self.vectors, dtype="<f4")
        return content_ids.pack([content_id(row.data) for row in rows])

    @property
    def paths(self) -> list[bytes]:
        """The name of each row in the catalog: its id, else its number."""
        if self.ids is not None:
            return [name.encode("utf-8", "surrogatepass") for name in self.ids]
        return [b"row %09d" % row for row in range(len(self.vectors))]


def read_vectors(path: Path) -> VectorFile:
    """Read and check a vector file.

    Raises
    ------
    InputError
        Missing, another format, wrong shape, NaN or infinity, duplicate ids, or lengths that differ.
    """
    name = path.name
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{name} is no vector file that Kindred knows.", _HINT)
    if not path.is_file():
        raise InputError(f"The file {path} cannot be found.", "Check the path.")
    try:
        found = {".npz": _npz, ".npy": _npy, ".parquet": _parquet}[path.suffix.lower()](path)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower() or "object" in str(error).lower():
            raise InputError(f"{name} holds Python objects; they are not opened for safety.", _HINT) from error
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise InputError(f"{name} cannot be read: {why}.", _HINT) from error
    vectors = _checked_vectors(name, found.get("vectors"))
    ids = _texts(name, "ids", found.get("ids"), len(vectors))
    labels = _texts(name, "labels", found.get("labels"), len(vectors))
    if ids is not None:
        _check_ids(name, ids)
    return VectorFile(vectors, None if ids is None else [str(one) for one in ids], labels)


def _pick(available: list[str]) -> dict[str, str]:
    """Return which stored name plays which role."""
    lower = {name.lower(): name for name in reversed(available)}
    return {role: lower[alias] for role, aliases in _NAMES.items() for alias in reversed(aliases) if alias in lower}


def _npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {role: archive[name] for role, name in _pick(list(archive.files)).items()}


def _npy(path: Path) -> dict[str, Any]:
    return {"vectors": np.load(path, allow_pickle=False)}


def _parquet(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        roles = _pick(file.schema_arrow.names)
        table = file.read(columns=list(roles.values()))
    except pa.ArrowException as error:
        raise ValueError(str(error).splitlines()[0]) from error
    found: dict[str, Any] = {}
    for role, name in roles.items():
        column = table.column(name).combine_chunks()
        found[role] = _rows(column) if role == "vectors" else np.array(column.to_pylist(), dtype=object)
    return found


def _rows(column: Any) -> NDArray[Any]:  # noqa: ANN401 - a pyarrow list array
    """Return a column of equal lists as (n, d)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not any(kind(column.type) for kind in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        raise ValueError(f"its column of vectors holds {column.type}, not lists of numbers")
    if len(column) == 0:
        return np.empty((0, 0), np.float32)
    if column.null_count:
        raise ValueError("some rows have no vector")
    if len(pc.unique(pc.list_value_length(column))) != 1:
        raise ValueError("its vectors differ in length")
    values: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)


def _checked_vectors(name: str, vectors: NDArray[Any] | None) -> NDArray[np.float32]:
    if vectors is None:
        raise InputError(f"{name} has no array called `vectors`.", _HINT)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise InputError(
            f"{name}: `vectors` must be numbers of shape (n, d), not {vectors.dtype} of shape {vectors.shape}.", _HINT
        )
    if 0 in vectors.shape:
        raise InputError(f"{name} holds no vectors.", _HINT)
    with np.errstate(over="ignore"):
        result: NDArray[np.float32] = np.ascontiguousarray(vectors, dtype=np.float32)
        squares = np.einsum("ij,ij->i", result, result)
    bad = np.flatnonzero(~np.isfinite(squares))
    if len(bad):
        what = "are too long to be compared" if np.isfinite(result[bad[0]]).all() else "hold NaN or infinity"
        raise InputError(
            f"{name}: {len(bad)} of {len(result)} vectors {what}, the first in row {bad[0]}.",
            "Remove those rows or compute them again.",
        )
    return result


def _texts(name: str, what: str, values: NDArray[Any] | None, n: int) -> list[str | None] | None:
    if values is None:
        return None
    if values.ndim != 1 or len(values) != n:
        raise InputError(f"{name}: `{what}` has shape {values.shape}, but there are {n} vectors.", "Give one per row.")
    return [_text(value) for value in values.tolist()]


def _text(value: Any) -> str | None:  # noqa: ANN401 - one cell
    if value is None or value != value or value == "":
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _check_ids(name: str, ids: list[str | None]) -> None:
    empty = sum(one is None for one in ids)
    if empty:
        raise InputError(f"{name}: {empty} of {len(ids)} ids are empty.", "Give every row an id, or no `ids` at all.")
    seen: set[str | None] = set()
    for one in ids:
        if one in seen:
            raise InputError(f"{name}: the id {one!r} occurs more than once.", "Ids must be distinct.")
        seen.add(one)
