"""Several clusterings of the same images at once: what they keep together, what they dispute, and one out of all.

In flow label columns over the same rows and the shared neighbour graph. `consensus` says how disputed the surroundings
of each image are, which groups every run keeps whole and how alike the runs are. `combine` makes one clustering by a
weighted vote. The runs may differ in their number of clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.labels import Labels, by_size, compact, rank_by_size
from engine.core.vectors import blocks
from engine.evaluation.agreement import ari_between, nmi
from engine.geometry.neighbors import NeighborGraph

NAME = "consensus"
"""What boards and runs call a clustering that was combined out of others."""
SETTLED = 0.1
REFERENCES = 4  # members that the vote is begun from, the heaviest first
ROUNDS = 50
SHARPNESS = 4  # power of the generalisation score that is a member's weight


@dataclass(frozen=True)
class Consensus:
    """What several runs have in common.

    Attributes
    ----------
    disputed : (n,) float32
        Share of the (pair of runs, near neighbour) in which one run puts the neighbour into the image's cluster and
        the other does not: 0 where all runs see the same surroundings, in [0, 1].
    groups : (n,) int32
        The settled core: images that every run keeps together, 0 the largest group; -1 for the contested border,
        which is what is disputed, what some run set aside, and what is together with no other settled image.
    agreement : (R, R) float64
        Adjusted Rand index between the runs, noise counted as a cluster.
    """

    disputed: NDArray[np.float32]
    groups: NDArray[np.int32]
    agreement: NDArray[np.float64]

    @property
    def settled_share(self) -> float:
        """Share of the images in the settled core."""
        return float(np.mean(self.groups >= 0)) if len(self.groups) else 0.0

    @property
    def likeness(self) -> NDArray[np.float64]:
        """Mean agreement of each run with the others, (R,)."""
        runs = len(self.agreement)
        mean: NDArray[np.float64] = (self.agreement.sum(axis=1) - 1) / (runs - 1)
        return mean

    def border(self) -> NDArray[np.int64]:
        """Return the rows of the contested border, the most disputed first."""
        rows = np.flatnonzero(self.groups < 0)
        return rows[np.argsort(-self.disputed[rows], kind="stable")]


def consensus(
    labels: Sequence[NDArray[np.integer[Any]]], graph: NeighborGraph, *, k: int = 10, settled: float = SETTLED
) -> Consensus:
    """Compare runs over the same images.

    Parameters
    ----------
    labels : R sequences of (n,) int
        -1 is noise: it shares a cluster with nothing.
    graph : NeighborGraph
        Of these n images.
    k : int
        Near neighbours that make an image's surroundings.
    settled : float
        An image disputed at most so much belongs to the core.

    Raises
    ------
    InputError
        Fewer than two runs, or of different lengths.
    """
    if len(labels) < 2:
        raise InputError("A consensus needs at least two runs.", "Choose another run.")
    if {len(column) for column in labels} != {len(graph)}:
        raise InputError("The runs are over different images.", "Choose runs on the same images.")
    columns = np.stack([np.asarray(column) for column in labels])
    disputed = _disputed(columns, graph.indices[:, :k])
    inside = (columns >= 0).all(axis=0) & (disputed <= settled)
    groups = np.full(columns.shape[1], -1, np.int32)
    groups[inside] = by_size(np.unique(columns[:, inside], axis=1, return_inverse=True)[1].reshape(-1))
    alone = np.bincount(groups[inside]) < 2 if inside.any() else np.empty(0, bool)
    groups[inside & np.append(alone, False)[groups]] = -1
    agreement = np.eye(len(columns))
    for one, two in combinations(range(len(columns)), 2):
        agreement[one, two] = agreement[two, one] = ari_between(columns[one], columns[two])
    return Consensus(disputed, groups, agreement)


def _disputed(columns: NDArray[Any], near: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return (n,) mean shares of the pairs of runs that differ on whether a neighbour is in the same cluster."""
    runs = len(columns)
    together = np.zeros(near.shape, np.int32)
    for column in columns:
        together += (column[near] == column[:, None]) & (column >= 0)[:, None]
    if not near.shape[1]:
        return np.zeros(len(near), np.float32)
    differing: NDArray[np.float32] = (together * (runs - together)).mean(axis=1, dtype=np.float64).astype(np.float32)
    return differing / np.float32(runs * (runs - 1) / 2)


# ------------------------------------------------------------------------------------- one out of many


@dataclass(frozen=True)
class Combined:
    """One clustering out of several.

    Attributes
    ----------
    labels : (n,) int32
        0 is the largest cluster; -1 where every member calls the image noise.
    confidence : (n,) float32
        Share of the members' weight that votes for the image's cluster, in [0, 1]; noise votes for nothing.
    reference : int
        Number of the member that the vote began from.
    likeness : float
        Weighted mean NMI with the members.
    """

    labels: Labels
    confidence: NDArray[np.float32]
    reference: int
    likeness: float


def vote_weights(generalisation: Sequence[float | None]) -> list[float]:
    """Return the weight of each member in a vote, from how well a classifier learns it; equal where one is unknown."""
    known = [max(score, 0.0) ** SHARPNESS for score in generalisation if score is not None]
    return known if len(known) == len(generalisation) and sum(known) > 0 else [1.0] * len(generalisation)


def combine(
    members: Sequence[NDArray[np.integer[Any]]],
    *,
    weights: Sequence[float] | None = None,
    n_clusters: int | None = None,
    graph: NeighborGraph | None = None,
    k: int = 10,
) -> Combined:
    """Make one clustering out of several by a weighted vote.

    The vote begins from one member. Members with as many clusters are matched to it cluster by cluster (the Hungarian
    assignment on the contingency) and vote for their match; where votes are equal, an image stays. A member with
    another number of clusters votes, for each image, for the clusters of those near neighbours that it keeps together
    with the image. The winners are the next reference, until nothing changes. Of all members to begin from, the one
    whose result is most alike to all is taken.

    Parameters
    ----------
    members : M sequences of (n,) int
        -1 is noise, which abstains.
    weights : M floats, optional
        Not negative; equal when absent.
    n_clusters : int, optional
        K, which some member must have; any member's when absent.
    graph : NeighborGraph, optional
        Of these n images; needed where the members' numbers of clusters differ.
    k : int
        Near neighbours that are asked.

    Returns
    -------
    Combined
        Of K clusters at most. Memory grows with n M and n k.

    Raises
    ------
    InputError
        Fewer than two members, of different lengths; no weight; no member of K clusters; no graph where one is needed.

    References
    ----------
    Strehl and Ghosh, Cluster ensembles: a knowledge reuse framework for combining multiple partitions, 2002 (the mean
    NMI that chooses).
    Dimitriadou, Weingessel and Hornik, A combination scheme for fuzzy clustering, 2002 (voting with matching).
    """
    if len(members) < 2:
        raise InputError("A consensus needs at least two clusterings.", "Choose another run.")
    if len({len(member) for member in members}) != 1:
        raise InputError("The clusterings are of different images.", "Choose runs on the same images.")
    columns = [compact(member) for member in members]
    counts = [int(column.max(initial=-1)) + 1 for column in columns]
    weight = np.ones(len(columns)) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != (len(columns),) or not np.all(weight >= 0) or weight.sum() <= 0:
        raise InputError("The weights must be one number for each clustering, none negative and not all zero.")
    weight = weight / weight.sum()
    starts = [at for at, count in enumerate(counts) if count > 0 and n_clusters in (None, count) and weight[at] > 0]
    if not starts:
        raise InputError(
            f"None of these clusterings has {n_clusters:,} clusters." if n_clusters else "All of them are noise.",
            f"They have {', '.join(f'{count:,}' for count in sorted(set(counts)))}.",
        )
    if graph is None and len(set(counts)) > 1:
        raise InputError("Clusterings into different numbers of clusters are combined along the neighbour graph.")
    near = None if graph is None else np.asarray(graph.indices[:, :k])
    best: Combined | None = None
    for start in sorted(starts, key=lambda at: -weight[at])[:REFERENCES]:
        labels, confidence = _vote(columns, counts, weight, _by_appearance(columns[start]), counts[start], near)
        alike = float(sum(share * nmi(column, labels) for share, column in zip(weight, columns, strict=True)))
        if best is None or alike > best.likeness + 1e-12:
            best = Combined(labels, confidence, start, alike)
    assert best is not None
    place = np.append(rank_by_size(best.labels), np.int32(-1))
    return Combined(place[best.labels], best.confidence, best.reference, best.likeness)


def _vote(
    columns: Sequence[Labels],
    counts: Sequence[int],
    weight: NDArray[np.float64],
    reference: Labels,
    n_clusters: int,
    near: NDArray[np.int32] | None,
) -> tuple[Labels, NDArray[np.float32]]:
    """Vote from a reference of `n_clusters` until nothing changes; return the winners and their share of the weight."""
    count = len(reference)
    confidence = np.zeros(count, np.float32)
    for _ in range(ROUNDS):
        matched = [
            _matched(column, reference, n_clusters) if own == n_clusters else None
            for column, own in zip(columns, counts, strict=True)
        ]
        winners = np.full(count, -1, np.int32)
        for rows in blocks(count):
            votes = np.zeros((rows.stop - rows.start, n_clusters))
            for column, own, share in zip(columns, matched, weight.tolist(), strict=True):
                if own is not None:
                    voting = np.flatnonzero(own[rows] >= 0)
                    votes[voting, own[rows][voting]] += share
                elif near is not None:
                    _vote_by_neighbors(votes, column, reference, near[rows], rows, share)
            line, before = np.arange(len(votes)), reference[rows]
            top, most = votes.argmax(axis=1), votes.max(axis=1)
            top = np.where((before >= 0) & (votes[line, before] >= most - 1e-9), before, top)
            confidence[rows] = most
            winners[rows] = np.where(most > 0, top, -1)
        settled = np.array_equal(winners, reference)
        reference = winners
        if settled:
            break
    return reference, np.clip(confidence, 0, 1)


def _by_appearance(labels: Labels) -> Labels:
    """Return the labels numbered as they first come, so that their own numbers decide nothing."""
    kept, first = np.unique(labels[labels >= 0], return_index=True)
    place = np.empty(len(kept) + 1, np.int32)
    place[np.argsort(first)] = np.arange(len(kept), dtype=np.int32)
    place[-1] = -1
    return place[labels]


def _matched(column: Labels, reference: Labels, n_clusters: int) -> Labels:
    """Return the column with its K clusters renamed to those of the reference that they share most images with."""
    from scipy.optimize import linear_sum_assignment

    both = (column >= 0) & (reference >= 0)
    pairs = column[both].astype(np.int64) * n_clusters + reference[both]
    table = np.bincount(pairs, minlength=n_clusters**2).reshape(n_clusters, n_clusters)
    name: Labels = linear_sum_assignment(table, maximize=True)[1].astype(np.int32)
    return np.append(name, np.int32(-1))[column]


def _vote_by_neighbors(
    votes: NDArray[np.float64],
    column: Labels,
    reference: Labels,
    near: NDArray[np.int32],
    rows: slice,
    share: float,
) -> None:
    """Add a member's vote for the clusters of the neighbours that it keeps together with each row, in place."""
    own = column[rows]
    together = (column[near] == own[:, None]) & (own >= 0)[:, None] & (reference[near] >= 0)
    line, at = np.nonzero(together)
    each = share / together.sum(axis=1)[line]
    places = line * votes.shape[1] + reference[near[line, at]]
    votes += np.bincount(places, weights=each, minlength=votes.size).reshape(votes.shape)
