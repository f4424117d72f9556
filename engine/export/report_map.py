"""The map of a report: points drawn into a PNG with a clear ground, and where the names of clusters stand on it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.core.palette import CATEGORIES, NOISE

WIDTH, HEIGHT, MARGIN = 1200, 720, 24
_NAMES = 16
_APART = (0.15, 0.05)  # shares of width and height that two names keep between them


def draw_map(xy: NDArray[np.float32], clusters: NDArray[np.int32]) -> bytes:
    """Return the (n, 2) points as PNG, coloured by cluster; noise is grey and lies below."""
    at = _placed(xy)
    radius = 4 if len(xy) <= 2_000 else 3 if len(xy) <= 10_000 else 2 if len(xy) <= 50_000 else 1
    colors = [*CATEGORIES, NOISE]
    table = np.array([[int(color[place : place + 2], 16) for place in (1, 3, 5)] for color in colors], np.uint8)
    code = np.where(clusters < 0, len(CATEGORIES), clusters % len(CATEGORIES))
    order = np.random.default_rng(0).permutation(len(xy))  # no cluster hides another
    order = order[np.argsort(clusters[order] >= 0, kind="stable")]
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    column = np.clip((at[order, 0] * WIDTH).astype(int), radius, WIDTH - 1 - radius)
    row = np.clip((at[order, 1] * HEIGHT).astype(int), radius, HEIGHT - 1 - radius)
    painted = np.full((HEIGHT, WIDTH), -1, np.int64)
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down * down + right * right <= radius * radius + radius:
                np.maximum.at(painted, (row + down, column + right), np.arange(len(order)))
    there = painted >= 0
    pixels[there, :3] = table[code[order[painted[there]]]]
    pixels[there, 3] = 225
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG", optimize=True)
    return file.getvalue()


def name_places(
    xy: NDArray[np.float32], clusters: NDArray[np.int32], order: Sequence[int]
) -> list[tuple[int, float, float]]:
    """Return (cluster, left, top) in shares of the map for the first clusters of `order` whose names do not touch."""
    at = _placed(xy)
    found: list[tuple[int, float, float]] = []
    for cluster in order:
        if len(found) == _NAMES:
            break
        left, top = np.median(at[clusters == cluster], axis=0).tolist()
        left, top = min(max(left, 0.08), 0.92), min(max(top, 0.04), 0.96)
        if all(abs(left - x) > _APART[0] or abs(top - y) > _APART[1] for _, x, y in found):
            found.append((cluster, left, top))
    return found


def _placed(xy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return points in shares of the map, with a margin; a few far outliers lie on its edge."""
    low, high = np.percentile(xy, (0.1, 99.9), axis=0)
    share = (np.asarray(xy, np.float64) - low) / np.maximum(high - low, 1e-9)
    share[:, 1] = 1 - share[:, 1]
    edge = np.array([MARGIN / WIDTH, MARGIN / HEIGHT])
    placed: NDArray[np.float64] = edge + np.clip(share, 0, 1) * (1 - 2 * edge)
    return placed
