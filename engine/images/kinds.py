"""Kinds of picture files: known by their first bytes, whatever they are called; by their name where bytes do not tell.

Formats of optional packages (JPEG XL, raw photographs) count as pictures only where their package is installed.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.util import find_spec

HEAD = 64  # bytes that tell a kind
RAW_SUFFIXES = frozenset(
    b".dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .raf .rw2 .orf .pef .srw .x3f .3fr .iiq .erf .kdc .dcr .mrw .mos "
    b".rwl".split()
)
_JXL_SUFFIXES = frozenset({b".jxl"})
_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .bmp .dib .gif .tif .tiff .heic .heif .hif .avif .avifs .jp2 .j2k "
    b".jpf .jpx .jpc .ppm .pgm .pbm .pnm .pfm .tga .ico .qoi .pcx".split()
)
_BEGINNINGS = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  ", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"qoif", "qoi"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIU\0", "raw"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"FOVb", "raw"),
)
_BRANDS = {
    b"avif": "avif",
    b"avis": "avif",
    b"crx ": "raw",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "heif"),
}
_NETPBM = re.compile(rb"P[1-6](\s|#[^\n]*\n)+\d+\s|P[Ff]\s+\d+\s")
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)

NAMED = "jpg, png, webp, bmp, gif, tiff, heic, avif, jp2, ppm, tga, ico, qoi and pcx"
"""The kinds that need no further package, for a sentence."""


def kind_of(head: bytes) -> str:
    """Return the kind of a picture from its first `HEAD` bytes; empty where they are of none.

    Returns
    -------
    str
        "jpeg", "png", "gif", "webp", "bmp", "tiff", "heif", "avif", "jp2", "jxl", "ppm", "qoi", "raw" or "".
    """
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "")
    if head[:2] == b"BM" and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "bmp"
    if head[:2] == b"\xff\x0a":
        return "jxl"
    return "ppm" if _NETPBM.match(head) else ""


def is_tga(data: bytes) -> bool:
    """Whether bytes are a Targa picture, which has no first bytes of its own: by its footer, or a whole header."""
    if data[-18:] == b"TRUEVISION-XFILE.\0":
        return True
    if len(data) < 18 or data[1] not in (0, 1) or data[2] not in (1, 2, 3, 9, 10, 11):
        return False
    width, height = int.from_bytes(data[12:14], "little"), int.from_bytes(data[14:16], "little")
    plain = width * height * data[16] // 8 if data[2] < 8 else 1
    return bool(width and height) and data[16] in (8, 16, 24, 32) and len(data) >= 18 + plain


def by_name(name: bytes) -> bool | None:
    """Return whether a file's name says that it is a picture that can be read; None where only its bytes can tell."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _SUFFIXES:
        return True
    if suffix in RAW_SUFFIXES:
        return reads_raw()
    return reads_jxl() if suffix in _JXL_SUFFIXES else None


def by_bytes(head: bytes, *, named_raw: bool = False) -> bool:
    """Return whether the first bytes are those of a picture that can be read.

    A raw photograph begins as a TIFF does, so of what is named like one (`named_raw`) only other kinds are told.
    """
    kind = kind_of(head)
    if named_raw and kind == "tiff":
        return False
    return bool(kind) and (kind != "jxl" or reads_jxl()) and (kind != "raw" or reads_raw())


def suffix_of(name: bytes) -> str:
    """Return what a file of no readable kind is counted under: its suffix, or "without suffix"."""
    suffix = os.path.splitext(name)[1].lower().decode("utf-8", "backslashreplace")
    return suffix if 1 < len(suffix) <= 12 and suffix.isprintable() else "without suffix"


@cache
def reads_jxl() -> bool:
    """Whether the package for JPEG XL is installed."""
    return find_spec("pillow_jxl") is not None


@cache
def reads_raw() -> bool:
    """Whether the package for raw photographs is installed."""
    return find_spec("rawpy") is not None
