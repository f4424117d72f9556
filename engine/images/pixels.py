"""The images of a data set as one array of squares, for the method that trains on pixels; kept in the cache.

The array is a memory map, so a training run reads what it needs; images that cannot be decoded are left out
and listed.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from engine.device import threads
from engine.errors import KindredError
from engine.files import load_array, replace_file
from engine.images.datasets import Dataset
from engine.images.decode import PreprocessSettings, decode_square
from engine.images.sources import shown
from engine.progress import SILENT, Progress
from engine.workspace import Workspace

_CHUNK = 512
SMALLEST, LARGEST = 8, 96


@dataclass(frozen=True)
class Pixels:
    """Squares of one size.

    Attributes
    ----------
    images : (m, side, side, 3) uint8
        A read-only memory map.
    rows : (m,) int64
        Which of the paths asked for each is.
    """

    images: NDArray[np.uint8]
    rows: NDArray[np.int64]


def natural_side(width: NDArray[np.int32], height: NDArray[np.int32]) -> int:
    """Return the side that suits these images: the median of their longer sides, between 8 and 96 px."""
    if not len(width):
        return SMALLEST
    return int(np.clip(np.median(np.maximum(width, height)), SMALLEST, LARGEST))


def read_pixels(
    workspace: Workspace,
    dataset: Dataset,
    paths: list[bytes],
    contents: NDArray[np.bytes_],
    side: int,
    *,
    preprocess: PreprocessSettings | None = None,
    progress: Progress = SILENT,
) -> Pixels:
    """Return the images as squares, from the cache or decoded now.

    Parameters
    ----------
    paths, contents : length n
        The images, by name inside the source and by content.
    side : int
        Edge of a square, pixels.
    """
    preprocess = preprocess or PreprocessSettings()
    digest = hashlib.blake2b(f"{side}-{preprocess.key()}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(contents).tobytes())
    folder = workspace.cache / "pixels" / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):  # another process may be decoding the same
        if not (folder / "rows.npy").exists():
            _decode_all(folder, dataset, paths, side, preprocess, progress)
    return Pixels(load_array(folder / "images.npy"), load_array(folder / "rows.npy", mapped=False))


def _decode_all(
    folder: Any,  # noqa: ANN401 - a path
    dataset: Dataset,
    paths: list[bytes],
    side: int,
    preprocess: PreprocessSettings,
    progress: Progress,
) -> None:
    """Decode into images.npy; rows.npy, written last, says that it is whole."""
    source = dataset.source()
    kept: list[int] = []

    def one(row: int) -> NDArray[np.uint8] | str:
        try:
            return decode_square(source.read(paths[row]), side, preprocess)
        except KindredError as error:
            return f"{shown(paths[row])} is left out: {error.sentence}"

    scratch = folder / "decoding.raw"
    with scratch.open("wb") as raw, ThreadPoolExecutor(threads()) as pool:
        for start in range(0, len(paths), _CHUNK):
            for row, found in enumerate(pool.map(one, range(start, min(start + _CHUNK, len(paths)))), start):
                if isinstance(found, str):
                    progress.say(found)
                else:
                    kept.append(row)
                    raw.write(found.tobytes())
            progress.update(min(start + _CHUNK, len(paths)), len(paths), phase="decoding", unit="images")
    shape = (len(kept), side, side, 3)
    images = np.memmap(scratch, dtype=np.uint8, mode="r", shape=shape) if kept else np.empty(shape, np.uint8)
    replace_file(folder / "images.npy", lambda file: np.save(file, images, allow_pickle=False))
    replace_file(folder / "rows.npy", lambda file: np.save(file, np.array(kept, np.int64), allow_pickle=False))
    scratch.unlink()
