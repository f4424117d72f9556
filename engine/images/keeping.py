"""Which of several files of one picture is kept: the rule that a person chooses, as an order of all images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.csv import path_bytes
from engine.core.errors import InputError
from engine.images.tables import ImageTable

RULES = ("largest", "sharpest")


def keep_order(
    table: ImageTable, sharpness: NDArray[np.floating[Any]] | None = None, *, rule: str = "largest", folder: str = ""
) -> NDArray[np.int64]:
    """Return (n,) the rank of each image, 0 for the one that is kept before all others.

    Parameters
    ----------
    table : ImageTable
    sharpness : (n,) float, optional
        As `engine.images.quality.measure` has it; NaN where unknown.
    rule : str
        "largest": most pixels, then sharpest; "sharpest": the other way round. On a tie the larger file, then the
        first by its path.
    folder : str
        Images in this folder of the source, or in one inside, come before all others; empty for none.

    Raises
    ------
    InputError
        A rule that is not known, or no image in the preferred folder.
    """
    if rule not in RULES:
        raise InputError(f"What is kept can be the {' or the '.join(RULES)}, not {rule!r}.")
    n = len(table)
    pixels = table.width.astype(np.int64) * table.height
    sharp = np.zeros(n) if sharpness is None else np.nan_to_num(np.asarray(sharpness, np.float64), nan=-1.0)
    inside = np.zeros(n, bool)
    if wanted := path_bytes(folder).strip(b"/"):
        inside = np.array([path.startswith(wanted + b"/") for path in table.paths], bool)
        if not inside.any():
            raise InputError(f"No image lies in the folder {folder}.", "Name it as it is inside the data set.")
    first, second = (pixels, sharp) if rule == "largest" else (sharp, pixels)
    order = np.lexsort((np.arange(n), -table.sizes, -second, -first, ~inside))
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    return rank
