"""Colours as they travel: two bytes per point, either a category's code or a value's place in its range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = 65535


@dataclass(frozen=True)
class Coloring:
    """Encoded colours of n points.

    Attributes
    ----------
    codes : ndarray of uint16, shape (n,)
        Category codes, or 0..65534 from `low` to `high`; 65535 is noise or no value.
    low, high : float or None
        Range of the values; None for categories.
    """

    codes: NDArray[np.uint16]
    low: float | None = None
    high: float | None = None


def encode_colors(colors: NDArray[Any]) -> Coloring:
    """Encode category codes (integers) or values (floats).

    Parameters
    ----------
    colors : ndarray, shape (n,)
        Codes below 0 are noise, above 65534 they count as 65534; values that are not finite are missing.

    Returns
    -------
    Coloring
    """
    if not np.issubdtype(colors.dtype, np.floating):
        wide = colors.astype(np.int64, copy=False)
        return Coloring(np.where(wide < 0, MISSING, np.minimum(wide, MISSING - 1)).astype(np.uint16))
    values = colors.astype(np.float64)
    known = np.isfinite(values)
    if not known.any():
        return Coloring(np.full(len(values), MISSING, dtype=np.uint16), 0.0, 0.0)
    low, high = float(values[known].min()), float(values[known].max())
    scale = (MISSING - 1) / (high - low) if high > low else 0.0
    steps = np.rint((np.where(known, values, low) - low) * scale)
    return Coloring(np.where(known, steps, MISSING).astype(np.uint16), low, high)
