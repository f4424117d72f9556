"""ImageNet-1k (Russakovsky et al., 2015) in whatever form lies on disk.

The folders train/ and val/ as they are usually unpacked, Kaggle's ILSVRC/Data/CLS-LOC, the two published tar files
(read where they lie), or the Parquet shards of the hub in 128 px, which are what gets downloaded.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.images.sets.base import FolderSet, WhicheverForm, default_root
from engine.images.sets.download import missing
from engine.images.sets.hub import HubSet
from engine.images.sets.tars import TarImages
from engine.images.sources import Entry, ReadError
from engine.images.wordnet import class_words, is_wordnet_id, parse_words

TITLE = "ImageNet-1k"
PLACES = ("", "ILSVRC2012", "imagenet", "imagenet-1k", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT, SOLUTION = "ILSVRC2012_devkit_t12", "LOC_val_solution.csv"
ANSWERS = "ILSVRC2012_validation_ground_truth.txt"
WORDS = ("LOC_synset_mapping.txt", "words.txt", "synset_words.txt")
FORMS = (
    f"the folders train and val of class folders (or Kaggle's ILSVRC folder), {TRAIN} and {VALIDATION} with "
    f"{DEVKIT}.tar.gz, or the Parquet shards of huggingface.co/datasets/benjamin-paine/imagenet-1k-128x128"
)


def image_folder(root: Path) -> Path | None:
    """Return the folder whose train/ (or val/) holds class folders, None where there is none."""
    for place in (root / name for name in PLACES):
        for part in ("train", "val"):
            if (place / part).is_dir() and any(is_wordnet_id(child.name) for child in (place / part).iterdir()):
                return place
    return None


def archive_folder(root: Path) -> Path | None:
    """Return the folder that holds one of the two tar files, None where there is none."""
    return next(
        (root / name for name in PLACES if any((root / name / tar).is_file() for tar in (TRAIN, VALIDATION))), None
    )


class Lists:
    """What ImageNet's lists say of classes and validation images; looked for beside the images and above them.

    Parameters
    ----------
    folder : Path
        Where the images lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places = [folder, *list(folder.parents)[:3]]

    @cached_property
    def words(self) -> dict[str, str]:
        """Id -> words, as far as a list lies on disk."""
        path = self._find(*WORDS)
        found = parse_words(path.read_text("utf-8").splitlines()) if path else {}
        return found or {wnid: words for wnid, words in self._synsets.values()}

    @cached_property
    def validation(self) -> dict[str, str]:
        """Name of a validation image, without its ending -> id of its class; empty where no list is on disk."""
        path = self._find(SOLUTION)
        if path is not None:
            with path.open(encoding="utf-8", newline="") as file:
                return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
        answers = self._devkit(ANSWERS)
        if answers is None or not self._synsets:
            return {}
        numbers = answers.decode("ascii").split()
        return {f"ILSVRC2012_val_{at:08}": self._synsets[int(number)][0] for at, number in enumerate(numbers, start=1)}

    @cached_property
    def _synsets(self) -> dict[int, tuple[str, str]]:
        """Number of a class in the development kit -> its id and words."""
        data = self._devkit("meta.mat")
        if data is None:
            return {}
        from scipy.io import loadmat

        file: Any = io.BytesIO(data)  # SciPy's types know paths only
        rows = np.atleast_1d(loadmat(file, squeeze_me=True)["synsets"])
        leaves: list[Any] = [row for row in rows if int(row["num_children"]) == 0]
        return {int(row["ILSVRC2012_ID"]): (str(row["WNID"]), str(row["words"])) for row in leaves}

    def _find(self, *names: str) -> Path | None:
        return next((place / name for place in self._places for name in names if (place / name).is_file()), None)

    def _devkit(self, name: str) -> bytes | None:
        """Return a file of the development kit, unpacked or not; None where it is not on disk."""
        path = self._find(f"{DEVKIT}/data/{name}", f"data/{name}", name)
        if path is not None:
            return path.read_bytes()
        archive = self._find(f"{DEVKIT}.tar.gz")
        if archive is None:
            return None
        with tarfile.open(archive, "r:gz") as tar:
            stream = tar.extractfile(f"{DEVKIT}/data/{name}")
            return None if stream is None else stream.read()


def described(names: Sequence[bytes], lists: Lists) -> Iterator[tuple[str, str] | None]:
    """Yield (class in words, split) of each name below train/ and val/, None where it is no image of the set.

    Raises
    ------
    InputError
        Validation images lie in no class folders and no list says their classes; a list cannot be read.
    """
    found: list[tuple[str, str] | None] = []
    try:
        for name in names:
            part, *folders, file = name.decode("utf-8", "replace").split("/")
            split = {"train": "train", "val": "test"}.get(part)
            wnid = folders[0] if len(folders) == 1 else ""
            if split == "test" and not folders:
                wnid = lists.validation.get(file.rpartition(".")[0], "")
                if not lists.validation:
                    raise InputError(
                        f"The validation images in {lists.folder} do not say their classes.",
                        f"Put {SOLUTION} or {DEVKIT}.tar.gz beside them, or move them into class folders.",
                    )
            found.append((wnid, split) if split and is_wordnet_id(wnid) else None)
        ids = sorted({item[0] for item in found if item})
        words = dict(zip(ids, class_words(ids, lists.words), strict=True))
    except (OSError, ValueError, KeyError, IndexError, TypeError, tarfile.TarError, EOFError) as error:
        raise InputError(
            f"The lists of ImageNet beside {lists.folder} cannot be read: {error}.", "Download them again."
        ) from error
    for item in found:
        yield item and (words[item[0]], item[1])


class ImageNetFolder(FolderSet):
    """train/<id>/ with val/<id>/, or with the validation images directly in val/ and a list of their classes."""

    _found: Path | None = None

    def _fetch(self, progress: Progress) -> None:
        self._folder()

    def _folder(self) -> Path:
        self._found = self._found or image_folder(self.root)
        if self._found is None:
            raise missing(TITLE, FORMS, self.root, "the folder is gone")
        return self._found

    def _describe(self, names: Sequence[bytes]) -> Iterator[tuple[str, str] | None]:
        return described(names, Lists(self._folder()))


class ImageNetArchives:
    """ILSVRC2012_img_train.tar, a tar file of one tar file for each class, and ILSVRC2012_img_val.tar."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[tuple[bytes, str]] = []
        self._open: dict[str, TarImages] = {}

    def _archives(self) -> dict[str, TarImages]:
        """Return those that are on disk, by "train" and "val"."""
        folder = archive_folder(self.root)
        if folder is None:
            raise missing(TITLE, FORMS, self.root, "the archives are gone")
        for part, name in (("train", TRAIN), ("val", VALIDATION)):
            if part not in self._open and (folder / name).is_file():
                self._open[part] = TarImages(folder / name)
        return self._open

    def prepare(self, progress: Progress = SILENT) -> None:
        """List the archives, once."""
        for archive in self._archives().values():
            archive.names(progress)

    def entries(self) -> Iterator[Entry]:
        """List the images with class and split."""
        for part, archive in self._archives().items():
            names = [part.encode() + b"/" + name for name in archive.names().tolist()]
            changed = archive.path.stat().st_mtime_ns
            told = described(names, Lists(archive.path.parent))
            for name, size, found in zip(names, archive.sizes().tolist(), told, strict=True):
                if found is not None:
                    yield Entry(name, size, changed, truth=found[0], split=found[1])

    def read(self, name: bytes) -> bytes:
        """Return the encoded bytes of one image."""
        part, _, inside = name.partition(b"/")
        archive = self._archives().get(part.decode("ascii", "replace"))
        if archive is None:
            raise ReadError("There is no such image in the set.")
        return archive.read(inside)


class ImageNet(WhicheverForm):
    """Whichever of the forms lies on disk, the folders first; the hub's shards are what gets downloaded."""

    def __init__(self, root: Path | None) -> None:
        self.root = root or default_root()
        self._folder, self._archives = ImageNetFolder(self.root), ImageNetArchives(self.root)
        self._chosen: ImageNetFolder | ImageNetArchives | None = None
        self._hub = HubSet(self.root, f"{TITLE} (128 px)", "benjamin-paine/imagenet-1k-128x128", forms=FORMS)

    def _form(self) -> ImageNetFolder | ImageNetArchives | HubSet:
        if self._chosen is None and image_folder(self.root) is not None:
            self._chosen = self._folder
        elif self._chosen is None and archive_folder(self.root) is not None:
            self._chosen = self._archives
        return self._chosen or self._hub


def imagenet(root: Path | None) -> ImageNet:
    """Build ImageNet-1k."""
    return ImageNet(root)
