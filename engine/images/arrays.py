"""Pixels of a benchmark set as image files: uncompressed BMP, so that the bytes never depend on a library.

Images are known by the hash of their bytes. A PNG's bytes change with the version of zlib; a BMP of the same
pixels is the same on every machine and in every year, and decodes faster.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray


def bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Return a 24-bit Windows bitmap of (h, w) grey or (h, w, 3) RGB pixels."""
    height, width = pixels.shape[:2]
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    rows = np.zeros((height, -(-width * 3 // 4) * 4), np.uint8)
    rows[:, : width * 3] = pixels[::-1, :, ::-1].reshape(height, width * 3)
    body = rows.tobytes()
    header = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body), 2835, 2835, 0, 0)
    return header + info + body
