"""Decode + letterbox against plain Pillow; the price of a thumbnail and of the pixels' hash; a rescan of 10,000 files.

Prints ratios of medians taken alternately in one process; nothing is asserted.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from engine.core.files import content_id
from engine.core.workspace import Workspace
from engine.images.datasets import add_folder
from engine.images.decode import PreprocessSettings, decode, decode_square
from engine.images.quality import measure
from engine.images.scan import scan
from engine.images.thumbnails import encode_thumbnail
from engine.images.traces import traces

SIDE = 224
FILL = PreprocessSettings().rgb


def photographs(n: int) -> list[bytes]:
    """JPEGs with the detail of photographs: noise of falling frequency, quality 90."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n):
        picture = np.zeros((768, 1024, 3), np.float32)
        for octave in range(2, 10):
            coarse = rng.normal(size=(3 * 2**octave // 4, 2**octave, 3)).astype(np.float32)
            planes = [
                np.asarray(Image.fromarray(coarse[..., c]).resize((1024, 768), Image.Resampling.BICUBIC))
                for c in range(3)
            ]
            picture += np.stack(planes, axis=-1) * 90 / 2 ** (octave - 2)
        buffer = io.BytesIO()
        Image.fromarray(np.clip(picture + 128, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    return found


def plain(data: bytes) -> np.ndarray:
    """What one writes with Pillow: full decode, upright, letterbox with the same filter."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    return np.asarray(ImageOps.pad(image, (SIDE, SIDE), Image.Resampling.BICUBIC, color=FILL))


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bench_decode(rounds: int) -> None:
    """Alternate the two decoders over the same files."""
    files = photographs(8)
    settings = PreprocessSettings()
    ours, theirs = [], []
    for _ in range(rounds):
        for data in files:
            theirs.append(seconds(lambda data=data: plain(data)))
            ours.append(seconds(lambda data=data: decode_square(data, SIDE, settings)))
    difference = np.mean(
        [np.abs(plain(data).astype(int) - decode_square(data, SIDE).astype(int)).mean() for data in files]
    )
    fast, slow = statistics.median(ours), statistics.median(theirs)
    print(f"decode + letterbox {SIDE} px of 1024 x 768 JPEG, one thread, median of {len(ours)}:")
    print(f"  plain Pillow {slow * 1e3:.2f} ms, Kindred {fast * 1e3:.2f} ms: {slow / fast:.2f} times faster")
    print(f"  mean pixel difference {difference:.2f} of 255")


def small_pictures(size: tuple[int, int], n: int) -> list[bytes]:
    """JPEGs of coarse patches, about as large as such thumbnails are on the web."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n):
        patches = rng.integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found


def bench_small(rounds: int) -> None:
    """Processor time of small pictures: what the scan and the encoder's decoding do with each."""
    place = np.empty((SIDE, SIDE, 3), np.uint8)
    settings = PreprocessSettings()
    print(f"processor time an image, best of {rounds}: plain Pillow, decode + letterbox {SIDE} px, a scan's look")
    for size in ((224, 168), (640, 480)):
        files = small_pictures(size, 60)
        ways = (plain, lambda data: decode_square(data, SIDE, settings, into=place), lambda data: look(data, 1))
        best = [float("inf")] * len(ways)
        for _ in range(rounds):
            for number, way in enumerate(ways):
                began = time.process_time()
                for data in files:
                    way(data)
                best[number] = min(best[number], (time.process_time() - began) / len(files))
        print(f"  {size[0]} x {size[1]}: {', '.join(f'{value * 1e3:.2f} ms' for value in best)}")


def look(data: bytes, hashed: int) -> None:
    """What a scan does with the bytes of one file."""
    content_id(data)
    found = decode(data, 256, hashed=hashed)
    pixels = np.asarray(found.image)
    measure(found.image, pixels)
    traces(pixels)
    encode_thumbnail(found.image)


def bench_hash(rounds: int) -> None:
    """What the hash of the pixels costs a scan: the look at one file, with it and without it, by turns."""
    photograph = Image.open(io.BytesIO(photographs(1)[0]))
    large = photograph.resize((4000, 3000), Image.Resampling.BICUBIC)
    print(f"a scan's look at one file without and with the hash of its pixels, best of {rounds * 2}:")
    for title, picture, format in (
        ("JPEG of 12 megapixels", large, "JPEG"),
        ("JPEG of 1024 x 768", photograph, "JPEG"),
        ("PNG of 12 megapixels", large, "PNG"),
        ("PNG of 1024 x 768", photograph, "PNG"),
        ("PNG of 256 x 192", photograph.resize((256, 192)), "PNG"),
        ("WebP of 1024 x 768", photograph, "WEBP"),
    ):
        buffer = io.BytesIO()
        picture.save(buffer, format)
        best = {0: float("inf"), 1: float("inf")}
        for _ in range(rounds * 2):
            for hashed in best:
                best[hashed] = min(best[hashed], seconds(partial(look, buffer.getvalue(), hashed)))
        print(f"  {title}: {best[0] * 1e3:.2f} ms and {best[1] * 1e3:.2f} ms, {best[1] / best[0]:.3f} times as long")


def bench_scan(n: int, rounds: int) -> None:
    """Scan n small JPEGs with and without thumbnails, then again unchanged."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((640, 480))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=85)
        for at in range(n):
            path = root / f"{at // 500:03}" / f"{at:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(buffer.getvalue() + at.to_bytes(4, "big"))  # bytes after the end: another content
        few = Path(folder) / "few"
        few.mkdir()
        for path in sorted(root.rglob("*.jpg"))[:300]:
            (few / path.name).write_bytes(path.read_bytes())
        with_them, without = [], []
        for turn in range(rounds):
            for thumbnails, times in ((True, with_them), (False, without)):
                workspace = Workspace.open(Path(folder) / f"w{turn}{thumbnails}")
                dataset = add_folder(workspace, few)
                times.append(seconds(lambda w=workspace, d=dataset, t=thumbnails: scan(w, d.id, thumbnails=t)))
        a, b = statistics.median(with_them), statistics.median(without)
        print(f"first scan of 300 JPEGs of 640 x 480, median of {rounds}:")
        print(f"  without thumbnails {b:.2f} s, with {a:.2f} s: {a / b:.2f} times as long")
        workspace = Workspace.open(Path(folder) / "workspace")
        dataset = add_folder(workspace, root)
        first = seconds(lambda: scan(workspace, dataset.id, thumbnails=False))
        again = [seconds(lambda: scan(workspace, dataset.id)) for _ in range(max(3, rounds))]
        median = statistics.median(again)
        print(f"folder of {n:,} JPEGs: first scan {first:.1f} s, unchanged {median:.2f} s (median of {len(again)}):")
        print(f"  {first / median:.0f} times faster, no image opened")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    bench_decode(options.rounds)
    bench_small(options.rounds)
    bench_hash(options.rounds)
    bench_scan(options.files, options.rounds)


if __name__ == "__main__":
    main()
