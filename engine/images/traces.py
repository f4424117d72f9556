"""Traces that a picture's making leaves in it, which have nothing to do with what it shows.

The bars around it, its dominant colour, how hard it was compressed, and what the camera wrote into the file. They are
measured with the qualities of `engine.images.quality` and kept beside them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DAY = 86_400.0  # seconds
BARS, COLOUR, COMPRESSION, CAMERA, TAKEN = "letterbox bars", "dominant colour", "JPEG quality", "camera", "date taken"
_EVEN = 12  # of 255: how far the values of a bar may lie apart, after compression
_STANDARD_SUM = 3688  # of the luminance table in annex K of the JPEG standard, which quality 50 stands for
_MAKE, _MODEL, _CHANGED, _EXIF, _TAKEN = 0x010F, 0x0110, 0x0132, 0x8769, 0x9003
_HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
_HUE_ENDS = np.array([10, 28, 48, 113, 135, 178, 204, 238])  # of 255, where each hue ends; red begins again above
_GREYS = ("black", "grey", "white")


def traces(pixels: NDArray[np.uint8]) -> dict[str, float | str]:
    """Return what is measured on an RGB picture, (h, w, 3), that was reduced to at most 256 px.

    Returns
    -------
    dict
        `letterbox bars`, the share of the picture in even bands at two opposite edges, 0 to 1, and
        `dominant colour`, one of eleven words.
    """
    return {BARS: round(bars(pixels), 4), COLOUR: dominant_colour(pixels)}


def bars(pixels: NDArray[np.uint8]) -> float:
    """Return the share of (h, w, 3) pixels in bands of one colour at two opposite edges, each pair equally wide.

    A band at one edge alone, such as a sky, counts for nothing; a picture of one colour has no bars.
    """
    across, down = _pair(pixels), _pair(pixels.transpose(1, 0, 2))
    return 1 - (1 - across) * (1 - down) if max(across, down) < 1 else 0.0


def _pair(lines: NDArray[np.uint8]) -> float:
    """Return the share of lines in even bands of one colour that begin at the first and at the last line."""
    ends = lines[[0, -1]].reshape(-1, 3)
    if len(lines) < 3 or (np.ptp(ends, axis=0) > _EVEN).any():
        return 0.0
    middle = np.median(ends, axis=0).astype(np.int16)
    even = (np.abs(lines.astype(np.int16) - middle) <= _EVEN).all(axis=(1, 2))
    if even.all():
        return 1.0
    return 2 * int(min(even.argmin(), even[::-1].argmin())) / len(lines)


def dominant_colour(pixels: NDArray[np.uint8]) -> str:
    """Return the most frequent of eleven colours, on at most 64 x 64 of (h, w, 3) RGB pixels."""
    step = max(1, max(pixels.shape[:2]) // 64)
    some = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    hue, saturation, value = np.asarray(some.convert("HSV")).reshape(-1, 3).T
    names = np.searchsorted(_HUE_ENDS, hue, side="left") % len(_HUES)
    greys = len(_HUES) + np.searchsorted(np.array([60, 190]), value)
    code = np.where((saturation < 50) | (value < 45), greys, names)
    return (*_HUES, *_GREYS)[int(np.bincount(code, minlength=len(_HUES) + len(_GREYS)).argmax())]


def compression(tables: Mapping[int, Sequence[int]]) -> float | None:
    """Return the quality, 1 to 100, at which libjpeg's scale has a luminance table of this sum; None without tables.

    Parameters
    ----------
    tables : mapping of int to 64 int
        Quantisation tables of a JPEG file, the first one that of the luminance.
    """
    if not tables:
        return None
    scale = 100 * sum(tables[min(tables)]) / _STANDARD_SUM
    return round(min(100.0, max(1.0, (200 - scale) / 2 if scale <= 100 else 5000 / scale)), 1)


def said_by(image: Image.Image) -> dict[str, float | str]:
    """Return what an opened file says of its making, as far as it does.

    Returns
    -------
    dict
        `JPEG quality`; `camera`, its make and model; `date taken`, in days since 1970 by the camera's clock.
    """
    found: dict[str, float | str] = {}
    quality = compression(getattr(image, "quantization", {}))
    if quality is not None:
        found[COMPRESSION] = quality
    try:
        exif = image.getexif()
        words = [str(exif.get(tag, "")).strip(" \0") for tag in (_MAKE, _MODEL)]
        taken = exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_CHANGED) if exif else None
    except (ValueError, SyntaxError, KeyError, TypeError, struct.error, EOFError, OSError):
        return found
    make, model = words
    name = model if make and model.casefold().startswith(make.split()[0].casefold()) else f"{make} {model}".strip()
    if name:
        found[CAMERA] = name[:80]
    try:
        at = datetime.strptime(str(taken).strip(" \0")[:19], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
        found[TAKEN] = round(at.timestamp() / DAY, 4)
    except ValueError:
        pass
    return found
