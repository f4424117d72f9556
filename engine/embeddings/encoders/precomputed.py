"""Vectors that were made elsewhere, as an encoder: of a vector file, or matched to the images of a folder by id.

There is nothing to compute: `vectors_of` reads the file and says which content each row belongs to.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.ids import Ids, to_hex
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.embeddings.encoders.fingerprint import fingerprint
from engine.images.vectors import VectorFile, read_vectors

if TYPE_CHECKING:
    from engine.images.datasets import Dataset
    from engine.images.tables import ImageTable


class PrecomputedSettings(Settings):
    """Which file holds the vectors."""

    file: str = setting(
        "",
        "A .npy, .npz or .parquet file; for a folder of images its ids are paths inside the folder, file names or "
        "content ids. A data set of vectors brings its own.",
        runtime=True,  # the file's bytes are the revision, so where it lies does not matter
    )


class Precomputed:
    """The vectors of a file.

    Parameters
    ----------
    settings : PrecomputedSettings
    device : str
        Ignored; nothing is computed.

    Raises
    ------
    InputError
        No file, NaN (the row named), or a file that cannot be read.
    """

    settings_class = PrecomputedSettings

    def __init__(self, settings: PrecomputedSettings | None = None, *, device: str = "cpu") -> None:
        self.settings = settings or PrecomputedSettings()
        self.file: VectorFile = read_vectors(_file(self.settings))
        self.dimension = int(self.file.vectors.shape[1])
        self.notes: list[str] = []

    @staticmethod
    def for_dataset(settings: PrecomputedSettings, dataset: Dataset) -> PrecomputedSettings:
        """Return the settings with the data set's own file where it is one of vectors."""
        return settings.changed(file=os.fsdecode(dataset.location)) if dataset.kind == "vectors" else settings

    @staticmethod
    def revision_of(settings: PrecomputedSettings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return the hash of the file's bytes."""
        return fingerprint([_file(settings)])

    @staticmethod
    def dtype_of(settings: PrecomputedSettings) -> str:
        """Return "float16", or "float32" where half precision would overflow or flush small vectors to zero."""
        largest = np.abs(read_vectors(_file(settings)).vectors).max(axis=1)
        return "float16" if largest.max() < 6e4 and largest.min() > 6e-3 else "float32"

    def vectors_of(self, dataset: Dataset, table: ImageTable) -> tuple[Ids, NDArray[np.float32]]:
        """Return (contents (m,) S16, vectors (m, d)) of the rows that belong to the data set.

        Raises
        ------
        InputError
            The ids do not match the images; it says how many of which.
        """
        if dataset.kind == "vectors":
            contents = self.file.contents
            if not np.isin(table.contents, contents).all():
                raise InputError(
                    f"{dataset.name} changed: some of its rows are no longer in the file.",
                    "Add the changed file as a new data set.",
                )
            return contents, self.file.vectors
        if self.file.ids is None:
            raise InputError(
                "The vector file has no ids, so nobody can say which vector belongs to which image.",
                "Add an array `ids` with each image's path inside the folder.",
            )
        known = _names(table)
        plain = _plain(known)
        rows = [known.get(name, plain.get(_nfc(name), -1)) for name in self.file.ids]
        matched = np.flatnonzero(np.array(rows) >= 0)
        if len(matched) == 0:
            raise InputError(
                f"None of the {len(rows):,} ids matches an image; the first id is {self.file.ids[0]!r} and the first "
                f"image is {os.fsdecode(table.paths[0]) if len(table.paths) else 'missing'!r}.",
                "Ids are paths inside the folder, file names that occur once, or content ids.",
            )
        strangers = len(rows) - len(matched)
        left = len(table.contents) - len(set(np.array(rows)[matched].tolist()))
        if strangers:
            self.notes.append(f"{strangers:,} of {len(rows):,} vectors have ids that match no image; left out.")
        if left:
            self.notes.append(f"{left:,} of {len(table.contents):,} images have no vector in the file.")
        return table.contents[np.array(rows)[matched]], self.file.vectors[matched]


def _file(settings: PrecomputedSettings) -> Path:
    if not settings.file:
        raise InputError(
            "No vector file was chosen.", "Name a .npy, .npz or .parquet file, or add it as a data set of its own."
        )
    path = Path(settings.file).expanduser()
    if not path.is_file():
        raise InputError(f"The vector file {path} is not there.", "Restore it, or relocate the data set.")
    return path


def _names(table: ImageTable) -> dict[str, int]:
    """Return the row of every name an id may use: path, unambiguous file name, content id in hex."""
    found: dict[str, Any] = {}
    for row, path in enumerate(table.paths):
        name = os.fsdecode(path).rsplit("/", 1)[-1]
        found[name] = row if name not in found else -1
    found |= {os.fsdecode(path): row for row, path in enumerate(table.paths)}
    found |= {text: row for row, text in enumerate(to_hex(table.contents))}
    return found


def _plain(known: dict[str, int]) -> dict[str, int]:
    """Return the rows by names in NFC, whatever form their accents have on disk; -1 where two differ by that only."""
    found: dict[str, int] = {}
    for name, row in known.items():
        found[_nfc(name)] = row if found.get(_nfc(name), row) == row else -1
    return found


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
