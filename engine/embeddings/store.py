"""Vectors on disk, by content id: one folder for each configuration, append-only shards, safe to kill at any moment.

A shard is `shard-000000.keys` (16 bytes a row) and `shard-000000.npy` (float16, at most 8192 rows). The keys are
written first and the renamed .npy is the commit, so keys without their .npy are leftovers and count for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, KindredError, StorageError
from engine.core.files import load_array, read_json, replace_file, save_array, sync_folder, write_json
from engine.core.ids import WIDTH, IdIndex, Ids, pack, to_bytes
from engine.core.progress import Progress
from engine.embeddings.exchange import finish_swap, held
from engine.embeddings.failures import append_failures, read_failures

SHARD_ROWS = 8192
_SHARD = re.compile(r"shard-(\d{6,})\.(keys|npy)")
Vectors = NDArray[np.float32]


class MissingError(KindredError):
    """Vectors were asked for that the store does not hold; `missing` counts them."""

    def __init__(self, missing: int, asked: int) -> None:
        super().__init__(
            f"{missing:,} of {asked:,} images are not embedded with this configuration.",
            "Embed them first; what is there already is not computed again.",
        )
        self.missing = missing


@dataclass(frozen=True)
class Shard:
    """One committed shard: its number, its keys and its rows, memory-mapped."""

    number: int
    keys: Ids
    rows: NDArray[Any]


class EmbeddingStore:
    """The vectors of one configuration.

    Parameters
    ----------
    folder : Path
        `cache/embeddings/<key>`; made by the first `append`.
    settings : mapping, optional
        What config.json records; read from it when the store exists.

    Attributes
    ----------
    damaged : list of str
        One sentence for each shard that could not be read; its images count as not embedded.
    unreadable : dict of int to str
        The numbers of those shards, with the reason.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        finish_swap(folder)
        config = folder / "config.json"
        self.settings: dict[str, Any] = read_json(config) if config.exists() else dict(settings or {})
        self.damaged: list[str] = []
        self.refresh()

    @property
    def dtype(self) -> np.dtype[Any]:
        """float16, or float32 where the configuration says that half precision cannot hold the vectors."""
        return np.dtype(self.settings.get("dtype", "float16"))

    @property
    def dimension(self) -> int | None:
        """Length of a vector; None while the store is empty."""
        return int(self._shards[0].rows.shape[1]) if self._shards else None

    def __len__(self) -> int:
        return len(self.keys())

    def refresh(self) -> None:
        """Read the folder again: what another process has committed since becomes visible."""
        self.unreadable: dict[int, str] = {}
        self._recent: set[bytes] = set()
        self._shards: list[Shard] = []
        self.damaged.clear()
        for number in sorted(_numbers(self.folder, "npy")):
            try:
                self._shards.append(self._open(number))
            except StorageError as error:
                self.unreadable[number] = str(error)
                self.damaged.append(f"{_name(number)}.npy is damaged and its images will be embedded again: {error}")
        self._build_index()

    def _build_index(self) -> None:
        self._index = IdIndex(pack(b"".join(shard.keys.tobytes() for shard in self._shards)))
        self._starts = np.cumsum([0, *(len(shard.keys) for shard in self._shards)])
        self._recent.clear()

    def _find(self, keys: Ids) -> NDArray[np.int64]:
        """Return the position of each id among all rows; what `append` added since is indexed first."""
        if self._recent:
            self._build_index()
        return self._index.find(keys)

    def _open(self, number: int) -> Shard:
        rows = load_array(self.folder / f"{_name(number)}.npy")
        try:
            data = (self.folder / f"{_name(number)}.keys").read_bytes()
        except FileNotFoundError as error:
            raise StorageError("its .keys file is missing.") from error
        if rows.ndim != 2 or len(data) != WIDTH * len(rows):
            raise StorageError(f"{len(data)} bytes of keys do not fit an array of shape {rows.shape}.")
        if rows.dtype != self.dtype:
            raise StorageError(f"its numbers are {rows.dtype}, not {self.dtype}.")
        if self._shards and rows.shape[1] != self.dimension:
            raise StorageError(f"its vectors have {rows.shape[1]} numbers, the others {self.dimension}.")
        return Shard(number, pack(data), rows)

    def keys(self) -> Ids:
        """Return the distinct content ids held, (n,) S16, in the order they were written."""
        self._find(pack(b""))
        return self._index.ids[self._index.distinct()]

    def shards(self) -> Iterator[tuple[Ids, NDArray[Any]]]:
        """Yield (keys, rows) of each readable shard, the rows memory-mapped."""
        for shard in self._shards:
            yield shard.keys, shard.rows

    def numbered(self) -> Iterator[Shard]:
        """Yield each readable shard with its number."""
        yield from self._shards

    def uncommitted(self) -> list[int]:
        """Return the numbers of keys without their array: the writer was killed before the commit."""
        return sorted(set(_numbers(self.folder, "keys")) - set(_numbers(self.folder, "npy")))

    def drop(self, numbers: Iterable[int]) -> None:
        """Delete shards from the disk, whatever is in them; their images count as not embedded."""
        for number in numbers:
            _remove(self.folder, number)

    def holds(self, keys: Ids) -> NDArray[np.bool_]:
        """Return whether each of (n,) S16 ids has a vector."""
        return self._find(keys) >= 0

    def load(self, keys: Ids) -> Vectors:
        """Gather the vectors of (n,) S16 ids in their order, one pass over the memory-mapped shards.

        Returns
        -------
        (n, d) float32

        Raises
        ------
        MissingError
            Some are not here; it says how many.
        """
        found = self._find(keys)
        missing = int(np.count_nonzero(found < 0))
        if missing:
            raise MissingError(missing, len(keys))
        out = np.empty((len(keys), self.dimension or 0), dtype=np.float32)
        owner = np.searchsorted(self._starts, found, side="right") - 1
        for number, shard in enumerate(self._shards):
            rows = np.flatnonzero(owner == number) if len(self._shards) > 1 else np.arange(len(keys))
            if len(rows):
                inside = found[rows] - self._starts[number]
                _gather(shard.rows, inside, out, rows)
        return out

    def append(self, keys: Ids, vectors: NDArray[Any]) -> int:
        """Commit vectors; ids already held are ignored, and so is a second one of the same id.

        Parameters
        ----------
        keys : (n,) S16
        vectors : (n, d) float

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        InputError
            Shapes do not match, or a value is NaN, infinite or beyond the store's precision.
        StorageError
            The disk is full; what was committed before stays.
        """
        values = self._checked(keys, vectors)
        held = self._index.find(keys) >= 0
        if self._recent:  # indexed only when someone asks: sorting a million keys at every shard would add up
            held |= np.fromiter((key in self._recent for key in to_bytes(keys)), dtype=bool, count=len(keys))
        fresh = np.setdiff1d(IdIndex(keys).distinct(), np.flatnonzero(held))
        if len(fresh) == 0:
            return 0
        self._prepare()
        number = max((*_numbers(self.folder, "keys"), *_numbers(self.folder, "npy")), default=-1) + 1
        for begin in range(0, len(fresh), SHARD_ROWS):
            rows = fresh[begin : begin + SHARD_ROWS]
            self._commit(number, keys[rows], values[rows])
            self._shards.append(self._open(number))
            number += 1
        self._recent.update(to_bytes(keys[fresh]))
        return len(fresh)

    def _checked(self, keys: Ids, vectors: NDArray[Any]) -> NDArray[Any]:
        array = np.asarray(vectors)
        if array.ndim != 2 or len(array) != len(keys):
            raise InputError(f"{len(keys):,} ids do not fit vectors of shape {array.shape}.")
        if self.dimension is not None and array.shape[1] != self.dimension:
            raise InputError(f"Vectors of {array.shape[1]} numbers do not fit a store of {self.dimension}.")
        with np.errstate(over="ignore"):
            stored = array.astype(self.dtype)
        finite = np.isfinite(stored).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{np.count_nonzero(~finite):,} of {len(array):,} vectors are NaN, infinite or too large for "
                f"{self.dtype}; the first is row {int(np.argmin(finite)):,}."
            )
        return stored

    def _commit(self, number: int, keys: Ids, rows: NDArray[Any]) -> None:
        """Write one shard: keys first, then the array; its rename is the commit."""
        data = np.ascontiguousarray(keys).tobytes()
        replace_file(self.folder / f"{_name(number)}.keys", lambda file: file.write(data))
        save_array(self.folder / f"{_name(number)}.npy", np.ascontiguousarray(rows))

    def _prepare(self) -> None:
        """Write config.json once and clear away what a crash left."""
        if not (self.folder / "config.json").exists():
            write_json(self.folder / "config.json", self.settings)
        self.drop(list(self.unreadable))
        self.unreadable.clear()

    def compact(self) -> None:
        """Merge small shards into full ones; a kill in between leaves duplicates, which count once."""
        small = [shard for shard in self._shards if len(shard.keys) < SHARD_ROWS // 2]
        if len(small) < 4:
            return
        merged = {shard.number for shard in small}
        keys = pack(b"".join(shard.keys.tobytes() for shard in small))
        kept = IdIndex(keys).distinct()
        rows = np.concatenate([shard.rows for shard in small])
        number = max(shard.number for shard in self._shards) + 1
        for begin in range(0, len(kept), SHARD_ROWS):
            part = kept[begin : begin + SHARD_ROWS]
            self._commit(number, keys[part], rows[part])
            number += 1
        for old in merged:
            _remove(self.folder, old)
        sync_folder(self.folder)
        self.refresh()

    def failures(self, *, final: bool = False) -> dict[bytes, str]:
        """Return why images could not be embedded, by content id; `final` leaves out what may work the next time."""
        return read_failures(self.folder / "failed.jsonl", final=final)

    def record_failures(self, failures: Iterable[tuple[bytes, str]], *, again: bool = False) -> None:
        """Append (content id, reason) pairs to failed.jsonl; `again` says that the next run should try again."""
        given = list(failures)
        if given:
            self._prepare()
            append_failures(self.folder / "failed.jsonl", given, again=again)

    @contextmanager
    def writing(self, progress: Progress | None = None) -> Iterator[None]:
        """Hold the store's write lock; two jobs never number their shards alike.

        Parameters
        ----------
        progress : Progress, optional
            Wait for a process that holds it, and say so; without it that is an error.

        Raises
        ------
        StorageError
            Another process is embedding this configuration, and nobody wants to wait.
        """
        busy = StorageError("This configuration is being embedded by another job.", "Wait for it.")
        with held(self.folder, "lock", busy, waiting=progress):
            if self.folder.is_dir():
                for left in self.folder.glob(".*.tmp"):
                    left.unlink(missing_ok=True)
            self.refresh()
            yield


def _name(number: int) -> str:
    return f"shard-{number:06d}"


def _numbers(folder: Path, suffix: str) -> list[int]:
    if not folder.is_dir():
        return []
    names = (_SHARD.fullmatch(path.name) for path in folder.iterdir())
    return [int(name[1]) for name in names if name and name[2] == suffix]


def _remove(folder: Path, number: int) -> None:
    """Delete a shard, the array first: keys alone count for nothing."""
    for suffix in ("npy", "keys"):
        (folder / f"{_name(number)}.{suffix}").unlink(missing_ok=True)


def _gather(source: NDArray[Any], inside: NDArray[np.int64], out: Vectors, rows: NDArray[np.int64]) -> None:
    """Copy `source[inside]` to `out[rows]`: as one slice where both run on, else in the file's order."""
    count = len(rows)
    if inside[-1] - inside[0] == count - 1 == rows[-1] - rows[0] and (np.diff(inside) == 1).all():
        out[rows[0] : rows[0] + count] = source[inside[0] : inside[0] + count]
        return
    order = np.argsort(inside, kind="stable")
    out[rows[order]] = source[inside[order]]
