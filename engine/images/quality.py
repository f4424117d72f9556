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
    luma = np.asarray(grey, np.float32) / np.float32(255)
    counts = np.asarray(grey.histogram(), np.float64)
    share = counts[counts > 0] / counts.sum()
    return {
        "brightness": _round(luma.mean()),
        "contrast": _round(luma.std()),
        "sharpness": _round(_laplacian(luma).var()),
        "entropy": _round(max(0.0, -(share * np.log2(share)).sum())),
        "colourfulness": _round(_colourfulness(np.asarray(image, np.float32) / np.float32(255))),
    }


def _laplacian(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 4-neighbour Laplacian, edges repeated."""
    padded = np.pad(luma, 1, mode="edge")
    around: NDArray[np.float32] = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return around - 4 * luma


def _colourfulness(rgb: NDArray[np.float32]) -> float:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _round(value: float | np.floating[Any]) -> float:
    return float(f"{float(value):.4g}")
