"""What every room asks of a table of embeddings: finite, float32, rows of length one.

Sits below the rooms, beside `ids`, so that neighbours, maps and methods share one check and one norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError

Vectors = NDArray[np.float32]

BLOCK = 8192


def blocks(count: int, size: int = BLOCK) -> Iterator[slice]:
    """Yield slices of at most `size` rows that cover `count` rows."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def check_embeddings(embeddings: NDArray[Any], n_clusters: int | None = None) -> Vectors:
    """Return `embeddings` as a C-ordered (n, d) float32 array, refusing what no method can use.

    Raises
    ------
    InputError
        Not two-dimensional, empty, NaN or infinity (the first bad row named), fewer rows than clusters.
    """
    array = np.ascontiguousarray(embeddings, dtype=np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"Embeddings must be a table of n rows and d columns, not shape {array.shape}.")
    finite = np.concatenate([np.isfinite(array[rows].sum(axis=1, dtype=np.float64)) for rows in blocks(len(array))])
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise InputError(
            f"{len(bad):,} of {len(array):,} embeddings contain NaN or infinity; the first is row {bad[0]:,}.",
            "Embed those images again or leave them out.",
        )
    if n_clusters is not None and n_clusters > len(array):
        raise InputError(
            f"Cannot make {n_clusters:,} clusters from {len(array):,} image{'' if len(array) == 1 else 's'}.",
            f"Ask for {len(array):,} clusters or fewer." if len(array) > 1 else "Add images first.",
        )
    return array


def unit(vectors: NDArray[Any]) -> Vectors:
    """Return rows scaled to length one; zero rows stay zero."""
    array = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(array, axis=-1, keepdims=True)
    return array / np.maximum(length, np.finfo(np.float32).tiny)


def unit_rows(vectors: NDArray[Any]) -> Vectors:
    """Return (n, d) unit rows, the given array itself where its rows already have length one."""
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    squares = np.concatenate([np.einsum("ij,ij->i", array[rows], array[rows]) for rows in blocks(len(array))])
    if np.all(np.abs(squares - 1) < 1e-5):
        return array
    result = np.empty_like(array)
    for rows in blocks(len(array)):
        result[rows] = unit(array[rows])
    return result


def distinct_rows(vectors: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return which rows of (n, d) are the first of their kind, and which of those each row equals.

    Rows are compared by a 64-bit hash of their exact values.

    Returns
    -------
    first : (m,) int64
        Row numbers, rising.
    kind : (n,) int64
        `vectors[first][kind]` equals `vectors`. None is returned instead of both where all rows differ.
    """
    count, dimension = vectors.shape
    factors = np.random.default_rng(0).integers(0, 2**63, dimension, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashed = np.empty(count, np.uint64)
    for rows in blocks(count, 2048):
        bits = (np.ascontiguousarray(vectors[rows], dtype=np.float32) + np.float32(0)).view(np.uint32)  # -0 is 0
        mixed = (bits.astype(np.uint64) + np.uint64(1)) * factors
        hashed[rows] = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64)
    _, first, kind = np.unique(hashed, return_index=True, return_inverse=True)
    if len(first) == count:
        return None
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order].astype(np.int64), place[kind.reshape(-1)].astype(np.int64)
