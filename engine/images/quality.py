"""Measured qualities of a picture: how sharp, bright, contrasty, detailed and colourful it is.

Measured on the picture reduced to at most 256 px, so that values compare across resolutions; kept as JSON
in the catalog, so that a page can filter blurred or dark images without opening them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LEVELS = np.arange(256) / 255
_SQUARES = _LEVELS**2
_OPPONENT = np.array([[1, 0.5], [-1, 0.5], [0, -1]], np.float32)  # red - green, yellow - blue


def measure(image: Image.Image, pixels: NDArray[np.uint8] | None = None) -> dict[str, float]:
    """Return the qualities of an RGB picture; `pixels` (h, w, 3) are its own, where they were read already.

    Returns
    -------
    dict
        `brightness` mean luma, 0 to 1; `contrast` standard deviation of the luma, 0 to 0.5;
        `sharpness` variance of the luma's Laplacian (Pech-Pacheco et al., 2000), 0 for a flat picture,
        below about 0.001 looks blurred; `entropy` of the luma's histogram, 0 to 8 bits;
        `colourfulness` of Hasler and Suesstrunk (2003), 0 for grey, above 0.4 vivid.
    """
    grey = image.convert("L")
    share = np.array(grey.histogram(), np.float64) / (grey.width * grey.height)
    brightness = float(share @ _LEVELS)
    edges = _laplacian(np.asarray(grey, np.int16)).astype(np.float32).ravel()
    return {
        "brightness": _round(brightness),
        "contrast": _round(max(0.0, float(share @ _SQUARES) - brightness**2) ** 0.5),
        "sharpness": _round(float(edges @ edges) / edges.size / 255**2 - (float(edges.mean()) / 255) ** 2),
        "entropy": _round(abs(grey.entropy())),
        "colourfulness": _round(_colourfulness(np.asarray(image) if pixels is None else pixels)),
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


def _colourfulness(pixels: NDArray[np.uint8]) -> float:
    """Return Hasler and Suesstrunk's measure, on every fourth pixel each way of a large picture."""
    step = 4 if min(pixels.shape[:2]) >= 64 else 1
    rgb = pixels[::step, ::step].reshape(-1, 3).astype(np.float32)
    opponent = (rgb @ _OPPONENT).astype(np.float64) / 255
    means = opponent.mean(axis=0)
    spread = (opponent * opponent).mean(axis=0) - means**2
    return float(max(0.0, spread.sum()) ** 0.5 + 0.3 * (means @ means) ** 0.5)


def _round(value: float) -> float:
    return float(f"{max(0.0, value):.4g}")
