"""A test part for data that brings none: each class gives its share, chosen by content hash.

The same images make the same parts on every machine and in every order, and adding files moves few of the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.ids import Ids


def stratified_split(contents: Ids, strata: NDArray[np.int64], fraction: float) -> tuple[NDArray[np.int64], ...]:
    """Split rows so that each stratum gives `fraction` of its rows to the test side, by content hash.

    Parameters
    ----------
    contents : (n,) S16
        Content ids; being hashes, their order is random but the same on every machine.
    strata : (n,) int64
        The class of each row.

    Returns
    -------
    (train, test) : sorted int64 row numbers
        A stratum of one row stays in train; one of two or more gives at least one.
    """
    order = np.lexsort((contents, strata))
    _, first, counts = np.unique(strata[order], return_index=True, return_counts=True)
    rank = np.arange(len(strata)) - np.repeat(first, counts)
    wanted = np.where(counts > 1, np.maximum(np.round(fraction * counts), 1), 0)
    in_test = rank < np.repeat(wanted, counts)
    return np.sort(order[~in_test]), np.sort(order[in_test])
