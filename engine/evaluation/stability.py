"""How much a clustering depends on which images it saw: the same method on two overlapping random subsamples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.agreement import ari_between

SHARE = 0.8

Integers = NDArray[np.integer[Any]]


def subsamples(
    count: int, rng: np.random.Generator, *, share: float = SHARE, number: int = 2
) -> list[NDArray[np.int64]]:
    """Return `number` random subsamples of `count` rows: sorted (m,) row numbers, `share` of all, two at least."""
    size = max(2, round(share * count))
    return [np.sort(rng.choice(count, size, replace=False)) for _ in range(number)]


def common_ari(rows: Sequence[Integers], labels: Sequence[Integers]) -> float:
    """Return the adjusted Rand index of two clusterings on the rows that are in both.

    Parameters
    ----------
    rows : two (m,) int
        Row numbers, each once.
    labels : two (m,) int
        Their labels; noise counts as a cluster.
    """
    _, first, second = np.intersect1d(rows[0], rows[1], assume_unique=True, return_indices=True)
    return ari_between(np.asarray(labels[0])[first], np.asarray(labels[1])[second])


def stability(
    cluster: Callable[[NDArray[np.int64]], Integers], count: int, *, share: float = SHARE, random_state: int = 0
) -> float:
    """Return `common_ari` of clusterings of two overlapping random subsamples.

    Parameters
    ----------
    cluster : callable
        Given sorted row numbers (m,), returns their labels (m,).
    count : int
        Number of images.
    share : float
        Of the images in each subsample.

    References
    ----------
    Ben-Hur, Elisseeff and Guyon, A stability based method for discovering structure in clustered data, 2002.
    """
    rows = subsamples(count, np.random.default_rng(random_state), share=share)
    return common_ari(rows, [cluster(chosen) for chosen in rows])
