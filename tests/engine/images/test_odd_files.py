"""Three hundred odd files, formats by modes by damage: none stops a scan, and none goes without a word."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.images.datasets import add_folder, set_reading
from engine.images.reading import FolderSettings
from engine.images.scan import scan
from tests.engine.images.pictures import encoded, noise, quarters, write

FORMATS = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"),
    "AVIF": ("RGB", "RGBA"),
    "HEIF": ("L", "RGB", "RGBA"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA"),
    "PPM": ("1", "L", "RGB", "I"),
    "TGA": ("L", "LA", "P", "RGB", "RGBA"),
    "ICO": ("RGB", "RGBA"),
    "QOI": ("RGB", "RGBA"),
    "PCX": ("1", "L", "P", "RGB"),
    "MPO": ("RGB",),
}
SUFFIXES = {"JPEG2000": "jp2", "HEIF": "heic", "JPEG": "jpg"}


def in_mode(mode: str) -> Image.Image:
    image = quarters(48, 40)
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 250)
    if mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    return image.convert("L").convert(mode) if mode in ("I", "F") else image.convert(mode)


def damaged(data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield a file in five states of repair."""
    rng = random.Random(seed)
    yield "whole", data
    yield "half", data[: len(data) // 2]
    yield "tail", data[: -max(3, len(data) // 20)]
    hit = bytearray(data)
    for _ in range(20):
        hit[rng.randrange(min(12, len(hit) - 1), len(hit))] = rng.randrange(256)
    yield "hit", bytes(hit)
    yield "hole", data[: len(data) // 3] + bytes(len(data) // 3) + data[2 * (len(data) // 3) :]
    yield "more", data + b"appended by a careless program" * 3


def tiffs() -> Iterator[tuple[str, bytes]]:
    """Yield TIFFs that are no ordinary pictures: numbers of bands and kinds of numbers as instruments write them."""
    rng = np.random.default_rng(0)
    shapes = {
        "two bands": rng.integers(0, 255, (32, 32, 2), np.uint8),
        "five bands": rng.integers(0, 255, (32, 32, 5), np.uint8),
        "float64": rng.normal(size=(32, 32)),
        "float64 colour": rng.random((32, 32, 3)),
        "float16": rng.normal(size=(32, 32)).astype(np.float16),
        "int8": rng.integers(-100, 100, (32, 32)).astype(np.int8),
        "int64": rng.integers(-(10**12), 10**12, (32, 32)),
        "complex": rng.normal(size=(32, 32)).astype(np.complex64),
        "volume": rng.integers(0, 255, (4, 32, 32), np.uint8),
        "nan": np.full((16, 16), np.nan, np.float32),
    }
    for name, values in shapes.items():
        buffer = io.BytesIO()
        planar = {"planarconfig": "contig", "photometric": "minisblack"} if name.endswith("bands") else {}
        volume = {"volumetric": True} if name == "volume" else {}
        photometric = {"photometric": "rgb"} if name.endswith("colour") else {}
        tifffile.imwrite(buffer, values, **planar, **volume, **photometric)
        yield name, buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yield small files that claim or unpack to a lot."""
    head = b"\x89PNG\r\n\x1a\n"
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    yield "claims.png", head + chunk(b"IHDR", huge) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    small = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(200_000_000), 9))
    profile = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(200_000_000), 9))
    pixels = chunk(b"IDAT", zlib.compress(bytes(8 * 25))) + chunk(b"IEND", b"")
    yield "text.png", head + chunk(b"IHDR", small) + text + pixels
    yield "profile.png", head + chunk(b"IHDR", small) + profile + pixels
    yield "more.png", head + chunk(b"IHDR", small) + chunk(b"IDAT", zlib.compress(bytes(100_000_000), 9))
    yield "claims.gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3) + b"\x2c" + bytes(9) + b"\x02\x00;"
    yield "claims.ppm", b"P6\n99999 99999\n255\n" + bytes(100)
    yield "claims.qoi", b"qoif" + struct.pack(">IIBB", 400_000, 400_000, 3, 0) + bytes(20)
    yield "claims.bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, 90_000, 90_000, 1, 24, *[0] * 6)
    frames = [noise(at, 2, 2) for at in range(500)]
    yield "frames.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    round_trip = struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 256, 4, 1, 8) + struct.pack("<I", 8)
    yield "circle.tif", round_trip


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """The folder of odd files."""
    root, numbers = tmp_path_factory.mktemp("odd"), count()
    for format, modes in FORMATS.items():
        for mode in modes:
            options = {"save_all": True, "append_images": [in_mode(mode)]} if format == "MPO" else {}
            data = encoded(in_mode(mode), format, **options)
            name = f"{format} {mode}.{SUFFIXES.get(format, format.lower())}".replace(";", "")
            for state, content in damaged(data, next(numbers)):
                write(root / state / name, content)
    for name, data in tiffs():
        for state, content in damaged(data, next(numbers)):
            write(root / "instruments" / state / f"{name}.tif", content)
    for name, data in bombs():
        write(root / "bombs" / name, data)
    for at in range(20):  # names that lie, and bytes of nothing
        write(
            root / "junk" / f"{at}.{'jpg png tif gif webp bmp heic avif jp2 tga'.split()[at % 10]}", os.urandom(at * 7)
        )
    return root


def test_none_of_them_stops_a_scan_and_none_goes_without_a_word(workspace, odd):
    total = sum(len(names) for _, _, names in os.walk(odd))
    assert total >= 300
    found = scan(workspace, add_folder(workspace, odd).id)
    accounted = found.readable + len(found.failed) + sum(found.others.values()) + sum(found.left_out.values())
    assert accounted == found.files + sum(found.others.values()) == total
    for path, reason in found.failed:
        assert reason.endswith("."), (path, reason)
        assert "Traceback" not in reason and len(reason) < 300, (path, reason)
    failed = {os.fsdecode(path) for path, _ in found.failed}
    assert not [path for path in failed if path.startswith("whole/")]
    cut = [path for path in failed if path.startswith("half/")]
    assert len(cut) >= 45  # a cut file is told from a whole one
    told = {os.fsdecode(path): reason for path, reason in found.failed}
    for bomb in ("claims.png", "claims.gif", "claims.ppm", "claims.qoi", "claims.bmp"):
        assert f"bombs/{bomb}" in told
    assert "megapixels" in told["bombs/claims.png"] and "megapixels" in told["bombs/claims.ppm"]
    assert dict(found.notes)[b"bombs/frames.gif"].startswith("500 frames")


def test_an_instruments_tiff_says_what_it_is_or_is_shown(workspace, odd):
    found = scan(workspace, add_folder(workspace, odd / "instruments" / "whole").id)
    assert {os.fsdecode(path): reason for path, reason in found.failed} == {
        "five bands.tif": "The TIFF has 5 channels; only grey and colour pictures can be shown.",
        "complex.tif": "The TIFF holds numbers that are no picture, such as complex ones or a volume.",
    }
    assert {os.fsdecode(path): note for path, note in found.notes} == {
        "two bands.tif": "The TIFF has 2 channels; the first is shown in grey.",
        "float64.tif": "The TIFF holds 64-bit floating-point numbers.",
        "float64 colour.tif": "The TIFF holds 64-bit floating-point numbers.",
        "volume.tif": "The TIFF has 4 channels; the first three are shown as colours.",
    }


def test_every_page_of_them_is_no_danger_either(workspace, odd):
    dataset = add_folder(workspace, odd)
    set_reading(workspace, dataset.id, FolderSettings(all_pages=True, exclude=("frames.gif",)))
    found = scan(workspace, dataset.id)
    assert found.readable > 100
    assert all(reason.endswith(".") for _, reason in found.failed)
