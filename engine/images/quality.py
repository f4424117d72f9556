"""Measured qualities of a picture: how sharp, bright, contrasty, detailed and colourful it is.

Measured on the picture reduced to at most 256 px, so that values compare across resolutions; kept as JSON
in the catalog, so that a page can filter blurred or dark images without opening them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def measure(image: Image.Image) -> dict[str, float]:
    """Return the qualities of an RGB picture.

    Returns
    -------
    dict
        `brightness` mean luma, 0 to 1; `contrast` standard deviation of the luma, 0 to 0.5;
        `sharpness` variance of the luma's Laplacian (Pech-Pacheco et al., 2000), 0 for a flat picture,
        below about 0.001 looks blurred; `entropy` of the luma's histogram, 0 to 8 bits;
        `colourfulness` of Hasler and Suesstrunk (2003), 0 for grey, above 0.4 vivid.
    """
    grey = image.convert("L")
    counts = np.asarray(grey.histogram(), np.float64)
    share = counts / counts.sum()
    levels = np.arange(256) / 255
    brightness = float(share @ levels)
    occupied = share[share > 0]
    return {
        "brightness": _round(brightness),
        "contrast": _round(float(share @ (levels - brightness) ** 2) ** 0.5),
        "sharpness": _round(_laplacian(np.asarray(grey, np.int16)).astype(np.float32).var() / 255**2),
        "entropy": _round(max(0.0, -float(occupied @ np.log2(occupied)))),
        "colourfulness": _round(_colourfulness(image)),
    }


def _laplacian(luma: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the 4-neighbour Laplacian of (h, w), edges repeated."""
    result: NDArray[np.int16] = luma * np.int16(-4)
    result[1:] += luma[:-1]
    result[0] += luma[0]
    result[:-1] += luma[1:]
    result[-1] += luma[-1]
    result[:, 1:] += luma[:, :-1]
    result[:, 0] += luma[:, 0]
    result[:, :-1] += luma[:, 1:]
    result[:, -1] += luma[:, -1]
    return result


def _colourfulness(image: Image.Image) -> float:
    """Return Hasler and Suesstrunk's measure, on every fourth pixel each way of a large picture."""
    step = 4 if min(image.size) >= 64 else 1
    red, green, blue = np.moveaxis(np.asarray(image)[::step, ::step].astype(np.float32) / np.float32(255), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _round(value: float | np.floating[Any]) -> float:
    return float(f"{float(value):.4g}")
