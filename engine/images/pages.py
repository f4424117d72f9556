"""The further pages and frames of a file as images of their own: named beside the first, read as TIFFs without loss.

A page has no bytes of its own, so it gets some that depend on nothing but the page: an uncompressed TIFF. Everything
that reads, hashes or exports an image then works on a page, too.
"""

from __future__ import annotations

import io
import os
import re

from PIL import Image

from engine.images.decode import MAX_PIXELS

MOST_PAGES = 10_000
_PAGE = re.compile(rb"(?s)(.+)#page-([1-9][0-9]*)\.tif")
_SEVERAL = frozenset(b".tif .tiff .gif .webp .mpo".split())
_FORMATS = ("TIFF", "GIF", "WEBP", "JPEG")
_SUBFILE, _REDUCED = 254, 1
_PLAIN = ("1", "L", "LA", "I;16", "I", "F", "RGB", "RGBA", "CMYK")


def page_name(name: bytes, number: int) -> bytes:
    """Return the name of a further page, counted from 1; the first page is the file itself."""
    return name + b"#page-%d.tif" % number


def page_of(name: bytes) -> tuple[bytes, int] | None:
    """Return the file and the number of a further page, None where a name is none."""
    found = _PAGE.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def further_pages(name: bytes, path: bytes) -> list[int]:
    """Return the numbers of the pages after the first that a file holds; reduced copies of a page are left out."""
    if os.path.splitext(name)[1].lower() not in _SEVERAL:
        return []
    try:
        with Image.open(path, formats=_FORMATS) as image:
            count = min(int(getattr(image, "n_frames", 1)), MOST_PAGES)
            if image.format != "TIFF":
                return list(range(2, count + 1))
            return [number for number in range(2, count + 1) if not _reduced(image, number)]
    except Exception:  # a damaged file makes a decoder raise anything; the scan says what is wrong with it
        return []


def _reduced(image: Image.Image, number: int) -> bool:
    image.seek(number - 1)
    return bool(image.tag_v2.get(_SUBFILE, 0) & _REDUCED)  # type: ignore[attr-defined]


def page_bytes(data: bytes, number: int, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return one page of a file as an uncompressed TIFF.

    Raises
    ------
    Exception
        Whatever a decoder raises for a damaged file; EOFError where there is no such page.
    """
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        image.seek(number - 1)
        if image.width * image.height > max_pixels:
            raise ValueError(f"a page of {image.width} x {image.height} pixels is too large")
        profile = image.info.get("icc_profile")
        page = image if image.mode in _PLAIN else image.convert("RGBA" if "transparency" in image.info else "RGB")
        buffer = io.BytesIO()
        plain = Image.frombytes(page.mode, page.size, page.tobytes())  # without the tags of the file
        plain.save(buffer, "TIFF", **({"icc_profile": profile} if profile else {}))
        return buffer.getvalue()
