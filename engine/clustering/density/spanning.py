"""Minimum spanning tree of mutual reachability on the neighbour graph.

Flows in: neighbours, distances and core distances. Flows out: n - 1 edges. What the graph cannot know, the
distance between groups larger than k and between parts that do not touch, is measured in the space itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.density.linkage import SMALLEST, Indices, single_linkage
from engine.geometry.centers import cluster_means

REFINED = 200_000
CHUNK = 1_000_000


def spanning_tree(
    indices: NDArray[np.integer[Any]],
    distances: NDArray[Any],
    core: NDArray[Any],
    vectors: NDArray[np.float32],
) -> tuple[Indices, Indices, NDArray[np.float64], int]:
    """Return a minimum spanning tree of mutual reachability on the neighbour graph.

    Parameters
    ----------
    indices, distances : (n, k)
        Neighbours and their distances.
    core : (n,)
        Core distance of each image; an edge weighs max(core, core, distance).
    vectors : (n, c)
        The space; parts of the graph that do not touch are joined by their closest images found there.
        The finest dense groups are also linked that way (up to `REFINED` images): a group larger than k has
        all its neighbours inside, so the graph alone knows its distance to other groups badly.

    Notes
    -----
    Edges join a few neighbours at a time: the tree of (the tree so far and the next edges) is the tree of all,
    and memory stays small.

    Returns
    -------
    first, second : (n - 1,) int64
    weight : (n - 1,) float64
    parts : int
        Connected parts before joining.
    """
    from scipy.sparse.csgraph import connected_components

    count, k = indices.shape
    first = second = np.empty(0, dtype=np.int64)
    kept = np.empty(0)
    width = max(8, CHUNK // count)
    for start in range(0, k, width):
        columns = np.asarray(indices[:, start : start + width])
        weight = np.maximum(distances[:, start : start + width], np.maximum(core[:, None], core[columns]))
        rows = np.repeat(np.arange(count, dtype=np.int64), columns.shape[1])
        first, second, kept = _minimum(
            np.r_[first, rows], np.r_[second, columns.ravel()], np.r_[kept, weight.ravel()], count
        )
    parts = count - len(first)
    while len(first) < count - 1:
        _, part = connected_components(_sparse(first, second, kept, count), directed=False)
        first, second, kept = _with_bridges(first, second, kept, vectors, part, core)
    if k < count - 1 and count <= REFINED:
        part = single_linkage(first, second, kept).cut(max(8, k // 4), method="leaf").labels
        if part.max() > 0:
            first, second, kept = _with_bridges(first, second, kept, vectors, part, core)
    return first, second, kept, parts


def _with_bridges(
    first: Indices,
    second: Indices,
    weight: NDArray[np.float64],
    vectors: NDArray[np.float32],
    part: NDArray[np.int32],
    core: NDArray[Any],
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    a, b, w = _bridges(vectors, part, core)
    return _minimum(np.r_[first, a], np.r_[second, b], np.r_[weight, w], len(vectors))


def _sparse(first: Indices, second: Indices, weight: NDArray[np.float64], count: int) -> Any:  # noqa: ANN401
    from scipy.sparse import coo_array

    return coo_array((np.maximum(weight, SMALLEST), (first, second)), shape=(count, count)).tocsr()


def _minimum(
    first: Indices, second: Indices, weight: NDArray[np.float64], count: int
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Return the minimum spanning forest of the given edges; of two directions the smaller index comes first."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    low, high = np.minimum(first, second), np.maximum(first, second)
    code = low * count + high
    order = np.argsort(code)
    code, weight = code[order], weight[order]
    new = np.r_[True, code[1:] != code[:-1]]
    code, weight = code[new], np.minimum.reduceat(weight, np.flatnonzero(new))
    low, high = code // count, code % count
    pointer = np.searchsorted(low, np.arange(count + 1))
    matrix = csr_array((np.maximum(weight, SMALLEST), high.astype(np.int32), pointer.astype(np.int32)), (count, count))
    tree = minimum_spanning_tree(matrix, overwrite=True).tocoo()
    return tree.row.astype(np.int64), tree.col.astype(np.int64), tree.data


def _bridges(
    vectors: NDArray[np.float32], part: NDArray[np.int32], core: NDArray[Any], *, near: int = 8, samples: int = 160
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Return for each part its edges to the nearest parts, between their closest images.

    Which parts are near is read from their means and, while that fits, from a few random images of each; the
    edge is the smallest mutual reachability between the `samples` images of either that face the other.
    Images of part -1 take no part.
    """
    order = np.argsort(part, kind="stable")
    order = order[np.searchsorted(part[order], 0) :]
    bounds = np.searchsorted(part[order], np.arange(int(part.max()) + 2))
    members = [order[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    means = cluster_means(vectors, part, len(members))
    found = []
    for a, b in _near_parts(vectors, members, means, core, near):
        one, two = _facing(vectors, members[a], means[b], samples), _facing(vectors, members[b], means[a], samples)
        reach = _reach(vectors, core, one, two)
        i, j = np.unravel_index(int(reach.argmin()), reach.shape)
        found.append((float(one[i]), float(two[j]), float(reach[i, j])))
    edges = np.array(found)
    return edges[:, 0].astype(np.int64), edges[:, 1].astype(np.int64), edges[:, 2]


def _near_parts(
    vectors: NDArray[np.float32], members: list[Indices], means: NDArray[np.float32], core: NDArray[Any], near: int
) -> list[tuple[int, int]]:
    """Return the pairs of parts worth measuring."""
    import faiss

    _, closest = faiss.knn(means, means, min(near + 1, len(means)))
    pairs = {(min(a, int(b)), max(a, int(b))) for a, row in enumerate(closest) for b in row if a != b}
    few = max(1, min(32, 4000 // len(members)))
    if len(members) <= 2000:
        rng = np.random.default_rng(0)
        chosen = [np.sort(rng.choice(rows, few, replace=False)) if len(rows) > few else rows for rows in members]
        picked, starts = np.concatenate(chosen), np.cumsum([0, *map(len, chosen)])[:-1]
        reach = _reach(vectors, core, picked, picked)
        between = np.minimum.reduceat(np.minimum.reduceat(reach, starts, axis=0), starts, axis=1)
        np.fill_diagonal(between, np.inf)
        best = np.argsort(between, axis=1)[:, : min(near, len(members) - 1)]
        pairs |= {(min(a, int(b)), max(a, int(b))) for a, row in enumerate(best) for b in row}
    return sorted(pairs)


def _reach(vectors: NDArray[np.float32], core: NDArray[Any], one: Indices, two: Indices) -> NDArray[np.float32]:
    """Return mutual reachability between two sets of rows."""
    a, b = vectors[one], vectors[two]
    squares = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)[None] - 2 * (a @ b.T)
    reach = np.maximum(np.sqrt(np.maximum(squares, 0)), np.maximum(core[one][:, None], core[two][None]))
    return np.asarray(reach, dtype=np.float32)


def _facing(vectors: NDArray[np.float32], rows: Indices, target: NDArray[np.float32], samples: int) -> Indices:
    """Return the at most `samples` of `rows` that are closest to `target`."""
    if len(rows) <= samples:
        return rows
    squares = ((vectors[rows] - target) ** 2).sum(axis=1)
    return rows[np.argpartition(squares, samples)[:samples]]
