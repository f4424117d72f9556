"""Neighbours as witnesses: how far two embeddings agree on them, and how far a clustering keeps them together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.vectors import blocks
from engine.geometry.neighbors import NeighborGraph

_BLOCK = 2048  # rows compared at a time: k x k x 2048 bytes


def common_neighbors(
    first: NDArray[np.int32], second: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which neighbours of each row stand in the other list, too.

    Parameters
    ----------
    first, second : (n, k) int32
        Row numbers, each once in a row; their order is of no account.

    Returns
    -------
    in_second, in_first : (n, k) bool
        Of the first list and of the second.

    Raises
    ------
    InputError
        The lists are of other numbers of rows.
    """
    if len(first) != len(second):
        raise InputError("Neighbours can be compared only of the same images.", "Embed all images with both encoders.")
    in_second, in_first = np.zeros(first.shape, bool), np.zeros(second.shape, bool)
    for rows in blocks(len(first), _BLOCK):
        same = first[rows][:, :, None] == second[rows][:, None, :]
        in_second[rows], in_first[rows] = same.any(axis=2), same.any(axis=1)
    return in_second, in_first


def kept_share(first: NeighborGraph, second: NeighborGraph, k: int = 10) -> NDArray[np.float32]:
    """Return the share of each row's k nearest neighbours that are the same in both graphs.

    Parameters
    ----------
    first, second : NeighborGraph
        Of the same rows in the same order, by two embeddings.
    k : int
        Neighbours that count; fewer where a graph has fewer.

    Returns
    -------
    (n,) float32
        In [0, 1]; two random graphs of n rows share about k / (n - 1).

    Raises
    ------
    InputError
        The graphs are of other numbers of rows.

    References
    ----------
    "Local neighbourhood agreement" of two spaces, the overlap that Hamilton, Leskovec and Jurafsky, "Cultural Shift or
    Linguistic Drift?", EMNLP 2016, and Wendlandt et al., "Factors Influencing the Surprising Instability of Word
    Embeddings", NAACL 2018, measure the stability of embeddings by.
    """
    k = min(k, first.k, second.k)
    if k < 1:
        return np.ones(len(first), np.float32)
    kept, _ = common_neighbors(np.asarray(first.indices[:, :k]), np.asarray(second.indices[:, :k]))
    share: NDArray[np.float32] = kept.mean(axis=1, dtype=np.float32)
    return share


def neighbor_agreement(neighbors: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]], k: int = 10) -> float:
    """Return how far images and their neighbours are in one cluster: 1 always, 0 as by chance.

    Parameters
    ----------
    neighbors : (n, >= 1) int
        Row numbers, the nearest first; at most the first `k` count.
    labels : (n,) int
        -1 is noise, which agrees with nobody.

    Returns
    -------
    float
        (share - chance) / (1 - chance), where chance is that of two images drawn at random; at most 1, below 0 where
        neighbours are parted more often than by chance. 0 where one cluster holds everything.
    """
    near = neighbors[:, :k]
    inside = labels >= 0
    same = sum(
        int(np.count_nonzero((labels[near[part]] == labels[part, None]) & inside[part, None]))
        for part in blocks(len(near), 65_536)
    )
    shares = np.bincount(labels[inside]) / max(len(labels), 1)
    chance = float(np.square(shares).sum())
    return float((same / near.size - chance) / (1 - chance)) if near.size and chance < 1 else 0.0
