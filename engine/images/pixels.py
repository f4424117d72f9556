"""The images of a data set as one array of squares, for the method that trains on pixels; kept in the cache.

The array is a memory map, so a training run reads what it needs; images that cannot be decoded are left out
and listed.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from engine.core.device import threads
from engine.core.errors import KindredError
from engine.core.files import load_array, replace_file, storage_errors
from engine.core.ids import to_bytes
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.images.contents import read_image
from engine.images.datasets import Dataset
from engine.images.decode import DECODER, PreprocessSettings, decode_square
from engine.images.depth import Ranges
from engine.images.ranges import load_ranges
from engine.images.sources import shown

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
    ranges = load_ranges(workspace, dataset.id)
    digest = hashlib.blake2b(f"{side}-{preprocess.key()}-{DECODER}-{sorted(ranges.items())}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(contents).tobytes())
    folder = workspace.cache / "pixels" / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):  # another process may be decoding the same
        if len(_kept_rows(folder)) < len(paths):  # those that were left out may be back
            _decode_all(folder, workspace, dataset, paths, to_bytes(contents), side, preprocess, ranges, progress)
        return Pixels(load_array(folder / "images.npy"), _kept_rows(folder))


def _kept_rows(folder: Path) -> NDArray[np.int64]:
    """Return which images the folder holds; none where it is not whole."""
    path = folder / "rows.npy"
    return load_array(path, mapped=False) if path.exists() else np.empty(0, np.int64)


def _decode_all(
    folder: Path,
    workspace: Workspace,
    dataset: Dataset,
    paths: list[bytes],
    keys: list[bytes],
    side: int,
    preprocess: PreprocessSettings,
    ranges: Ranges,
    progress: Progress,
) -> None:
    """Decode into images.npy; rows.npy, written last, says that it is whole."""
    source = dataset.source()
    kept: list[int] = []

    def one(row: int) -> NDArray[np.uint8] | str:
        try:
            data = read_image(workspace, dataset, source, paths[row], keys[row])
            return decode_square(data, side, preprocess, ranges=ranges, max_pixels=None)
        except KindredError as error:
            return f"{shown(paths[row])} is left out: {error.sentence}"

    scratch = folder / "decoding.raw"
    with storage_errors(scratch), scratch.open("wb") as raw, ThreadPoolExecutor(threads()) as pool:
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
