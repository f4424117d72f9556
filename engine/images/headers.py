"""What an opened file says about itself before it is decoded: several pictures in it, odd numbers, raw data."""

from __future__ import annotations

import io
import logging
import struct

from PIL import Image

from engine.images.depth import tiff_note

FIRST_TAKEN = "only the first is taken."
_PARTS = {"TIFF": "pages", "MPO": "pictures", "HEIF": "pictures"}  # what a file of several holds; else frames
_DNG, _SUBFILE, _SUB_IFDS, _MAKE = 50706, 254, 330, 271
_SENSOR = (32803, 34892)  # photometric interpretations: a mosaic of colours, linear raw values
_SAMPLES, _EXTRA, _BITS, _KIND = 277, 338, 258, 339


def parts_of(image: Image.Image) -> str:
    """Say that a file holds several pictures; empty for one."""
    try:
        count = int(getattr(image, "n_frames", 1))
        image.seek(0)
    except (EOFError, SyntaxError, ValueError, OSError, struct.error, KeyError, TypeError):
        return ""
    return f"{count:,} {_PARTS.get(image.format or '', 'frames')}; {FIRST_TAKEN}" if count > 1 else ""


def bands_of(image: Image.Image) -> str:
    """Say what is left out of, or unusual about, the numbers of a TIFF; mostly nothing."""
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return tiff_note(
        int(tags.get(_SAMPLES, 1)),
        tuple(tags.get(_EXTRA, ())),
        max(tags.get(_BITS, (8,))) if tags.get(_KIND, (1,))[0] == 3 else 0,
    )


def is_raw(image: Image.Image) -> bool:
    """Whether a TIFF holds what a sensor measured; the picture at its beginning is only a small preview."""
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    preview = bool(tags) and _SUB_IFDS in tags and _MAKE in tags and tags.get(_SUBFILE, 0) & 1
    return bool(tags) and (_DNG in tags or bool(preview))


def is_raw_tiff(data: bytes) -> bool:
    """Whether a TIFF that Pillow does not read holds a sensor's mosaic; False for one that is damaged."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            return _DNG in page.tags or int(page.photometric) in _SENSOR
    except Exception:  # a damaged file makes it raise anything; decoding says what is wrong
        return False
