"""Tiny ImageNet (Le and Yang, 2015): 110,000 labelled photographs of 64 x 64 pixels in 200 classes.

Read from the folder of the Stanford course or its zip when they lie on disk, else from the Parquet shards of the hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.images.sets.base import FolderSet, WhicheverForm, default_root, find_folder
from engine.images.sets.download import missing, unpack
from engine.images.sets.hub import HubSet
from engine.images.wordnet import class_words, parse_words

FOLDER, ARCHIVE = "tiny-imagenet-200", "tiny-imagenet-200.zip"
REPOSITORY = "zh-plus/tiny-imagenet"
FORMS = f"the folder {FOLDER}, {ARCHIVE}, or the Parquet shards of huggingface.co/datasets/{REPOSITORY}"


class TinyImageNetFolder(FolderSet):
    """train/<class>/images/, val/images/ with val_annotations.txt, wnids.txt and words.txt; test/ has no truth."""

    def _fetch(self, progress: Progress) -> None:
        if find_folder(self.root, [FOLDER]) is None and (self.root / ARCHIVE).is_file():
            unpack(self.root / ARCHIVE, FOLDER, self.root / FOLDER, progress=progress)
        self._folder()

    def _folder(self) -> Path:
        folder = find_folder(self.root, [FOLDER])
        if folder is None:
            raise missing("Tiny ImageNet", FORMS, self.root, "it is not unpacked yet, or the folder is gone")
        return folder

    def _describe(self, names: Sequence[bytes]) -> Iterator[tuple[str, str] | None]:
        folder = self._folder()
        try:
            classes = (folder / "wnids.txt").read_text("utf-8").split()
            words = parse_words((folder / "words.txt").read_text("utf-8").splitlines())
            lines = (folder / "val" / "val_annotations.txt").read_text("utf-8").splitlines()
            validation = {file.encode(): wnid for file, wnid, *_ in (line.split("\t") for line in lines if line)}
        except (OSError, ValueError) as error:
            raise InputError(
                f"The lists of Tiny ImageNet in {folder} cannot be read.", "Unpack the archive again."
            ) from error
        titles = dict(zip(classes, class_words(classes, words), strict=True))
        for name in names:
            parts = name.split(b"/")
            if parts[0] == b"train" and len(parts) == 4 and parts[1].decode() in titles:
                yield titles[parts[1].decode()], "train"
            elif parts[0] == b"val" and len(parts) == 3 and validation.get(parts[2]) in titles:
                yield titles[validation[parts[2]]], "test"
            else:
                yield None


class TinyImageNet(WhicheverForm):
    """Whichever of the forms lies on disk; the hub's shards are what gets downloaded."""

    def __init__(self, root: Path | None) -> None:
        self.root = root or default_root()
        self._folder = TinyImageNetFolder(self.root)
        self._hub = HubSet(self.root, "Tiny ImageNet", REPOSITORY, forms=FORMS)

    def _form(self) -> TinyImageNetFolder | HubSet:
        here = find_folder(self.root, [FOLDER]) is not None or (self.root / ARCHIVE).is_file()
        return self._folder if here else self._hub


def tiny_imagenet(root: Path | None) -> TinyImageNet:
    """Build Tiny ImageNet."""
    return TinyImageNet(root)
