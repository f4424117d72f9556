"""Whether two files show the same picture: re-encoded, resized, or with a little cut off.

A look is the picture in 32 x 32 grey levels, stretched to a square, so that neither size nor format matters. Two looks
are compared by the correlation of their grey levels and of their detail, each as it is against the other with up to a
tenth of its width or height cut off, at either end or at both. Light and contrast do not matter; another photograph of
the thing differs.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.images.tables import ImageTable
from engine.images.thumbnails import thumbnail

SIDE = 32
ALIKE = 0.95  # from which two looks are one picture
_POINTS = 24  # each way, at which looks are compared
_CUTS = (  # shares cut off at either end
    *((0.0, 0.0), (0.0, 0.05), (0.0125, 0.0375), (0.025, 0.025), (0.0375, 0.0125), (0.05, 0.0)),
    *((0.0, 0.1), (0.05, 0.05), (0.1, 0.0)),
)
_BATCH = 256
_FLAT = 2  # grey levels that are no detail
_DETAIL = 0.17  # by which the correlation of detail may lie below that of grey levels; chosen on photographs
_PLAIN = 6.0  # root mean square of the Laplacian, in grey levels, below which detail is mostly rounding
_ROUGHLY = 0.8  # correlation of means of 4 x 4 below which looks are not compared at every cut

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
    """Return (m,) how alike (m, 32, 32) looks are to others, at the cut that fits best, at most 1.

    It is the correlation of their grey levels, or that of their Laplacians and .17 where this is less: two photographs
    of one shape on one ground agree in the former only. Pictures without any detail are alike only where their grey
    levels are the same within two.
    """
    found = np.empty(len(one), np.float32)
    for start in range(0, len(one), _BATCH):
        part = slice(start, start + _BATCH)
        first, second = one[part].astype(np.float32), other[part].astype(np.float32)
        a, b = _cut(first), _cut(second)
        fits = np.stack([_correlation(a[:, 0], b), _correlation(b[:, 0], a)])
        best = fits.max(axis=(0, 2))
        for at in np.flatnonzero(best >= ALIKE):
            turn, cut = np.unravel_index(int(fits[:, at].argmax()), fits[:, at].shape)
            whole, piece = (a[at, 0], b[at, cut]) if turn == 0 else (b[at, 0], a[at, cut])
            best[at] = min(best[at], _detail(whole, piece) + _DETAIL)
        flat = (first.std(axis=(1, 2)) < _FLAT) | (second.std(axis=(1, 2)) < _FLAT)
        same = np.abs(first - second).max(axis=(1, 2)) <= _FLAT
        found[part] = np.where(flat, np.where(same, 1.0, -1.0), best)
    return found


def roughly_alike(looks: Looks, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (m,) which pairs of rows of (n, 32, 32) looks are worth `alike`, by their means of 4 x 4 grey levels.

    On photographs with 5% cut off it keeps more than 99 of 100 pairs.
    """
    means = np.empty((len(looks), 64), np.float32)
    for start in range(0, len(looks), 4096):
        part = looks[start : start + 4096].reshape(-1, 8, 4, 8, 4)
        means[start : start + 4096] = part.sum(axis=4, dtype=np.uint16).sum(axis=2, dtype=np.uint16).reshape(-1, 64)
    means -= means.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    means /= np.maximum(lengths, 1e-9)
    found = np.empty(len(one), bool)
    for start in range(0, len(one), 8192):
        a, b = one[start : start + 8192], other[start : start + 8192]
        flat = (lengths[a, 0] < 8 * 16 * _FLAT) & (lengths[b, 0] < 8 * 16 * _FLAT)
        found[start : start + 8192] = flat | (np.einsum("ij,ij->i", means[a], means[b]) >= _ROUGHLY)
    return found


def _cut(looks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (m, 81, 576) looks with every cut in height and width; the first is the whole."""
    matrices = _matrices()
    tall = matrices.reshape(-1, SIDE) @ looks  # (m, 9 * 24, 32)
    cut = np.empty((len(looks), len(_CUTS), len(_CUTS), _POINTS, _POINTS), np.float32)
    rows = tall.reshape(len(looks), len(_CUTS), _POINTS, SIDE)
    for number, matrix in enumerate(matrices):
        np.matmul(rows, matrix.T, out=cut[:, :, number])
    return cut.reshape(len(looks), len(_CUTS) ** 2, -1)


def _detail(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the correlation of the Laplacians of two (576,) looks; 1 where one of them is too plain to tell."""
    first, second = (
        4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]
        for g in (one.reshape(_POINTS, _POINTS), other.reshape(_POINTS, _POINTS))
    )
    if min(float(np.sqrt((first**2).mean())), float(np.sqrt((second**2).mean()))) < _PLAIN:
        return 1.0
    return float(_correlation(first.reshape(1, -1), second.reshape(1, 1, -1))[0, 0])


@cache
def _matrices() -> NDArray[np.float32]:
    """Return (9, 24, 32) matrices that take what is left of 32 pixels by each cut to 24, areas kept."""
    found = np.zeros((len(_CUTS), _POINTS, SIDE), np.float32)
    for number, (begin, end) in enumerate(_CUTS):
        edges = np.linspace(begin * SIDE, (1 - end) * SIDE, _POINTS + 1)
        for point, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            pixels = np.arange(SIDE)
            inside = np.clip(np.minimum(pixels + 1, high) - np.maximum(pixels, low), 0, None)
            found[number, point] = inside / (high - low)
    return found


def _correlation(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (m, v) correlations of (m, p) rows with (m, v, p) others."""
    a = one - one.mean(axis=1, keepdims=True)
    dots = np.matmul(others, a[:, :, None])[:, :, 0]  # the mean of the others is taken out by that of `a`
    squares = np.einsum("mvp,mvp->mv", others, others) - others.shape[2] * others.mean(axis=2) ** 2
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.sqrt(np.maximum(squares, 0))
    result: NDArray[np.float32] = dots / np.maximum(lengths, 1e-9)
    return result
