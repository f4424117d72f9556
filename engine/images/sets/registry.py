"""Benchmark sets by name: each is a source of encoded images with truth and split.

Adding one is one class in a file of its own and one line in `BENCHMARKS`; see docs/adding-a-dataset.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.images.arrays import bmp
from engine.images.sources import Entry, ReadError, Source


@dataclass(frozen=True)
class Benchmark:
    """A benchmark set as pages, command line and tests see it.

    Attributes
    ----------
    name : str
        What the command line calls it.
    title, sentence : str
        What a person reads.
    classes : int
        Number of classes: the default number of clusters.
    build : callable
        Takes the data root or None, returns the source without touching the disk.
    download : bool
        Whether it has to be fetched when it is not on disk.
    holds : "photographs" | "drawings"
        What its images are: the default encoder depends on it.
    """

    name: str
    title: str
    sentence: str
    classes: int
    build: Callable[[Path | None], Source]
    download: bool = True
    holds: Literal["photographs", "drawings"] = "photographs"


class Digits:
    """1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn; no split, no download."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        found = load_digits()
        self.problems: list[tuple[bytes, str]] = []
        self._images: NDArray[np.uint8] = np.rint(found.images * (255 / 16)).astype(np.uint8)
        self._truth: list[int] = found.target.tolist()

    def prepare(self, progress: Progress = SILENT) -> None:
        """Nothing to do: scikit-learn brings the digits."""

    def entries(self) -> Iterable[Entry]:
        """List the digits in scikit-learn's order."""
        for at, digit in enumerate(self._truth):
            yield Entry(b"%04d.bmp" % at, 64, 0, truth=str(digit))

    def read(self, name: bytes) -> bytes:
        """Return one digit as a BMP of its 8 x 8 pixels."""
        if not re.fullmatch(rb"\d{4}\.bmp", name) or int(name[:4]) >= len(self._images):
            raise ReadError("There is no such digit.")
        return bmp(self._images[int(name[:4])])


def _lazy(module: str, builder: str) -> Callable[[Path | None], Source]:
    """Return a builder that imports its module when it is called."""

    def build(data_root: Path | None) -> Source:
        found: Source = getattr(import_module(module), builder)(data_root)
        return found

    return build


@cache
def _digits() -> Digits:
    return Digits()


_ALL = (
    Benchmark(
        "digits",
        "Digits",
        "1,797 handwritten digits, bundled, no download: the quickest demo.",
        10,
        lambda data_root: _digits(),
        download=False,
        holds="drawings",
    ),
    Benchmark(
        "made-pictures",
        "Made pictures",
        "200 pictures of eight kinds, drawn by Kindred and free for any use (CC0): balloons, dunes, flowers, the sea.",
        8,
        _lazy("engine.images.sets.samples", "made_pictures"),
        download=False,
    ),
    Benchmark(
        "photograph-pieces",
        "Pieces of photographs",
        "Twelve photographs in sixteen pieces each, bundled with scikit-image and scikit-learn; no download.",
        12,
        _lazy("engine.images.sets.samples", "photograph_pieces"),
        download=False,
    ),
    Benchmark(
        "cifar10",
        "CIFAR-10",
        "60,000 tiny photographs of ten animals and vehicles.",
        10,
        _lazy("engine.images.sets.cifar", "cifar10"),
    ),
    Benchmark(
        "cifar100",
        "CIFAR-100",
        "60,000 tiny photographs of a hundred fine classes.",
        100,
        _lazy("engine.images.sets.cifar", "cifar100"),
    ),
    Benchmark(
        "cifar20",
        "CIFAR-100, 20 superclasses",
        "The images of CIFAR-100 with their 20 coarse classes.",
        20,
        _lazy("engine.images.sets.cifar", "cifar20"),
    ),
    Benchmark(
        "stl10",
        "STL-10",
        "13,000 photographs of ten animals and vehicles, 96 px.",
        10,
        _lazy("engine.images.sets.stl10", "stl10"),
    ),
    Benchmark(
        "imagenette",
        "Imagenette",
        "13,394 photographs of ten easy ImageNet classes.",
        10,
        _lazy("engine.images.sets.imagenette", "imagenette"),
    ),
    Benchmark(
        "tiny-imagenet",
        "Tiny ImageNet",
        "110,000 photographs of 200 classes, 64 px.",
        200,
        _lazy("engine.images.sets.tiny_imagenet", "tiny_imagenet"),
    ),
    Benchmark(
        "imagenet-1k",
        "ImageNet-1k",
        "1.33 million photographs of a thousand classes; 128 px, or in full from folders or tar files on this disk.",
        1000,
        _lazy("engine.images.sets.imagenet", "imagenet"),
    ),
    Benchmark(
        "fashion-mnist",
        "Fashion-MNIST",
        "70,000 grey pictures of ten kinds of clothing, 28 px.",
        10,
        _lazy("engine.images.sets.fashion_mnist", "fashion_mnist"),
    ),
)

BENCHMARKS: dict[str, Benchmark] = {entry.name: entry for entry in _ALL}
SAMPLES = ("made-pictures", "photograph-pieces", "digits")  # what the first screen offers, ready in one click


def find_benchmark(name: str) -> Benchmark:
    """Return the benchmark set called `name`.

    Raises
    ------
    InputError
        Unknown name; the known ones are listed.
    """
    try:
        return BENCHMARKS[name]
    except KeyError:
        raise InputError(f"There is no benchmark set {name!r}.", f"Known: {', '.join(BENCHMARKS)}.") from None


@lru_cache(maxsize=4)
def open_benchmark(name: str, data_root: str | None) -> Source:
    """Open a benchmark set from `data_root`, or from the default place; kept open, as it is read image by image.

    A `data_root` that is a file, such as the set's archive, stands for the folder that it lies in.
    """
    root = Path(data_root).expanduser() if data_root else None
    return find_benchmark(name).build(root.parent if root is not None and root.is_file() else root)
