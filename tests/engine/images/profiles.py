"""Small colour profiles and deep files with known contents, written by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np

ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))  # D50
WHITE = (0.9642, 1.0, 0.8249)


def _fixed(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": b"XYZ \0\0\0\0" + _fixed(*WHITE)} | tags
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*WHITE)
    return head + bytes(128 - len(head)) + table + body


def matrix_profile(primaries, gamma: float) -> bytes:
    """An RGB profile of three primaries (XYZ, D50) and one exponent."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    tags = {
        name: b"XYZ \0\0\0\0" + _fixed(*xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | {name: curve for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(gamma: float) -> bytes:
    """A grey profile of one exponent."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))})


def lab_of(xyz):
    """CIE Lab of XYZ under D50."""
    share = np.asarray(xyz) / WHITE
    root = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.stack(
        [116 * root[..., 1] - 16, 500 * (root[..., 0] - root[..., 1]), 200 * (root[..., 1] - root[..., 2])], axis=-1
    )


def cmyk_profile() -> bytes:
    """A press whose inks multiply: sRGB light of (1 - ink)(1 - black), as a table of 9 steps an ink."""
    steps = np.linspace(0, 1, 9)
    c, m, y, k = np.meshgrid(steps, steps, steps, steps, indexing="ij")
    light = srgb_to_linear(np.stack([(1 - c) * (1 - k), (1 - m) * (1 - k), (1 - y) * (1 - k)], axis=-1))
    lab = lab_of(light @ np.array(SRGB))
    numbers = np.stack([lab[..., 0] / 100 * 65280, (lab[..., 1] + 128) * 256, (lab[..., 2] + 128) * 256], axis=-1)
    table = np.clip(numbers.round(), 0, 65535).astype(">u2").tobytes()
    line = np.array([0, 65535], ">u2").tobytes()
    head = b"mft2\0\0\0\0" + bytes([4, 3, 9, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": head + line * 4 + table + line * 3})


def srgb_to_linear(value):
    """The light of an sRGB value, both from 0 to 1."""
    return np.where(value <= 0.04045, value / 12.92, ((np.asarray(value) + 0.055) / 1.055) ** 2.4)


def expected_srgb(colours, primaries, gamma: float):
    """8-bit sRGB of 8-bit colours in a matrix profile, cut off at what sRGB holds."""
    light = np.clip((np.asarray(colours) / 255) ** gamma @ np.array(primaries) @ np.linalg.inv(np.array(SRGB)), 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def deep_png(values: np.ndarray, kind: int) -> bytes:
    """A PNG of 16 bits; `kind` is 0 grey, 2 RGB, 4 grey with opacity, 6 RGB with opacity."""
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")
