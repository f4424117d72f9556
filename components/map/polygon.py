"""Which points a drawn polygon holds: an even-odd test over NumPy arrays, unions and differences of regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Operation = Literal["new", "add", "remove"]


def inside(polygon: ArrayLike, xy: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Tell which points lie inside a polygon by the even-odd rule.

    Parameters
    ----------
    polygon : array_like, shape (k, 2)
        Corners in data coordinates, in drawing order; the last is joined to the first. It may cross itself.
    xy : ndarray of float, shape (n, 2)
        Points; not-a-number is outside.

    Returns
    -------
    ndarray of bool, shape (n,)

    Notes
    -----
    Points of the polygon's box are grouped into 65,536 bands of height (a radix sort), so that each edge looks only at
    the points of its own bands.
    """
    corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    mask = np.zeros(len(xy), dtype=bool)
    if len(corners) < 3 or len(xy) == 0 or not np.isfinite(corners).all():
        return mask
    low, high = corners.min(axis=0), corners.max(axis=0)
    if not (high > low).all():
        return mask
    x, y = xy[:, 0], xy[:, 1]
    rows = np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
    heights = y[rows].astype(np.float64)
    bands = _band(heights, low[1], high[1])
    grouped = np.argsort(bands, kind="stable")
    rows, bands = rows[grouped], bands[grouped]
    px, py = x[rows].astype(np.float64), heights[grouped]
    odd = np.zeros(len(rows), dtype=bool)
    ends = np.roll(corners, -1, axis=0)
    lower, upper = np.minimum(corners[:, 1], ends[:, 1]), np.maximum(corners[:, 1], ends[:, 1])
    starts = np.searchsorted(bands, _band(lower, low[1], high[1]), side="left")
    stops = np.searchsorted(bands, _band(upper, low[1], high[1]), side="right")
    for (ax, ay), (bx, by), start, stop in zip(corners, ends, starts, stops, strict=True):
        if start < stop and ay != by:
            height = py[start:stop]
            odd[start:stop] ^= ((ay > height) != (by > height)) & (
                px[start:stop] < (bx - ax) / (by - ay) * (height - ay) + ax
            )
    mask[rows[odd]] = True
    return mask


def _band(heights: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint16]:
    """Number the bands of height; grows with the height, so a range of heights is a range of bands."""
    return ((heights - low) * (65535.0 / (high - low))).astype(np.uint16)


@dataclass(frozen=True)
class Region:
    """One drawn shape in data coordinates.

    Attributes
    ----------
    kind : str
        ``lasso`` or ``box``.
    operation : str
        ``new`` replaces what was selected, ``add`` joins it (drawn with Shift), ``remove`` takes away (with Alt).
    polygon : ndarray of float64, shape (k, 2)
    """

    kind: str
    operation: Operation
    polygon: NDArray[np.float64]


def read_regions(payload: Mapping[str, Any] | None) -> tuple[Region, ...]:
    """Read the regions the browser sent; what cannot be read is left out.

    Parameters
    ----------
    payload : mapping or None
        ``{"regions": [{"kind", "op", "polygon": [x0, y0, x1, y1, ...]}, ...]}``.
    """
    raw = payload.get("regions") if isinstance(payload, Mapping) else None
    regions: list[Region] = []
    for item in raw if isinstance(raw, Sequence) else ():
        flat = item.get("polygon") if isinstance(item, Mapping) else None
        try:
            corners = np.asarray(flat, dtype=np.float64)
        except (TypeError, ValueError):
            continue
        if corners.ndim != 1 or corners.size < 6 or corners.size % 2 or not np.isfinite(corners).all():
            continue
        operation = item.get("op") if item.get("op") in ("add", "remove") else "new"
        kind = "box" if item.get("kind") == "box" else "lasso"
        regions.append(Region(kind, cast(Operation, operation), corners.reshape(-1, 2)))
    return tuple(regions)


def write_regions(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Write regions the way the browser sends them; the inverse of `read_regions`.

    Parameters
    ----------
    regions : sequence of Region
    """
    return [{"kind": item.kind, "op": item.operation, "polygon": item.polygon.ravel().tolist()} for item in regions]


def select(regions: Sequence[Region], xy: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Apply drawn regions in their order.

    Parameters
    ----------
    regions : sequence of Region
    xy : ndarray of float, shape (n, 2)

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    mask = np.zeros(len(xy), dtype=bool)
    for region in regions:
        found = inside(region.polygon, xy)
        if region.operation == "add":
            mask |= found
        elif region.operation == "remove":
            mask &= ~found
        else:
            mask = found
    return mask
