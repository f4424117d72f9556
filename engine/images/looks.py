"""Whether two files show the same picture: re-encoded, resized, or with a little cut off.

A look is the picture in 32 x 32 grey levels, stretched to a square, so that neither size nor format matters. Two looks
are compared by the correlation of their grey levels, each as it is against the other with up to a tenth of its width or
height cut off, at either end or at both. Light and contrast do not matter; another photograph of the thing differs.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.images.tables import ImageTable
from engine.images.thumbnails import thumbnail

SIDE = 32
ALIKE = 0.965  # correlation from which two looks are one picture
_POINTS = 24  # each way, at which looks are compared
_CUTS = ((0.0, 0.0), (0.0, 0.05), (0.025, 0.025), (0.05, 0.0), (0.0, 0.1), (0.05, 0.05), (0.1, 0.0))  # at either end
_BATCH = 512
_ROUGHLY = 0.6  # correlation of means of 4 x 4 below which looks are not compared at every cut

Looks = NDArray[np.uint8]


def look_of(jpeg: bytes) -> Looks:
    """Return the look of an encoded picture, such as a thumbnail, (32, 32) uint8."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.draft("L", (2 * SIDE, 2 * SIDE))
        grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, np.uint8)


def load_looks(workspace: Workspace, table: ImageTable, *, progress: Progress = SILENT) -> Looks:
    """Return (n, 32, 32) looks of a data set's images, from their thumbnails; black where there is none."""
    looks = np.zeros((len(table), SIDE, SIDE), np.uint8)

    def read(image: int) -> Looks | None:
        jpeg = thumbnail(workspace, image)
        return None if jpeg is None else look_of(jpeg)

    with ThreadPoolExecutor(4) as pool:
        for row, look in enumerate(pool.map(read, table.ids.tolist(), chunksize=64)):
            if look is not None:
                looks[row] = look
            if row % 500 == 0:
                progress.update(row, len(table), phase="Look at the pictures", unit="images")
    return looks


def look_hash(looks: Looks) -> NDArray[np.uint8]:
    """Return (n, 8) bytes: 64 bits of each look that change little where the picture does.

    A bit says whether one of the 64 lowest waves of the cosine transform but the mean is above their median (the
    perceptual hash of Zauner 2010).
    """
    basis = np.cos(np.pi * np.arange(9)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE))
    found = np.empty((len(looks), 8), np.uint8)
    for start in range(0, len(looks), 4096):
        waves = basis @ looks[start : start + 4096].astype(np.float64) @ basis.T
        lowest = waves.reshape(len(waves), 81)[:, [at for at in range(1, 81) if at not in (8, *range(72, 80))][:64]]
        found[start : start + 4096] = np.packbits(lowest > np.median(lowest, axis=1, keepdims=True), axis=1)
    return found


def alike(one: Looks, other: Looks) -> NDArray[np.float32]:
    """Return (m,) the correlation of (m, 32, 32) looks with others, at the cut that fits best, in [-1, 1].

    Pictures without any detail are alike only where their grey levels are the same within two.
    """
    found = np.empty(len(one), np.float32)
    for start in range(0, len(one), _BATCH):
        part = slice(start, start + _BATCH)
        first, second = one[part].astype(np.float32), other[part].astype(np.float32)
        rough = _correlation(_boxes(first)[:, None], _boxes(second)[:, None, None])[:, 0]
        found[part] = rough
        close = np.flatnonzero(rough >= _ROUGHLY)
        if len(close):
            a, b = _cut(first[close]), _cut(second[close])
            found[part][close] = np.maximum(_correlation(a[:, 0], b).max(axis=1), _correlation(b[:, 0], a).max(axis=1))
        flat = (first.std(axis=(1, 2)) < 2) | (second.std(axis=(1, 2)) < 2)
        same = np.abs(first - second).max(axis=(1, 2)) <= 2
        found[part] = np.where(flat, np.where(same, 1.0, -1.0), found[part])
    return found


def _boxes(looks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rough means of (m, 32, 32) looks as (m, 64)."""
    means: NDArray[np.float32] = looks.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64)
    return means


def _cut(looks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (m, 49, 576) looks with every cut in height and width; the first is the whole."""
    matrices = _matrices()
    tall = np.einsum("vph,mhw->mvpw", matrices, looks, optimize=True)
    cut: NDArray[np.float32] = np.einsum("mvpw,uqw->mvupq", tall, matrices, optimize=True)
    return cut.reshape(len(looks), len(_CUTS) ** 2, -1)


@cache
def _matrices() -> NDArray[np.float32]:
    """Return (7, 24, 32) matrices that take what is left of 32 pixels by each cut to 24, areas kept."""
    found = np.zeros((len(_CUTS), _POINTS, SIDE), np.float32)
    for number, (begin, end) in enumerate(_CUTS):
        edges = np.linspace(begin * SIDE, (1 - end) * SIDE, _POINTS + 1)
        for point, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            pixels = np.arange(SIDE)
            inside = np.clip(np.minimum(pixels + 1, high) - np.maximum(pixels, low), 0, None)
            found[number, point] = inside / (high - low)
    return found


def _correlation(one: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float32]:
    """Return (m, v) correlations of (m, p) rows with (m, v, p) others."""
    a = one.reshape(len(one), -1)
    a = a - a.mean(axis=1, keepdims=True)
    b = others.reshape(len(others), -1, a.shape[1])
    b = b - b.mean(axis=2, keepdims=True)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=2)
    result: NDArray[np.float32] = np.einsum("mp,mvp->mv", a, b) / np.maximum(lengths, 1e-9)
    return result
