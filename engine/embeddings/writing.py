"""Between encoder and disk: batches cut to what the device's memory holds, vectors gathered into shards.

The writer commits a shard when it is full or when some seconds have passed, so a kill loses little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.core.errors import StorageError
from engine.core.ids import Ids, pack, to_bytes
from engine.core.progress import SILENT, Progress
from engine.embeddings.encoders.registry import Encoder
from engine.embeddings.prefetch import Pixels
from engine.embeddings.store import SHARD_ROWS, EmbeddingStore, Vectors

COMMIT_SECONDS = 20.0


class Writer:
    """Gathers vectors and commits them as a shard when it is full or some seconds have passed."""

    def __init__(self, store: EmbeddingStore) -> None:
        self.store = store
        self._keys: list[bytes] = []
        self._vectors: list[Vectors] = []
        self._failures: dict[bool, list[tuple[bytes, str]]] = {False: [], True: []}
        self._last = time.monotonic()

    def add(self, keys: Ids, vectors: Vectors) -> None:
        """Take (m,) ids and (m, d) vectors; a vector that is not finite becomes a failure of its image."""
        with np.errstate(over="ignore"):
            good = np.isfinite(vectors.astype(self.store.dtype)).all(axis=1)
        for key in to_bytes(keys[~good]):
            self.fail(key, "The encoder returned NaN or infinity for this image.")
        self._keys.extend(to_bytes(keys[good]))
        self._vectors.append(vectors[good])
        if len(self._keys) >= SHARD_ROWS or time.monotonic() - self._last > COMMIT_SECONDS:
            self.commit()

    def fail(self, key: bytes, reason: str, *, again: bool = False) -> None:
        """Note why an image has no vector."""
        self._failures[again].append((key, reason))

    def commit(self) -> None:
        """Write what was gathered."""
        if self._keys:
            keys, vectors = pack(self._keys), np.concatenate(self._vectors)
            self._keys, self._vectors = [], []
            self.store.append(keys, vectors)
        for again, failures in self._failures.items():
            self.store.record_failures(failures, again=again)
            failures.clear()
        self._last = time.monotonic()


class Sized:
    """Encodes batches of any size in pieces that fit the device's memory, halving when it runs out."""

    def __init__(self, encoder: Encoder, progress: Progress = SILENT) -> None:
        self.encoder = encoder
        self.size = encoder.batch_size
        self._progress = progress

    def encode(self, images: Pixels) -> Vectors:
        """Return (n, d) float32 vectors of (n, side, side, 3) uint8 images.

        Raises
        ------
        StorageError
            Not even one image fits.
        """
        parts: list[Vectors] = []
        at = 0
        while at < len(images):
            try:
                parts.append(self.encoder.encode(images[at : at + self.size]))
                at += self.size
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                self._halve(error)
        return np.concatenate(parts)

    def _halve(self, error: BaseException) -> None:
        if self.size == 1:
            raise StorageError(
                "The device's memory does not hold one image of this model.",
                "Choose a smaller model or resolution, or another device.",
            ) from error
        self.size = max(1, self.size // 2)
        release: Callable[[], Any] | None = getattr(self.encoder, "release_memory", None)
        if release:
            release()
        self._progress.say(f"The device ran out of memory; going on with {self.size} images at a time.")


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
