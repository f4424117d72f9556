"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 70,000 grey articles of clothing of 28 x 28 pixels, from IDX files.

Plain and gzipped files are read, in torchvision's folder or in the data root. Source of the checksums: torchvision.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.images.sets.base import ArraySet, Part
from engine.images.sets.download import fetch, missing

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FOLDERS = ("FashionMNIST/raw", "fashion-mnist", "fashion_mnist", "")
FILES = {
    "train-images-idx3-ubyte": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}
FORMS = f"the files {', '.join(FILES)}, as they are or as .gz"
CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class FashionMnist(ArraySet):
    """The four IDX files."""

    def _find(self, name: str) -> Path | None:
        candidates = [self.root / folder / (name + suffix) for folder in FOLDERS for suffix in ("", ".gz")]
        return next((path for path in candidates if path.is_file()), None)

    def _fetch(self, progress: Progress) -> None:
        for name, expected in FILES.items():
            if self._find(name) is None:
                path = self.root / FOLDERS[0] / f"{name}.gz"
                fetch(f"{URL}{name}.gz", path, expected, title="Fashion-MNIST", progress=progress, forms=FORMS)

    def _load(self) -> tuple[list[Part], list[str]]:
        parts = []
        for split, prefix in (("train", "train"), ("test", "t10k")):
            images = self._array(f"{prefix}-images-idx3-ubyte", 3)
            labels = self._array(f"{prefix}-labels-idx1-ubyte", 1)
            if len(images) != len(labels) or not len(labels) or labels.max() >= len(CLASSES):
                raise InputError(f"Fashion-MNIST's {split} images and labels do not fit each other.")
            parts.append(Part(split, images, labels.astype(np.int64)))
        return parts, CLASSES

    def _array(self, name: str, dimensions: int) -> NDArray[np.uint8]:
        path = self._find(name)
        if path is None:
            raise missing("Fashion-MNIST", FORMS, self.root / FOLDERS[0], "it was not downloaded yet")
        try:
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            header = struct.unpack_from(f">{1 + dimensions}I", data)
            if header[0] != 0x0800 + dimensions:
                raise ValueError("wrong magic number")
            return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(header[1:])
        except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
            raise InputError(
                f"{path.name} is no IDX file of Fashion-MNIST.", f"Delete {path} and download it again."
            ) from error


def fashion_mnist(root: Path | None) -> FashionMnist:
    """Build Fashion-MNIST."""
    return FashionMnist(root)
