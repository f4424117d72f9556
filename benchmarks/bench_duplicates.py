"""Duplicates: the time to group 100,000 generated images, and what is found among changed copies of real photographs.

Generated: looks of smooth noise, vectors whose neighbours are given, 2% of the images changed copies; one image in ten
belongs to a series whose pictures are alike to the encoder and roughly in grey levels, which is what costs time.
Photographs: `--photographs FOLDER` takes every picture below it, in copies at JPEG quality 40, at half the size and
with 5% of width and height cut off at random sides.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from engine.geometry.duplicates import NEAREST, find_duplicates
from engine.geometry.neighbors import NeighborGraph
from engine.images.looks import ALIKE, alike, look_of
from engine.images.thumbnails import encode_thumbnail


def smooth(rng: np.random.Generator, count: int) -> np.ndarray:
    noise = gaussian_filter(rng.normal(size=(count, 32, 32)), (0, 2, 2))
    low, high = noise.min(axis=(1, 2), keepdims=True), noise.max(axis=(1, 2), keepdims=True)
    return (255 * (noise - low) / (high - low)).astype(np.uint8)


def generated(count: int, width: int = 512) -> None:
    rng = np.random.default_rng(0)
    looks = np.concatenate([smooth(rng, min(5000, count - start)) for start in range(0, count, 5000)])
    copies = rng.permutation(count)[: 2 * (count // 50)].reshape(2, -1)
    noisy = looks[copies[0]].astype(int) + rng.integers(-3, 4, (copies.shape[1], 32, 32))
    looks[copies[1]] = np.clip(noisy, 0, 255)
    series = np.setdiff1d(np.arange(count), copies)[: count // 10].reshape(-1, 10)
    own = looks[series[:, 1:]].astype(int)
    looks[series[:, 1:]] = (0.75 * looks[series[:, :1]] + 0.25 * own).astype(np.uint8)
    indices = rng.integers(0, count, (count, 64), dtype=np.int32)
    similarities = np.full((count, 64), 0.5, np.float32)
    similarities[:, :4] = 0.82  # four neighbours of another picture are compared for every image
    for at in range(10):
        indices[series[:, at], :9] = np.delete(series, at, axis=1)
        similarities[series[:, at], :9] = 0.9
    indices[copies[0], 0], indices[copies[1], 0] = copies[1], copies[0]
    similarities[copies, 0] = 0.99
    began, busy = time.perf_counter(), time.process_time()
    graph = NeighborGraph(indices, similarities)
    found = find_duplicates(np.arange(count), looks=looks, graph=graph)
    taken = time.perf_counter() - began, time.process_time() - busy
    pairs = {(min(a, b), max(a, b)) for a, b in copies.T.tolist()}
    hit = {
        (min(int(kept), other), max(int(kept), other))
        for kept, members in zip(found.kept, found.members, strict=True)
        for other in members.tolist()
    }
    print(
        f"{count:,} images, {NEAREST} nearest compared: {taken[0]:.1f} s, {taken[1]:.1f} s of processor time; "
        f"{len(pairs & hit):,} of {len(pairs):,} copies found, {len(hit - pairs):,} other pairs"
    )


def photographs(folder: Path, most: int) -> None:
    rng = np.random.default_rng(0)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    files = files[:: max(1, len(files) // most)]
    pictures = [Image.open(path).convert("RGB") for path in files]

    def looks(change) -> np.ndarray:  # noqa: ANN001
        return np.stack([look_of(encode_thumbnail(change(picture))) for picture in pictures])

    def jpeg(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=40)
        return Image.open(buffer).convert("RGB")

    def cut(picture: Image.Image) -> Image.Image:
        across, down = (max(1, round(0.05 * side)) for side in picture.size)
        left, top = int(rng.integers(0, across + 1)), int(rng.integers(0, down + 1))
        return picture.crop((left, top, picture.width - across + left, picture.height - down + top))

    own = looks(lambda picture: picture)
    changes = {
        "JPEG 40": jpeg,
        "half the size": lambda picture: picture.resize((max(1, picture.width // 2), max(1, picture.height // 2))),
        "5% cut off": cut,
    }
    found = {name: np.mean(alike(own, looks(change)) >= ALIKE) for name, change in changes.items()}
    one, other = np.triu_indices(len(own), 1)
    some = rng.choice(len(one), min(len(one), 10_000), replace=False)
    wrong = int((alike(own[one[some]], own[other[some]]) >= ALIKE).sum())
    told = ", ".join(f"{name} {share:.1%}" for name, share in found.items())
    print(
        f"{folder.name}, {len(own):,} photographs: {told} are the same picture; {wrong:,} of {len(some):,} other pairs"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--photographs", type=Path, nargs="*", default=[])
    parser.add_argument("--most", type=int, default=350, help="photographs of each folder")
    arguments = parser.parse_args()
    if arguments.images:
        generated(arguments.images)
    for folder in arguments.photographs:
        photographs(folder, arguments.most)


if __name__ == "__main__":
    main()
