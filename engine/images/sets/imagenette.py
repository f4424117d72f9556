"""Imagenette (Howard, 2019): 13,394 photographs of ten easy ImageNet classes, from its class folders.

Any of the three published sizes is used when it lies on disk; the 320 px copy is what gets downloaded.
Source of the checksum and of the class names: torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.core.progress import Progress
from engine.images.sets.base import FolderSet, find_folder
from engine.images.sets.download import fetch, missing, unpack

FOLDERS = ("imagenette2-320", "imagenette2", "imagenette2-160")
ARCHIVE = "imagenette2-320.tgz"
FORMS = f"one of the folders {', '.join(FOLDERS)}, or one of them as .tgz"
URL = "https://s3.amazonaws.com/fast-ai-imageclas/"
CHECKSUM = "md5:3df6f0d01a2c9592104656642f5e78a3"
CLASSES = {
    b"n01440764": "tench",
    b"n02102040": "English springer",
    b"n02979186": "cassette player",
    b"n03000684": "chain saw",
    b"n03028079": "church",
    b"n03394916": "French horn",
    b"n03417042": "garbage truck",
    b"n03425413": "gas pump",
    b"n03445777": "golf ball",
    b"n03888257": "parachute",
}


class Imagenette(FolderSet):
    """train/ and val/ with one folder each class."""

    def _fetch(self, progress: Progress) -> None:
        if find_folder(self.root, FOLDERS) is None:
            here = [folder for folder in FOLDERS if (self.root / f"{folder}.tgz").is_file()]
            folder = here[0] if here else FOLDERS[0]
            if folder == FOLDERS[0]:
                fetch(URL + ARCHIVE, self.root / ARCHIVE, CHECKSUM, title="Imagenette", progress=progress, forms=FORMS)
            unpack(self.root / f"{folder}.tgz", folder, self.root / folder, progress=progress)

    def _folder(self) -> Path:
        folder = find_folder(self.root, FOLDERS)
        if folder is None:
            raise missing("Imagenette", FORMS, self.root, "it was not downloaded yet")
        return folder

    def _describe(self, names: Sequence[bytes]) -> Iterator[tuple[str, str] | None]:
        splits = {b"train": "train", b"val": "test"}
        for name in names:
            parts = name.split(b"/")
            known = len(parts) == 3 and parts[0] in splits and parts[1] in CLASSES
            yield (CLASSES[parts[1]], splits[parts[0]]) if known else None


def imagenette(root: Path | None) -> Imagenette:
    """Build Imagenette."""
    return Imagenette(root)
