"""Small pictures with a known content, for the tests of this room."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

CORNERS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "yellow": (230, 220, 40)}


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red and green above, blue and yellow below: any turn or flip shows."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = CORNERS["red"]
    pixels[: height // 2, width // 2 :] = CORNERS["green"]
    pixels[height // 2 :, : width // 2] = CORNERS["blue"]
    pixels[height // 2 :, width // 2 :] = CORNERS["yellow"]
    return Image.fromarray(pixels)


def noise(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """A picture that no other seed gives."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, format: str, **options) -> bytes:
    """The bytes of a file."""
    if format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def corners(image) -> list[str]:
    """Names of the colours nearest to the four quarter centres, reading order."""
    pixels = np.asarray(image, dtype=int)
    height, width = pixels.shape[:2]
    names, colours = list(CORNERS), np.array(list(CORNERS.values()))
    found = []
    for y in (height // 4, 3 * height // 4):
        for x in (width // 4, 3 * width // 4):
            found.append(names[np.abs(colours - pixels[y, x]).sum(axis=1).argmin()])
    return found


def write(path: Path, data: bytes | Image.Image, format: str = "PNG") -> Path:
    """Write a picture or bytes, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(data, format) if isinstance(data, Image.Image) else data)
    return path
