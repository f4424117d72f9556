"""Pixels of a benchmark set as image files: uncompressed BMP, so that the bytes never depend on a library.

Images are known by the hash of their bytes. A PNG's bytes change with the version of zlib; a BMP of the same
pixels is the same on every machine and in every year, and decodes faster.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

_GREY_PALETTE = b"".join(bytes((value, value, value, 0)) for value in range(256))


def bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Return a Windows bitmap of (h, w) grey or (h, w, 3) RGB pixels."""
    height, width = pixels.shape[:2]
    grey = pixels.ndim == 2
    palette = _GREY_PALETTE if grey else b""
    stride = -(-width * (1 if grey else 3) // 4) * 4
    rows = np.zeros((height, stride), np.uint8)
    flat = pixels if grey else pixels[:, :, ::-1].reshape(height, width * 3)
    rows[:, : flat.shape[1]] = flat
    body = rows[::-1].tobytes()
    start = 14 + 40 + len(palette)
    header = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 8 if grey else 24, 0, len(body), 2835, 2835, 256 if grey else 0, 0
    )
    return header + info + palette + body
