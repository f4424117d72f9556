"""Images as one array for a method that trains on pictures: decoded once, broken files skipped and listed.

What fits into a gigabyte lives in memory, more in a memory-mapped file in a folder that the caller names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import Labels
from engine.device import threads
from engine.embeddings.ahead import decoded_batches
from engine.errors import InputError
from engine.files import told_when_full
from engine.images.datasets import read_content
from engine.images.decode import PreprocessSettings, decode_square
from engine.progress import SILENT, Progress
from engine.workspace import Workspace

IN_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class ImageStack:
    """Decoded images.

    Attributes
    ----------
    images : (m, side, side, 3) uint8
        An array or a memory map.
    rows : (m,) int64
        Which of the `count` rows each is, ascending.
    count : int
        Rows that were asked for.
    failures : list of (row, reason)
        Images that could not be read or decoded.
    """

    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    count: int
    failures: list[tuple[int, str]] = field(default_factory=list)

    def spread(self, values: NDArray[Any], *, missing: float) -> NDArray[Any]:
        """Return (count, ...) values, `missing` for the images that failed."""
        found = np.full((self.count, *values.shape[1:]), missing, dtype=values.dtype)
        found[self.rows] = values
        return found

    def labels(self, labels: Labels) -> Labels:
        """Return (count,) labels, -1 for the images that failed."""
        return self.spread(labels, missing=-1)


def stack_images(
    count: int,
    decode: Callable[[int], NDArray[np.uint8]],
    side: int,
    *,
    file: Path | None = None,
    progress: Progress = SILENT,
) -> ImageStack:
    """Decode images 0..count-1 into one array.

    Parameters
    ----------
    decode : function
        Returns the (side, side, 3) uint8 image of a row or raises a KindredError; runs in threads.
    file : Path, optional
        A .npy file for what does not fit into memory; overwritten.

    Raises
    ------
    InputError
        No image could be read.
    StorageError
        The disk is full.
    """
    shape = (count, side, side, 3)
    large = file is not None and int(np.prod(shape, dtype=np.int64)) > IN_MEMORY_BYTES
    rows = np.zeros(count, dtype=np.int64)
    failures: list[tuple[int, str]] = []
    done = 0
    with told_when_full(file or Path("images.npy")):
        images = _mapped(file, shape) if large and file is not None else np.empty(shape, dtype=np.uint8)
        with closing(decoded_batches(count, decode, side=side, batch_size=256, threads=threads())) as batches:
            for batch in batches:
                images[done : done + len(batch.jobs)] = batch.images
                rows[done : done + len(batch.jobs)] = batch.jobs
                done += len(batch.jobs)
                failures += [(job, error.sentence) for job, error in batch.failures]
                progress.update(done + len(failures), count, phase="decoding", unit="images")
    if not done:
        raise InputError("None of the images could be read.", failures[0][1] if failures else "")
    if failures:
        progress.say(f"{len(failures):,} of {count:,} images could not be read and are left out.")
    return ImageStack(images[:done], rows[:done], count, failures)


def stack_of_contents(
    workspace: Workspace,
    contents: list[bytes],
    side: int,
    *,
    preprocess: PreprocessSettings | None = None,
    file: Path | None = None,
    progress: Progress = SILENT,
) -> ImageStack:
    """Decode the images with these content ids, letterboxed to `side` unless `preprocess` says otherwise."""
    settings = preprocess if preprocess is not None else PreprocessSettings()

    def decode(row: int) -> NDArray[np.uint8]:
        return decode_square(read_content(workspace, contents[row]), side, settings)

    return stack_images(len(contents), decode, side, file=file, progress=progress)


def _mapped(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    array: NDArray[np.uint8] = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
    os.replace(temporary, file)
    return array
