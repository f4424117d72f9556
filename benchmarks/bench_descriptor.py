"""Leave-one-out 1-NN accuracy (cosine) and speed of the built-in descriptor, its blocks, and scattering.

    python -m benchmarks.bench_descriptor

Sets: scikit-learn's digits, and clothing_341 and sign_digits where ../shared/data is there. Scattering is measured
where kymatio is installed; it is no dependency of Kindred. Speed is CPU time of one core, decoding left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.device import use_threads
from engine.core.vectors import unit
from engine.embeddings.encoders import descriptor
from engine.images.decode import decode_square
from engine.images.sets.registry import find_benchmark
from engine.images.sources import FolderSource

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
Images = NDArray[np.uint8]


def load(name: str) -> tuple[Images, NDArray[np.int64]] | None:
    """Return (n, 64, 64, 3) images and their classes."""
    if name == "digits":
        source = find_benchmark("digits").build(None)
    elif (DATA / name).is_dir():
        source = FolderSource(DATA / name, truth_from_folders=True)
    else:
        return None
    entries = list(source.entries())
    images = np.stack([decode_square(source.read(entry.name), descriptor.SIDE) for entry in entries])
    return images, np.unique([entry.truth for entry in entries], return_inverse=True)[1]


def accuracy(vectors: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """Return the share of images whose nearest other image has their class."""
    rows = unit(vectors)
    similar = rows @ rows.T
    np.fill_diagonal(similar, -np.inf)
    return float((classes[similar.argmax(axis=1)] == classes).mean())


def in_batches(encode: Callable[[Images], NDArray[np.float32]]) -> Callable[[Images], NDArray[np.float32]]:
    """Run `encode` on 64 images at a time, as the pipeline does."""
    return lambda images: np.concatenate([encode(images[i : i + 64]) for i in range(0, len(images), 64)])


def scattering() -> Callable[[Images], NDArray[np.float32]] | None:
    """Return scattering (J = 3, L = 8, two orders), logarithms less each channel's mean: its best variant here."""
    try:
        import torch
        from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D
    except ImportError:
        return None
    use_threads(1)
    transform = ScatteringTorch2D(3, (descriptor.SIDE, descriptor.SIDE), L=8)

    def encode(images: Images) -> NDArray[np.float32]:
        grey = (images.astype(np.float32) @ descriptor._LUMA) / 255
        with torch.inference_mode():
            logs = np.log(transform(torch.from_numpy(grey)).numpy() + 1e-3)
        return (logs - logs.mean(axis=(2, 3), keepdims=True)).reshape(len(images), -1)

    return encode


def main() -> None:
    """Print one line for each encoder."""
    whole = descriptor.Descriptor()
    grey = lambda images: images.astype(np.float32) @ descriptor._LUMA  # noqa: E731
    encoders: dict[str, Callable[[Images], NDArray[np.float32]] | None] = {
        "shape alone (HOG)": lambda images: descriptor._shape(grey(images)),
        "colour alone": descriptor._colour,
        "texture alone (LBP)": lambda images: descriptor._texture(grey(images)),
        "descriptor (all three)": whole.encode,
        "scattering": scattering(),
    }
    sets = {name: found for name in ("digits", "clothing_341", "sign_digits") if (found := load(name))}
    print(f"{'':24s}" + "".join(f"{name:>14s}" for name in sets) + "     numbers   images/s of one core")
    for title, encode in encoders.items():
        if encode is None:
            print(f"{title:24s}   kymatio is not installed")
            continue
        scores, seconds, count, width = [], 0.0, 0, 0
        for images, classes in sets.values():
            began = time.process_time()
            vectors = in_batches(encode)(images)
            seconds += time.process_time() - began
            count, width = count + len(images), vectors.shape[1]
            scores.append(accuracy(vectors, classes))
        row = "".join(f"{score:14.4f}" for score in scores)
        print(f"{title:24s}{row}{width:12,d}{count / seconds:12,.0f}")


if __name__ == "__main__":
    main()
