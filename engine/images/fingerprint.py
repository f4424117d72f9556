"""The hash of a picture's pixels: the same for files whose bytes differ only in what is not shown.

Captions, ratings, repaired EXIF and lossless compression leave it as it is, and so does a rotation that is undone by
the EXIF orientation. It is taken of what the scan decodes anyway, upright. Of a picture above 384 px that is the means
of small squares, as libjpeg gives them for a JPEG and the first step towards the thumbnail for other formats: what
changes none of them by half a level of 255 is not seen.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TURNS: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture of each EXIF orientation upright."""
_WHOLE = 384  # px: what is not larger is hashed pixel by pixel
SIDE, GAP = 256, 3.0  # what the scan makes of each picture, and how much larger it may be before it is resampled
_CELL = 8  # pixels of a thumbnail each way whose mean is compared: single pixels differ by the thumbnail's own coding
# Of 255: the largest and the 99th percentile of the differences. Turning a JPEG without loss and compressing it anew at
# quality 97 gave at most 4.6 and 2.8 on photographs; the same pixels give 0 where the thumbnail's encoder is the same.
_TURNED, _SAME = (6.0, 3.5), (1.5, 1.0)


def reduction(width: int, height: int) -> tuple[int, int]:
    """Return by how many pixels each way Pillow averages a picture first on its way to 256 px."""
    longer = max(width, height)
    sides = (max(1, round(side * SIDE / longer)) if longer > SIDE else side for side in (width, height))
    across, down = (int(side / wanted / GAP) or 1 for side, wanted in zip((width, height), sides, strict=True))
    return across, down


def picture_hash(picture: Image.Image, orientation: int, meaning: str) -> bytes:
    """Return the hash of a decoded picture, 16 bytes.

    Parameters
    ----------
    picture : PIL.Image.Image
        RGB, RGBA or CMYK, not yet upright.
    orientation : int
        EXIF's, 1 to 8.
    meaning : str
        Names the colour profile; empty for sRGB.
    """
    if orientation in TURNS:
        picture = picture.transpose(TURNS[orientation])
    size, factors = picture.size, reduction(*picture.size)
    return hash_of_reduced(picture.reduce(factors) if factors != (1, 1) else picture, size, meaning)


def hash_of_reduced(picture: Image.Image, size: tuple[int, int], meaning: str) -> bytes:
    """Return what `picture_hash` does of an upright picture of this size that is reduced already."""
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    if picture.size == size and max(size) > _WHOLE:
        picture = picture.reduce(max(2, round(max(size) / SIDE)))
    digest = hashlib.sha256(f"{picture.mode} {size} {meaning}".encode())  # processors have it built in
    digest.update(picture.tobytes())
    return digest.digest()[:16]


def values_hash(values: NDArray[Any], alpha: NDArray[np.uint8] | None, orientation: int, meaning: str) -> bytes:
    """Return the hash of exact values of more than 8 bits, (h, w) or (h, w, 3), 16 bytes."""
    upright = _upright(values, orientation)
    little = np.ascontiguousarray(upright, dtype=upright.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{little.dtype.str} {little.shape} {meaning}".encode())
    digest.update(little.tobytes())
    if alpha is not None and (alpha != 255).any():
        digest.update(_upright(alpha, orientation).tobytes())
    return digest.digest()[:16]


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return (h, w, ...) as Pillow's transposition of that orientation would."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def looks_same(one: bytes, other: bytes, *, rounded: bool = False, turned: bool = False) -> bool:
    """Whether two thumbnails show the same picture, as far as 256 px tell.

    Parameters
    ----------
    one, other : bytes
        JPEGs of `thumbnails.encode_thumbnail`.
    rounded : bool
        Their pixels may differ by the rounding of a JPEG that was turned.
    turned : bool
        One of them may be turned or flipped against the other.
    """
    first, second = (Image.open(io.BytesIO(data)).convert("RGB") for data in (one, other))
    turns = (None, *TURNS.values()) if turned else (None,)
    limits = _TURNED if rounded or turned else _SAME
    return any(_alike(first, second if turn is None else second.transpose(turn), *limits) for turn in turns)


def _alike(one: Image.Image, other: Image.Image, largest: float, most: float) -> bool:
    if one.size != other.size:
        return False
    difference = np.asarray(one, np.float32) - np.asarray(other, np.float32)
    height, width = difference.shape[:2]
    rows, columns = np.arange(0, height, _CELL), np.arange(0, width, _CELL)
    sums = np.add.reduceat(np.add.reduceat(difference, rows, axis=0), columns, axis=1)
    areas = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))
    cells = np.abs(sums / areas[..., None])
    return bool(cells.max() <= largest and np.quantile(cells, 0.99) <= most)
