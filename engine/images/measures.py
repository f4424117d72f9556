"""What is known of each image beside its vector: measured qualities, size, date of the file, folder.

Pages filter and colour by it; each measure is one number an image, in the order of `engine.images.tables.load_images`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.core.workspace import Workspace
from engine.images.memory import remembered
from engine.images.tables import load_images, load_quality, load_words
from engine.images.traces import DAY


@dataclass(frozen=True)
class Measures:
    """Numbers and folders of a data set's images.

    Attributes
    ----------
    numbers : dict of str to (n,) float64
        The qualities of `engine.images.quality.measure`, the traces of `engine.images.traces`, "megapixels",
        "aspect ratio" (width over height), "file size" (kB) and "changed" (days since 1970, when the file was last
        written); NaN where unknown. Only what differs between images is there.
    folders : (n,) object
        Folder of each image inside the source, "" at its top.
    words : dict of str to (n,) object
        "dominant colour" and "camera"; "" where unknown. Only what differs between images is there.
    """

    numbers: dict[str, NDArray[np.float64]]
    folders: NDArray[np.object_]
    words: dict[str, NDArray[np.object_]] = field(default_factory=dict)


def load_measures(workspace: Workspace, dataset_id: str) -> Measures:
    """Return what is known of a data set's images; shared with other callers, so never written into.

    Parameters
    ----------
    workspace : Workspace
    dataset_id : str
    """
    changed = remembered(workspace, dataset_id, "file dates", lambda db: _changed(db, dataset_id))
    table = load_images(workspace, dataset_id)
    numbers: dict[str, NDArray[np.float64]] = {}
    for name, values in load_quality(workspace, dataset_id).items():
        numbers[name] = values.astype(np.float64)
    pixels = table.width.astype(np.float64) * table.height
    numbers["megapixels"] = np.where(pixels > 0, pixels / 1e6, np.nan)
    numbers["aspect ratio"] = np.where(pixels > 0, table.width / np.maximum(table.height, 1), np.nan)
    numbers["file size"] = np.where(pixels > 0, table.sizes / 1e3, np.nan)
    at = np.array([changed.get(image, np.nan) for image in table.ids.tolist()], np.float64)
    numbers["changed"] = np.where(at > 0, at / DAY, np.nan)
    folders = np.array(
        [path.rpartition(b"/")[0].decode("utf-8", "replace") for path in table.paths] or [], dtype=np.object_
    )
    words = load_words(workspace, dataset_id)
    return Measures(
        {name: values for name, values in numbers.items() if _differs(values)},
        folders,
        {name: values for name, values in words.items() if len(set(values.tolist())) > 1},
    )


def _changed(db: sqlite3.Connection, dataset_id: str) -> dict[int, float]:
    """Return by catalog id when each file was last written, in seconds since 1970."""
    found = db.execute("SELECT id, mtime_ns FROM image WHERE dataset = ? AND mtime_ns > 0", (dataset_id,))
    return {int(image): at / 1e9 for image, at in found}


def _differs(values: NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and bool(known.min() < known.max())
