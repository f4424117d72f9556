"""Groups of images that show the same: equal pixels, the same picture in another file, or alike to an encoder.

Candidates come from equal hashes, from the nearest 64-bit hashes (FAISS) and from the shared neighbour graph, never
from all pairs. Groups are stars, not chains: each image of a group is itself near the one that is kept, so that A like
B and B like C does not put A and C together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.ids import Ids
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors, blocks
from engine.geometry.neighbors import NeighborGraph
from engine.images.looks import ALIKE, Looks, alike, look_hash, roughly_alike

LEVELS = ("identical", "same picture", "similar")
IDENTICAL, SAME, SIMILAR = range(3)
HASH_BITS = 10  # of 64, within which two pictures are compared
NEAREST = 16  # of hashes and of the graph, that are compared for each image
CHECK = 0.8  # cosine similarity below which two pictures are not the same, whatever their grey levels say


@dataclass(frozen=True)
class Duplicates:
    """Groups of duplicates, those of the strictest level first, then the largest.

    Attributes
    ----------
    kept : (g,) int64
        The image of each group that is kept.
    members : list of (m,) int64
        The others of each group, nearest first.
    levels : list of (m,) int8
        Index into `LEVELS`: how each of them is like the kept one.
    likeness : list of (m,) float32
        1 where the pixels are the same, the correlation of the looks, or the cosine similarity.
    """

    kept: NDArray[np.int64]
    members: list[NDArray[np.int64]]
    levels: list[NDArray[np.int8]]
    likeness: list[NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.kept)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of images, a < b, each once, with how and how far they are alike."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    level: NDArray[np.int8]
    likeness: NDArray[np.float32]


def find_duplicates(
    rank: NDArray[np.integer[Any]],
    *,
    level: str = "same picture",
    pixels: Ids | None = None,
    looks: Looks | None = None,
    graph: NeighborGraph | None = None,
    vectors: Vectors | None = None,
    similarity: float = 0.97,
    progress: Progress = SILENT,
) -> Duplicates:
    """Group images with those that show the same.

    Parameters
    ----------
    rank : (n,) int
        0 for the image that is kept before all others; see `engine.images.keeping.keep_order`.
    level : str
        How far to go: "identical", "same picture" or "similar"; each holds the ones before.
    pixels : (n,) S16, optional
        Hashes of the upright pixels; empty where unknown.
    looks : (n, 32, 32) uint8, optional
        See `engine.images.looks`.
    graph, vectors : optional
        Neighbour graph and unit vectors (n, d), zero where an image has none. Without them pictures with a part cut
        off are mostly not found, and nothing is "similar".
    similarity : float
        Cosine similarity from which two images are "similar".

    Returns
    -------
    Duplicates
        Every image is in one group at most; images without a duplicate are in none.

    Raises
    ------
    InputError
        A level that is not known, arrays of other lengths, or "similar" without embeddings.
    """
    n = len(rank)
    if level not in LEVELS:
        raise InputError(f"Duplicates can be {', '.join(LEVELS)}, not {level!r}.")
    if any(part is not None and len(part) != n for part in (pixels, looks, graph, vectors)):
        raise InputError(f"{n:,} images need as many hashes and embeddings.", "Read the images again.")
    wanted = LEVELS.index(level)
    if wanted == SIMILAR and graph is None:
        raise InputError("Similar images are found by their embeddings.", "Embed the images, or look for copies only.")
    kind = _equal(rank, pixels)
    heads = np.flatnonzero(kind == np.arange(n))
    pairs = []
    if wanted >= SAME and looks is not None and len(heads) > 1:
        pairs.append(_same_pictures(heads, looks, graph, vectors, progress))
    if wanted >= SIMILAR and graph is not None:
        pairs.append(_similar(kind, graph, similarity))
    return _stars(np.asarray(rank, np.int64), kind, _once(pairs))


def _equal(rank: NDArray[np.integer[Any]], pixels: Ids | None) -> NDArray[np.int64]:
    """Return (n,) for each image the best one with the same pixels, itself where there is no other."""
    n = len(rank)
    kind = np.arange(n)
    if pixels is None:
        return kind
    known = np.flatnonzero(pixels != b"")
    order = known[np.argsort(rank[known], kind="stable")]
    _, first, inverse = np.unique(pixels[order], return_index=True, return_inverse=True)
    kind[order] = order[first[inverse.reshape(-1)]]
    return kind


def _same_pictures(
    heads: NDArray[np.int64],
    looks: Looks,
    graph: NeighborGraph | None,
    vectors: Vectors | None,
    progress: Progress,
) -> _Pairs:
    """Return the pairs of images whose looks are alike, among those that hashes or embeddings bring together."""
    import faiss

    progress.update(0, 1, phase="Compare pictures", unit="pairs")
    hashes = look_hash(looks[heads])
    index = faiss.IndexBinaryFlat(64)
    index.add(hashes)
    k = min(NEAREST + 1, len(heads))
    distance, found = index.search(hashes, k)
    near = (distance <= HASH_BITS) & (found >= 0)
    candidates = [np.stack([np.nonzero(near)[0], found[near]])]
    if graph is not None:
        place = np.full(len(looks), -1, np.int64)
        place[heads] = np.arange(len(heads))
        first = graph.first(NEAREST)
        close = (first.similarities[heads] >= CHECK) & (place[first.indices[heads]] >= 0)
        candidates.append(np.stack([np.nonzero(close)[0], place[first.indices[heads][close]]]))
    pairs = np.sort(np.concatenate(candidates, axis=1), axis=0).astype(np.int64)
    codes = np.unique(pairs[0] * len(heads) + pairs[1])
    a, b = heads[codes // len(heads)], heads[codes % len(heads)]
    a, b = a[a != b], b[a != b]
    if vectors is not None and len(a):
        cosine = np.concatenate([np.einsum("ij,ij->i", vectors[a[part]], vectors[b[part]]) for part in blocks(len(a))])
        known = vectors[a].any(axis=1) & vectors[b].any(axis=1)
        a, b = a[~known | (cosine >= CHECK)], b[~known | (cosine >= CHECK)]
    rough = roughly_alike(looks, a, b)
    a, b = a[rough], b[rough]
    likeness = np.empty(len(a), np.float32)
    for part in blocks(len(a), 4096):
        likeness[part] = alike(looks[a[part]], looks[b[part]])
        progress.update(min(part.stop, len(a)), len(a), phase="Compare pictures", unit="pairs")
    kept = likeness >= ALIKE
    return _Pairs(a[kept], b[kept], np.full(int(kept.sum()), SAME, np.int8), likeness[kept])


def _similar(kind: NDArray[np.int64], graph: NeighborGraph, similarity: float) -> _Pairs:
    """Return the pairs of the graph that are at least so similar."""
    near = graph.similarities >= similarity
    a, b = kind[np.nonzero(near)[0]], kind[graph.indices[near]]
    low, high, value = np.minimum(a, b), np.maximum(a, b), graph.similarities[near]
    other = low != high
    count = int(other.sum())
    return _Pairs(low[other], high[other], np.full(count, SIMILAR, np.int8), value[other])


def _once(found: Sequence[_Pairs]) -> _Pairs:
    """Return every pair once, by its strictest level."""
    a = np.concatenate([np.empty(0, np.int64), *(pairs.a for pairs in found)])
    b = np.concatenate([np.empty(0, np.int64), *(pairs.b for pairs in found)])
    level = np.concatenate([np.empty(0, np.int8), *(pairs.level for pairs in found)])
    likeness = np.concatenate([np.empty(0, np.float32), *(pairs.likeness for pairs in found)])
    order = np.lexsort((-likeness, level, b, a))
    a, b, level, likeness = a[order], b[order], level[order], likeness[order]
    first = np.ones(len(a), bool)
    first[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return _Pairs(a[first], b[first], level[first], likeness[first])


def _stars(rank: NDArray[np.int64], kind: NDArray[np.int64], pairs: _Pairs) -> Duplicates:
    """Keep the best image that is free, with the free ones beside it, then the next; equal pixels go together."""
    one = np.concatenate([pairs.a, pairs.b])
    two = np.concatenate([pairs.b, pairs.a])
    order = np.lexsort((two, one))
    one, two = one[order], two[order]
    level, likeness = np.tile(pairs.level, 2)[order], np.tile(pairs.likeness, 2)[order]
    copies = np.argsort(kind, kind="stable")
    starts = np.searchsorted(kind[copies], np.arange(len(rank) + 1))
    edges = np.searchsorted(one, np.arange(len(rank) + 1))
    heads = np.flatnonzero((kind == np.arange(len(rank))) & ((np.diff(starts) > 1) | (np.diff(edges) > 0)))
    free = np.ones(len(rank), bool)
    kept, members, levels, values = [], [], [], []
    for head in heads[np.argsort(rank[heads], kind="stable")].tolist():
        if not free[head]:
            continue
        free[head] = False
        near = slice(edges[head], edges[head + 1])
        open_now = free[two[near]]
        beside = two[near][open_now]
        free[beside] = False
        own = copies[starts[head] : starts[head + 1]]
        own = own[own != head]
        groups = [copies[starts[other] : starts[other + 1]] for other in beside.tolist()]
        if not len(own) and not groups:
            continue
        sizes = [len(group) for group in groups]
        rows = np.concatenate([own, *groups])
        how = np.concatenate([np.full(len(own), IDENTICAL), np.repeat(level[near][open_now], sizes)]).astype(np.int8)
        value = np.concatenate([np.ones(len(own)), np.repeat(likeness[near][open_now], sizes)]).astype(np.float32)
        nearest = np.lexsort((rank[rows], -value, how))
        kept.append(head)
        members.append(rows[nearest].astype(np.int64))
        levels.append(how[nearest])
        values.append(value[nearest])
    shown = sorted(range(len(kept)), key=lambda at: (int(levels[at].max()), -len(members[at]), kept[at]))
    return Duplicates(
        np.array([kept[at] for at in shown], np.int64),
        [members[at] for at in shown],
        [levels[at] for at in shown],
        [values[at] for at in shown],
    )
