"""STL-10 (Coates, Ng, Lee, 2011): 13,000 labelled photographs of 96 x 96 pixels, from the binary files.

The unlabelled part is neither read nor unpacked. Source of the checksum: torchvision.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.images.sets.base import ArraySet, Part, find_folder
from engine.images.sets.download import fetch, missing, unpack

FOLDER = "stl10_binary"
ARCHIVE = "stl10_binary.tar.gz"
URL = "http://ai.stanford.edu/~acoates/stl10/"
CHECKSUM = "md5:91f7769df0f17e558f3565bffb0c7dfb"
FORMS = f"the folder {FOLDER} or {ARCHIVE}"
SIDE = 96
_BYTES = 3 * SIDE * SIDE


class Stl10(ArraySet):
    """The labelled images, mapped from disk."""

    def _fetch(self, progress: Progress) -> None:
        if find_folder(self.root, [FOLDER]) is None:
            fetch(URL + ARCHIVE, self.root / ARCHIVE, CHECKSUM, title="STL-10", progress=progress, forms=FORMS)
            unpack(self.root / ARCHIVE, FOLDER, self.root / FOLDER, skip=("unlabeled_X.bin",), progress=progress)

    def _load(self) -> tuple[list[Part], list[str]]:
        folder = find_folder(self.root, [FOLDER])
        if folder is None:
            raise missing("STL-10", FORMS, self.root, "it was not downloaded yet")
        try:
            names = (folder / "class_names.txt").read_text("ascii").split()
            return [self._part(folder, split, len(names)) for split in ("train", "test")], names
        except (OSError, ValueError) as error:
            raise InputError(
                f"The files in {folder} do not hold what STL-10 holds.",
                "Delete the folder and unpack the archive again.",
            ) from error

    def _part(self, folder: Path, split: str, n_classes: int) -> Part:
        labels = np.fromfile(folder / f"{split}_y.bin", np.uint8).astype(np.int64) - 1
        if (folder / f"{split}_X.bin").stat().st_size != len(labels) * _BYTES or not len(labels):
            raise ValueError("lengths differ")
        if labels.min() < 0 or labels.max() >= n_classes:
            raise ValueError("unknown class")
        stored = np.memmap(folder / f"{split}_X.bin", np.uint8, "r", shape=(len(labels), 3, SIDE, SIDE))
        return Part(split, stored.transpose(0, 3, 2, 1), labels)  # stored column by column


def stl10(root: Path | None) -> Stl10:
    """Build STL-10."""
    return Stl10(root)
