"""Hierarchies of density: spanning tree of the neighbour graph, single linkage, and its cut into clusters.

Flows in: neighbour edges with mutual reachability distances. Flows out: a `LinkageTree` that is kept, so that
cutting it again with another minimum size takes milliseconds at any number of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import StorageError
from engine.files import save_arrays
from engine.vectors import blocks

Indices = NDArray[np.int64]
_SMALLEST = 1e-6
REFINED = 200_000
CHUNK = 1_000_000


@dataclass(frozen=True)
class Cut:
    """One flat clustering of a tree.

    Attributes
    ----------
    labels : (n,) int32
        In falling size; -1 is noise.
    confidence : (n,) float32
        How deep inside its cluster each image is, in [0, 1]; 0 for noise.
    reach : (K,) float64
        The largest distance at which one of its images joined the cluster.
    """

    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    reach: NDArray[np.float64]


@dataclass(frozen=True)
class LinkageTree:
    """Single linkage of n images: n - 1 merges in rising distance, as SciPy writes them.

    Attributes
    ----------
    left, right : (n - 1,) int64
        What is merged: an image below n, else merge number + n.
    height : (n - 1,) float64
        At which distance.
    """

    left: Indices
    right: Indices
    height: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.left) + 1

    def save(self, path: Path) -> None:
        """Keep the tree as one .npz."""
        save_arrays(path, left=self.left, right=self.right, height=self.height)

    @classmethod
    def load(cls, path: Path) -> LinkageTree:
        """Open a kept tree.

        Raises
        ------
        StorageError
            Missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as kept:
                return cls(kept["left"], kept["right"], kept["height"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StorageError(f"{path} is not a kept tree.", "Run the clustering again.") from error

    def cut(self, min_cluster_size: int, *, method: Literal["eom", "leaf"] = "eom", epsilon: float = 0.0) -> Cut:
        """Condense the tree and choose clusters, as HDBSCAN* does.

        Parameters
        ----------
        min_cluster_size : int
            Smaller branches are images falling out of a cluster, not clusters.
        method : "eom" | "leaf"
            The most stable clusters, or the finest.
        epsilon : float
            Clusters that part below this distance stay together.

        Notes
        -----
        Every step is a whole-array operation: branches are followed to the cluster they belong to by
        pointer doubling, so only the choice among the few clusters is a loop.

        References
        ----------
        Campello, Moulavi and Sander, Density-based clustering based on hierarchical density estimates, 2013.
        Malzer and Baum, A hybrid approach to hierarchical density-based cluster selection, 2020.
        """
        count = len(self)
        nothing = Cut(np.full(count, -1, np.int32), np.zeros(count, np.float32), np.zeros(0))
        if count < 2 or count < min_cluster_size:
            return nothing
        nodes, root = 2 * count - 1, 2 * count - 2
        merge = np.arange(count - 1) + count
        parent = np.full(nodes, root, dtype=np.int64)
        parent[self.left] = merge
        parent[self.right] = merge
        size = self._sizes()
        density = np.full(nodes, np.inf)
        density[merge] = 1 / np.maximum(self.height, _SMALLEST)
        big = size >= min_cluster_size
        splits = merge[big[self.left] & big[self.right]]
        starts = np.zeros(nodes, dtype=bool)
        starts[root] = True
        starts[self.left[splits - count]] = True
        starts[self.right[splits - count]] = True
        cluster_of = _follow(np.where(starts, np.arange(nodes), parent))
        fell_at = _follow(np.where(big, np.arange(nodes), parent))[:count]
        own, depth = cluster_of[fell_at], density[fell_at]

        clusters = np.flatnonzero(starts)
        place = np.full(nodes, -1, dtype=np.int64)
        place[clusters] = np.arange(len(clusters))
        birth = np.where(clusters == root, 0.0, density[parent[clusters]])
        above = np.where(clusters == root, -1, place[cluster_of[parent[clusters]]])
        stability = np.bincount(place[own], depth - birth[place[own]], minlength=len(clusters))
        ending = place[cluster_of[splits]]
        stability[ending] += size[splits] * (density[splits] - birth[ending])
        deepest = np.zeros(len(clusters))
        np.maximum.at(deepest, place[own], depth)
        np.maximum.at(deepest, ending, density[splits])

        chosen = _choose(above, np.asarray(stability, dtype=np.float64), birth, method, epsilon)
        return _label(chosen, above, place[own], depth, deepest)

    def _sizes(self) -> Indices:
        """Return the number of images under each of the 2n - 1 nodes."""
        count = len(self)
        size = np.ones(2 * count - 1, dtype=np.int64)
        grown = size.tolist()
        for number, (a, b) in enumerate(zip(self.left.tolist(), self.right.tolist(), strict=True), start=count):
            grown[number] = grown[a] + grown[b]
        size[:] = grown
        return size


def _follow(pointer: Indices) -> Indices:
    """Return where each node's chain of pointers ends, by doubling."""
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer
        pointer = further


def _choose(
    above: Indices, stability: NDArray[np.float64], birth: NDArray[np.float64], method: str, epsilon: float
) -> NDArray[np.bool_]:
    """Return which condensed clusters are kept; children come before their parents, the root is never kept."""
    count = len(above)
    parents = above.tolist()
    chosen = [False] * count
    if method == "leaf":
        has_child = set(parents)
        chosen = [number not in has_child for number in range(count)]
    else:
        best = stability.tolist()
        below = [0.0] * count
        for number in range(count - 1):
            chosen[number] = below[number] <= best[number]
            below[parents[number]] += max(below[number], best[number])
    chosen[count - 1] = False
    if epsilon > 0:
        chosen = _merge_close(chosen, parents, birth.tolist(), epsilon)
    kept_above = [False] * count
    for number in range(count - 2, -1, -1):
        up = parents[number]
        kept_above[number] = kept_above[up] or chosen[up]
        chosen[number] = chosen[number] and not kept_above[number]
    return np.array(chosen)


def _merge_close(chosen: list[bool], parents: list[int], birth: list[float], epsilon: float) -> list[bool]:
    """Replace each kept cluster born below `epsilon` by its nearest ancestor born above it."""
    root = len(parents) - 1
    moved = [False] * len(parents)
    for number, kept in enumerate(chosen):
        if not kept:
            continue
        at = number
        while birth[at] > 0 and 1 / birth[at] < epsilon and parents[at] != root:
            at = parents[at]
        moved[at] = True
    return moved


def _label(
    chosen: NDArray[np.bool_],
    above: Indices,
    own: Indices,
    depth: NDArray[np.float64],
    deepest: NDArray[np.float64],
) -> Cut:
    """Give every image the kept cluster it lies in or below."""
    pointer = np.where(chosen | (above < 0), np.arange(len(above)), above)
    kept = _follow(pointer)
    at = kept[own]
    inside = chosen[at]
    counts = np.bincount(at[inside], minlength=len(above))
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    number = np.full(len(above), -1, dtype=np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    labels = np.where(inside, number[at], -1).astype(np.int32)
    confidence = np.where(inside, np.minimum(depth / np.maximum(deepest[at], 1e-300), 1), 0)
    shallowest = np.full(len(above), np.inf)
    np.minimum.at(shallowest, at, depth)
    reach = 1 / shallowest[order]
    return Cut(labels, confidence.astype(np.float32), reach)


def single_linkage(first: Indices, second: Indices, distance: NDArray[np.float64]) -> LinkageTree:
    """Return the tree of n - 1 spanning edges, merged in rising distance."""
    order = np.argsort(distance, kind="stable")
    count = len(distance) + 1
    parent = list(range(2 * count - 1))
    left, right = [0] * (count - 1), [0] * (count - 1)
    for number, (a, b) in enumerate(zip(first[order].tolist(), second[order].tolist(), strict=True)):
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        while parent[b] != b:
            parent[b] = b = parent[parent[b]]
        left[number], right[number] = a, b
        parent[a] = parent[b] = count + number
    return LinkageTree(np.array(left, dtype=np.int64), np.array(right, dtype=np.int64), distance[order])


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

    return coo_array((np.maximum(weight, _SMALLEST), (first, second)), shape=(count, count)).tocsr()


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
    matrix = csr_array((np.maximum(weight, _SMALLEST), high.astype(np.int32), pointer.astype(np.int32)), (count, count))
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
    means = _part_means(vectors, part, np.diff(bounds))
    found = []
    for a, b in _near_parts(vectors, members, means, core, near):
        one, two = _facing(vectors, members[a], means[b], samples), _facing(vectors, members[b], means[a], samples)
        reach = _reach(vectors, core, one, two)
        i, j = np.unravel_index(int(reach.argmin()), reach.shape)
        found.append((float(one[i]), float(two[j]), float(reach[i, j])))
    edges = np.array(found)
    return edges[:, 0].astype(np.int64), edges[:, 1].astype(np.int64), edges[:, 2]


def _part_means(vectors: NDArray[np.float32], part: NDArray[np.int32], counts: Indices) -> NDArray[np.float32]:
    """Return the mean row of each part, block by block."""
    from scipy.sparse import csr_array

    sums = np.zeros((len(counts), vectors.shape[1]))
    for rows in blocks(len(vectors)):
        own = part[rows]
        inside = np.flatnonzero(own >= 0)
        ones = np.ones(len(inside), dtype=np.float32)
        sums += csr_array((ones, (own[inside], inside)), shape=(len(counts), len(own))) @ vectors[rows]
    return np.asarray(sums / counts[:, None], dtype=np.float32)


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
