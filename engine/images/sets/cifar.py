"""CIFAR-10, CIFAR-100 and its 20 superclasses (Krizhevsky, 2009), from the Python archives.

The archives are pickles: every file is compared with its published checksum, then opened by an unpickler that
admits arrays only. Source of the checksums: torchvision.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.images.sets.base import ArraySet, Part, find_folder
from engine.images.sets.download import fetch, missing, unpack
from engine.images.sets.pickles import load_arrays

URL = "https://www.cs.toronto.edu/~kriz/"
ARCHIVES = {
    "cifar-10-batches-py": ("cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a"),
    "cifar-100-python": ("cifar-100-python.tar.gz", "md5:eb9058c3a382ffc7106e4002c42a8d85"),
}
CHECKSUMS = {
    "cifar-10-batches-py": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    "cifar-100-python": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
}
SIDE = 32


class Cifar(ArraySet):
    """One of the three ways to look at the CIFAR archives."""

    def __init__(self, root: Path | None, title: str, folder: str, labels: str, names: str) -> None:
        super().__init__(root)
        self.title, self.folder, self.labels, self.names = title, folder, labels, names

    @property
    def _forms(self) -> str:
        return f"the folder {self.folder} or {ARCHIVES[self.folder][0]}"

    def _fetch(self, progress: Progress) -> None:
        if find_folder(self.root, [self.folder]) is None:
            archive, expected = ARCHIVES[self.folder]
            path = self.root / archive
            fetch(URL + archive, path, expected, title=self.title, progress=progress, forms=self._forms)
            unpack(self.root / archive, self.folder, self.root / self.folder, progress=progress)

    def _load(self) -> tuple[list[Part], list[str]]:
        folder = find_folder(self.root, [self.folder])
        if folder is None:
            raise missing(self.title, self._forms, self.root, "it was not downloaded yet")
        files = {name: self._file(folder / name, digest) for name, digest in CHECKSUMS[self.folder].items()}
        meta = next(found for name, found in files.items() if "meta" in name)
        train = [found for name, found in files.items() if name.startswith(("data_batch", "train"))]
        test = [found for name, found in files.items() if name.startswith("test")]
        try:
            names = [str(name) for name in meta[self.names]]
            parts = [self._part("train", train, len(names)), self._part("test", test, len(names))]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"The files in {folder} do not hold what {self.title} holds.") from error
        return parts, names

    def _part(self, split: str, files: list[dict[str, Any]], n_classes: int) -> Part:
        images = np.concatenate([np.asarray(found["data"], np.uint8) for found in files])
        labels = np.concatenate([np.asarray(found[self.labels], np.int64) for found in files])
        if len(images) != len(labels) or labels.min() < 0 or labels.max() >= n_classes:
            raise ValueError
        return Part(split, images.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels)

    def _file(self, path: Path, expected: str) -> dict[str, Any]:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{path} cannot be read.", f"{self.title} needs this file; unpack the archive again."
            ) from error
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != expected:
            raise InputError(
                f"{path.name} is not the published file: its checksum differs, so it is not opened.",
                f"Delete {path.parent} and let {self.title} be downloaded again.",
            )
        return load_arrays(data)


def cifar10(root: Path | None) -> Cifar:
    """Build CIFAR-10."""
    return Cifar(root, "CIFAR-10", "cifar-10-batches-py", "labels", "label_names")


def cifar100(root: Path | None) -> Cifar:
    """Build CIFAR-100 with its 100 classes."""
    return Cifar(root, "CIFAR-100", "cifar-100-python", "fine_labels", "fine_label_names")


def cifar20(root: Path | None) -> Cifar:
    """Build CIFAR-100 with its 20 superclasses."""
    return Cifar(root, "CIFAR-100", "cifar-100-python", "coarse_labels", "coarse_label_names")
