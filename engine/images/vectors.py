"""Vectors that were made elsewhere: .npz, .npy, .parquet and .pt files, checked before anything is kept.

A vector without an image is known by the id given for it, else by the hash of its row; equal rows are told by turn.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core import ids as content_ids
from engine.core.errors import InputError
from engine.core.files import ARRAY_DAMAGE, TENSOR_DAMAGE, content_id
from engine.core.ids import Ids

SUFFIXES = (".npz", ".npy", ".parquet", ".pt")
_NAMES = {
    "vectors": ("vectors", "vector", "embeddings", "embedding"),
    "ids": ("ids", "id"),
    "labels": ("labels", "label"),
}
_HINT = (
    "Give .npz with `vectors` (n, d) and optional `ids` and `labels`, .npy with (n, d),"
    " .parquet with a column `vectors`, or .pt with a tensor (n, d) or a dict of `features` and `labels`."
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
        """The (n,) S16 content ids, all distinct: hash of the id's text, else of the row's bytes.

        Of rows without ids that are equal each is an item of its own: the second is known by its bytes and that it is
        the second, and so on.
        """
        if self.ids is not None:
            return content_ids.pack([content_id(name.encode("utf-8", "surrogatepass")) for name in self.ids])
        rows, seen, found = np.ascontiguousarray(self.vectors, dtype="<f4"), Counter[bytes](), []
        for row in rows:
            own = content_id(row.data)
            found.append(own if not seen[own] else content_id(own + b" %d" % seen[own]))
            seen[own] += 1
        return content_ids.pack(found)

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
        found = {".npz": _npz, ".npy": _npy, ".parquet": _parquet, ".pt": _pt}[path.suffix.lower()](path)
    except ARRAY_DAMAGE as error:
        if "pickle" in str(error).lower() or "object" in str(error).lower():
            raise InputError(f"{name} holds Python objects; they are not opened for safety.", _HINT) from error
        said = str(error).strip().splitlines() or [type(error).__name__]
        why = getattr(error, "strerror", None) or said[0].rstrip(".")[:200]
        raise InputError(f"{name} cannot be read: {why}.", _HINT) from error
    vectors = _checked_vectors(name, found.get("vectors"))
    ids = _texts(name, "ids", found.get("ids"), len(vectors))
    labels = _texts(name, "labels", found.get("labels"), len(vectors))
    labels = labels and [None if label is None else unicodedata.normalize("NFC", label) for label in labels]
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


def _pt(path: Path) -> dict[str, Any]:
    """Read tensors saved by torch; nothing in the file is executed."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except TENSOR_DAMAGE as error:
        raise ValueError("it holds something other than tensors, or is cut short") from error
    if isinstance(found, torch.Tensor):
        return {"vectors": found.numpy()}
    if isinstance(found, list | tuple):
        found = dict(zip(("features", "labels"), found, strict=False))
    if not isinstance(found, dict):
        raise ValueError("it holds no tensors")
    found = {"vectors" if name == "features" else name: value for name, value in found.items()}
    roles = _pick([name for name in found if isinstance(name, str)])
    values = {role: found[name] for role, name in roles.items() if found[name] is not None}
    return {
        role: value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value) for role, value in values.items()
    }


def read_features(place: Path) -> VectorFile:
    """Read features where another program or a run left them, the parts for training and test one after the other.

    Parameters
    ----------
    place : Path
        A vector file; a folder with train_features and test_features, or features, of any suffix of `SUFFIXES`, its
        labels inside or as train_labels.npy; a run with such a folder; or what comes before _train.pt and _test.pt.

    Raises
    ------
    InputError
        Nothing of the kind, or parts that do not fit together.
    """
    if place.is_file():
        return read_vectors(place)
    folder = place / "features" if (place / "features").is_dir() else place
    found = [
        (name, folder / f"{name}{suffix}")
        for name in ("train_features", "test_features", "features")
        for suffix in SUFFIXES
        if (folder / f"{name}{suffix}").is_file()
    ]
    found += [("", path) for part in ("train", "test") if (path := Path(f"{place}_{part}.pt")).is_file()]
    if not found:
        raise InputError(f"There are no features at {place}.", f"{_HINT} Or a folder with train_features and such.")
    parts = [read_vectors(path) for _, path in found]
    labels = [
        part.labels if part.labels is not None else _labels_beside(path, name)
        for part, (name, path) in zip(parts, found, strict=True)
    ]
    widths = {part.vectors.shape[1] for part in parts}
    if len(widths) > 1:
        raise InputError(f"The features in {folder.name} differ in length: {sorted(widths)}.", "Name one file.")
    ids = [name for part in parts for name in part.ids or ()]
    truth = [name for part, of in zip(parts, labels, strict=True) for name in (of or [None] * len(part.vectors))]
    whole = all(part.ids is not None for part in parts)
    if whole:
        _check_ids(folder.name, list(ids))
    vectors = np.concatenate([part.vectors for part in parts])
    return VectorFile(vectors, ids if whole else None, truth if any(truth) else None)


def _labels_beside(path: Path, name: str) -> list[str | None] | None:
    """Return the labels in train_labels.npy beside train_features, None where there is no such file."""
    beside = path.with_name(f"{name.removesuffix('features')}labels.npy")
    if not name or not beside.is_file():
        return None
    return _texts(beside.name, "labels", _npy(beside)["vectors"], len(read_vectors(path).vectors))


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
