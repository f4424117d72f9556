"""Hierarchies of density: single linkage and its cut into clusters.

Flows in: the edges of a spanning tree. Flows out: a `LinkageTree` that is kept, so that
cutting it again with another minimum size takes milliseconds at any number of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import StorageError
from engine.core.files import load_arrays, save_arrays
from engine.core.labels import rank_by_size

Indices = NDArray[np.int64]
SMALLEST = 1e-6
GIVES_WAY = 0.5


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
        kept = load_arrays(path, hint="Run the clustering again.")
        try:
            return cls(kept["left"], kept["right"], kept["height"])
        except (ValueError, KeyError) as error:
            raise StorageError(f"{path} is not a kept tree.", "Run the clustering again.") from error

    def cut(
        self,
        min_cluster_size: int,
        *,
        method: Literal["eom", "leaf"] = "eom",
        epsilon: float = 0.0,
        largest: float = 1.0,
    ) -> Cut:
        """Condense the tree and choose clusters, as HDBSCAN* does.

        Parameters
        ----------
        min_cluster_size : int
            Smaller branches are images falling out of a cluster, not clusters.
        method : "eom" | "leaf"
            The most stable clusters, or the finest.
        epsilon : float
            Clusters that part below this distance stay together.
        largest : float
            With "eom", a cluster of more than this share of the images gives way to its parts when these are
            together at least `GIVES_WAY` times as stable; 1 never does, as in the paper.

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
        density[merge] = 1 / np.maximum(self.height, SMALLEST)
        big = size >= min_cluster_size
        splits = merge[big[self.left] & big[self.right]]
        starts = np.zeros(nodes, dtype=bool)
        starts[root] = True
        starts[self.left[splits - count]] = True
        starts[self.right[splits - count]] = True
        cluster_of = follow(np.where(starts, np.arange(nodes), parent))
        fell_at = follow(np.where(big, np.arange(nodes), parent))[:count]
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

        if method == "leaf":
            chosen = ~np.isin(np.arange(len(clusters)), above)
        else:
            chosen = _most_stable(above, np.asarray(stability, dtype=np.float64), size[clusters] > largest * count)
        chosen = _separate(chosen, above, birth, epsilon)
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


def follow(pointer: Indices) -> Indices:
    """Return where each node's chain of pointers ends, by doubling."""
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer
        pointer = further


def _most_stable(above: Indices, stability: NDArray[np.float64], large: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which condensed clusters are more stable than all that lies below them; the root never is.

    Children come before their parents. A `large` one must be clearly more stable.
    """
    parents, own = above.tolist(), stability.tolist()
    needed = np.where(large, GIVES_WAY, 1.0).tolist()
    chosen, below = [False] * len(own), [0.0] * len(own)
    for number in range(len(own) - 1):
        chosen[number] = below[number] <= needed[number] * own[number]
        below[parents[number]] += own[number] if chosen[number] else below[number]
    return np.array(chosen)


def _separate(
    chosen: NDArray[np.bool_], above: Indices, birth: NDArray[np.float64], epsilon: float
) -> NDArray[np.bool_]:
    """Return the kept clusters, those below another kept one left out and those closer than `epsilon` joined."""
    parents, kept = above.tolist(), chosen.tolist()
    kept[-1] = False
    if epsilon > 0:
        kept = _merge_close(kept, parents, birth.tolist(), epsilon)
    kept_above = [False] * len(kept)
    for number in range(len(kept) - 2, -1, -1):
        up = parents[number]
        kept_above[number] = kept_above[up] or kept[up]
        kept[number] = kept[number] and not kept_above[number]
    return np.array(kept)


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
    kept = follow(pointer)
    at = kept[own]
    inside = chosen[at]
    kept_clusters, codes = np.unique(at[inside], return_inverse=True)
    rank = rank_by_size(codes)
    labels = np.full(len(at), -1, dtype=np.int32)
    labels[inside] = rank[codes]
    confidence = np.where(inside, np.minimum(depth / np.maximum(deepest[at], 1e-300), 1), 0)
    shallowest = np.full(len(above), np.inf)
    np.minimum.at(shallowest, at, depth)
    reach = 1 / shallowest[kept_clusters[np.argsort(rank)]]
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
