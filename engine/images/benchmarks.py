"""Benchmark sets by name: each is a source of encoded images with truth and split.

Adding one is one class in a file of its own and one line in `BENCHMARKS`; see docs/adding-a-dataset.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.images.arrays import bmp
from engine.images.sources import Entry, ReadError, Source


@dataclass(frozen=True)
class Benchmark:
    """A benchmark set as pages, command line and tests see it."""

    name: str
    title: str
    sentence: str
    classes: int
    build: Callable[[Path | None], Source]
    download: bool = True


class Digits:
    """1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn; no split, no download."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        found = load_digits()
        self.problems: list[tuple[bytes, str]] = []
        self._images: NDArray[np.uint8] = np.rint(found.images * (255 / 16)).astype(np.uint8)
        self._truth: list[int] = found.target.tolist()

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
    Benchmark("digits", "Digits", "1,797 handwritten digits, bundled, no download: the quickest demo.", 10,
              lambda data_root: _digits(), download=False),
)  # fmt: skip

BENCHMARKS: dict[str, Benchmark] = {entry.name: entry for entry in _ALL}


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


def open_benchmark(name: str, data_root: str | None) -> Source:
    """Open a benchmark set from `data_root`, or wherever its files lie by default."""
    return find_benchmark(name).build(Path(data_root).expanduser() if data_root else None)
