"""Labels spread over the neighbour graph, with a confidence, and the queue of what a person should look at first.

From an image walk to neighbours at random until a labelled image is met or the walk gives up: the chance of ending at
a label is its confidence (Zhu and Ghahramani 2002, the harmonic solution, with a walk that may stop). A label that was
only presumed, as the name of a cluster is for each of its images, ends some of the walks that come by and never decides
about its own image: so labels given to single images spread through named clusters, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.geometry.neighbors import NeighborGraph

CHUNK = 32


class PropagationSettings(Settings):
    """How far labels spread."""

    reach: float = setting(
        0.9,
        "Chance that a walk goes on at each step; higher reaches farther from the labelled images.",
        ge=0.1,
        le=0.999,
    )
    n_neighbors: int = setting(15, "Neighbours of each image that a walk may go to.", ge=1, le=64)
    trust: float = setting(
        0.3,
        "Chance that a walk ends at an image whose label is only presumed: the name of its cluster.",
        ge=0.0,
        le=1.0,
    )
    tolerance: float = setting(1e-4, "Stop when no chance changes by more.", ge=1e-8, le=0.1, log=True, advanced=True)


@dataclass(frozen=True)
class Propagated:
    """Labels for every image.

    Attributes
    ----------
    labels : (n,) int32
        Most likely label; the given one where one was given; -1 where no walk meets a label.
    confidence : (n,) float32
        Chance of ending there, in [0, 1]; 1 for given labels.
    margin : (n,) float32
        Lead over the second label.
    given : (n,) bool
        Where the label was given.
    """

    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]
    given: NDArray[np.bool_]

    def queue(self, *, limit: int | None = None) -> NDArray[np.int64]:
        """Return the images with a proposed label, least certain first: smallest margin, then lowest confidence."""
        rows = np.flatnonzero(~self.given & (self.labels >= 0))
        order = rows[np.lexsort((self.confidence[rows], self.margin[rows]))]
        return order[:limit]


def propagate(
    graph: NeighborGraph,
    labels: NDArray[np.integer[Any]],
    *,
    presumed: NDArray[np.integer[Any]] | None = None,
    settings: PropagationSettings | None = None,
    progress: Progress = SILENT,
) -> Propagated:
    """Spread labels from the images that have one.

    Parameters
    ----------
    graph : NeighborGraph
        Of n images.
    labels : (n,) int
        0..C-1, -1 for unknown.
    presumed : (n,) int, optional
        Labels that are likely and not known, -1 for none; not looked at where a label is given.
    settings : PropagationSettings, optional

    Raises
    ------
    InputError
        Different lengths, or no label at all.

    Notes
    -----
    P is the row-normalised symmetric graph with weights exp(-d_ij^2 / (s_i s_j)), d the distance between unit vectors
    and s_i that to the 7th neighbour (Zelnik-Manor and Perona 2004). F = reach P F where nothing is given, F = Y where
    it is; iterated label by label in chunks, so memory does not grow with the number of labels. Where a label Z is
    presumed, a neighbour sees trust Z + (1 - trust) F in the place of F.
    """
    chosen = settings or PropagationSettings()
    seeds = np.asarray(labels, np.int64)
    if len(seeds) != len(graph):
        raise InputError(f"{len(graph):,} images need as many labels, not {len(seeds):,}.")
    given = seeds >= 0
    likely = np.full(len(seeds), -1) if presumed is None else np.where(given, -1, presumed)
    if not (given.any() or (likely >= 0).any()):
        raise InputError("No image has a label yet, so nothing can spread.", "Label a few images or name a cluster.")
    walk = walk_matrix(graph, chosen.n_neighbors)
    inner = walk[~given] * chosen.reach
    ends = np.where(given, seeds, likely)  # where walks end, always or sometimes
    classes = np.unique(ends[ends >= 0])
    n_open = int(np.count_nonzero(~given))
    best = np.zeros(n_open, np.float32)
    second = np.zeros(n_open, np.float32)
    label = np.full(n_open, -1, np.int32)
    weight = np.where(given, 1.0, np.where(likely >= 0, chosen.trust, 0.0)).astype(np.float32)
    among, towards = (
        (inner[:, ~given] * (1 - weight[~given])).tocsr(),
        (inner[:, weight > 0] * weight[weight > 0]).tocsr(),
    )
    for start in range(0, len(classes), CHUNK):
        part = classes[start : start + CHUNK]
        entry = towards @ (ends[weight > 0][:, None] == part[None]).astype(np.float32)
        chance = _solve(among, entry, chosen)
        order = np.argsort(-chance, axis=1, kind="stable")
        first = chance[np.arange(n_open), order[:, 0]]
        other = chance[np.arange(n_open), order[:, 1]] if chance.shape[1] > 1 else np.zeros(n_open, np.float32)
        wins = first > best
        second = np.where(wins, np.maximum(best, other), np.maximum(second, first))
        label = np.where(wins, part[order[:, 0]].astype(np.int32), label)
        best = np.maximum(best, first)
        progress.update(min(start + CHUNK, len(classes)), len(classes), phase="Spread labels", unit="labels")
    found = seeds.astype(np.int32)
    confidence, margin = np.ones(len(seeds), np.float32), np.ones(len(seeds), np.float32)
    found[~given], confidence[~given] = label, best
    margin[~given] = best - second
    return Propagated(found, confidence, margin, given)


def _solve(among: Any, entry: NDArray[np.float32], settings: PropagationSettings) -> NDArray[np.float32]:  # noqa: ANN401
    """Return F of F = among F + entry; each step shrinks the error by `reach` at least."""
    chance = entry
    bound = settings.tolerance * (1 - settings.reach)
    for _ in range(10_000):
        following = among @ chance + entry
        change = float(np.abs(following - chance).max(initial=0))
        chance = following
        if change <= bound:
            break
    return np.clip(chance, 0, 1)


def walk_matrix(graph: NeighborGraph, n_neighbors: int) -> Any:  # noqa: ANN401 - a SciPy sparse array
    """Return the (n, n) row-stochastic CSR matrix of the walk; a row without neighbours is empty."""
    from scipy.sparse import csr_array

    k = min(n_neighbors, graph.k)
    n = len(graph)
    distance = np.sqrt(np.clip(2 - 2 * graph.similarities[:, :k].astype(np.float32), 0, None))
    scale = np.maximum(distance[:, min(6, k - 1)], 1e-6)
    indices = graph.indices[:, :k]
    known = indices >= 0
    weights = np.exp(-np.square(distance) / (scale[:, None] * scale[np.maximum(indices, 0)])) * known
    ends = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    one_way = csr_array((weights[known], indices[known].astype(np.int64), ends), shape=(n, n), dtype=np.float32)
    both = one_way.maximum(one_way.T).tocsr()
    total = np.asarray(both.sum(axis=1)).reshape(-1)
    both.data /= np.repeat(np.maximum(total, np.finfo(np.float32).tiny), np.diff(both.indptr))
    return both
