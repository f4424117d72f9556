"""What to do next on Label: each possible action with the right labels that it is expected to add, and its clicks.

One model serves the page and the simulated annotator (`engine.labels.simulate`). A label is right with a chance that
depends on who said it: a person who looked at the image, an accepted guess with its probability, a cluster's name with
the purity of the cluster. That purity is a beta distribution: its mean follows from how far the cluster lies from the
next one, and what a person said of images of the cluster, or saw of them, moves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import Vectors, unit
from engine.geometry.prototypes import Prototypes
from engine.labels.around import twins_of
from engine.labels.proposals import Proposals
from engine.labels.sequential import best_page
from engine.labels.state import ACCEPTED_GUESS, CLUSTER_NAME, NO_LABEL, PERSONAL, LabelState

Kind = Literal["name", "validate", "grow", "merge", "split", "audit", "review", "accept"]
Rows = NDArray[np.int64]

TARGET = 0.95  # precision that labels shall have
BY_PERSON = 0.99  # chance that a label is right which a person gave to the very image
SAMPLED = 4096  # images looked at for the separation of all clusters
CONSIDERED = 40  # clusters of each kind that are weighed: the largest
PRIOR = 8.0  # images that the separation of a cluster counts for
# Mean purity of a cluster by its separation, fitted on 1,800 clusters of the sets in docs/figures.md, and the share of
# the twins that hold the same thing (benchmarks/twin_quality.py).
PURITY_SLOPE, PURITY_INTERCEPT = 3.14, 0.26
TWIN_SAME = 0.6
PROPOSED_RIGHT = 0.65  # share of the proposals that were right when labels of named clusters first spread over digits
SPLIT_GAIN = 0.2  # share of the wrong images that two parts sort out, measured on mixed clusters of the same sets
FIRST_PURE = 0.9  # the same while nothing has a label
LEAST_PURE = 0.7  # a cluster of lower purity is not named without ticking what is odd
MARGIN = 0.005  # precision kept above the target, since it is only estimated
ODD_LABELS = 3.0  # labels that odd images get, each by one press or a few
AUDITED = 59


@dataclass(frozen=True)
class Move:
    """One thing to do.

    Attributes
    ----------
    kind : str
        "name", "validate", "grow", "merge", "split", "audit", "review" (a proposed label, looked at) or "accept"
        (proposals that are sure enough, without a look).
    cluster : int
        The cluster it is about, -1 for proposals.
    other : int
        The twin, or into how many parts.
    label : str
        The proposed label.
    images : int
        How many images it is about.
    gain : float
        Right labels that it is expected to add, corrections included.
    clicks : float
        Expected presses, by the cost of `engine.labels.simulate.costs`.
    """

    kind: Kind
    cluster: int = -1
    other: int = -1
    label: str = ""
    images: int = 0
    gain: float = 0.0
    clicks: float = 1.0

    @property
    def rate(self) -> float:
        """Right labels per click."""
        return self.gain / self.clicks


@dataclass(frozen=True)
class Looked:
    """What a person saw of a cluster without saying it by an action: images of its commonest kind, and others."""

    right: int
    wrong: int


@dataclass(frozen=True)
class Evidence:
    """How likely the labels of a state are right.

    Attributes
    ----------
    state : LabelState
    prototypes : Prototypes
        Of its clusters.
    purity : (K,) float64
        Expected share of each cluster's commonest class among the images that nobody looked at, in [0, 1], in the
        order of `state.clusters`.
    unseen : (K,) int64
        Images of each cluster that nobody looked at.
    chance : (n,) float64
        Chance that each label is right; 0 without a label.
    """

    state: LabelState
    prototypes: Prototypes
    purity: NDArray[np.float64]
    unseen: NDArray[np.int64]
    chance: NDArray[np.float64]

    @cached_property
    def labelled(self) -> int:
        """How many images have a label."""
        return int(np.count_nonzero(self.state.codes >= 0))

    @cached_property
    def right(self) -> float:
        """How many labels are expected to be right."""
        return float(self.chance.sum())


def separation(vectors: Vectors, found: Prototypes, cluster: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return (K,) the mean simplified silhouette of each cluster, on a sample of its images.

    With a the distance (1 - cosine) of an image to its own centre and b that to the nearest other one, it is the mean
    of (b - a) / max(a, b), in [-1, 1]; 0 for a cluster that stands alone, which nothing is known of.

    Parameters
    ----------
    vectors : (n, d) float32
    found : Prototypes
        Of K clusters.
    cluster : (n,) int32
        The cluster of each image, -1 for none.
    """
    count = len(found.clusters)
    if count < 2:
        return np.zeros(count)
    each = max(1, SAMPLED // count)
    inside = np.flatnonzero(cluster >= 0)
    places = np.zeros(int(found.clusters[-1]) + 1, np.uint16 if count <= 65_536 else np.int64)  # short: sorts faster
    places[found.clusters] = np.arange(count)
    place = places[cluster[inside]]
    order = np.argsort(place, kind="stable")
    sizes = np.bincount(place, minlength=count)
    taken = np.minimum(sizes, each)  # of each cluster so many, evenly over its images
    own = np.repeat(np.arange(count), taken)
    turn = np.arange(len(own)) - np.repeat(np.cumsum(taken) - taken, taken)
    step = (sizes - 1) / np.maximum(taken - 1, 1)
    rows = inside[order[(np.cumsum(sizes) - sizes)[own] + (turn * step[own]).astype(np.int64)]]
    near = unit(np.asarray(vectors[rows], np.float32)) @ found.centers.T
    a = 1 - near[np.arange(len(rows)), own]
    near[np.arange(len(rows)), own] = -np.inf
    b = 1 - near.max(axis=1)
    lead = (b - a) / np.maximum(np.maximum(a, b), 1e-9)
    values = np.bincount(own, lead, minlength=count) / np.bincount(own, minlength=count)
    return np.asarray(values, np.float64)


def weigh(
    state: LabelState,
    found: Prototypes,
    separated: NDArray[np.float64],
    *,
    looked: Mapping[int, Looked] | None = None,
) -> Evidence:
    """Work out how likely each cluster is one thing and each label right.

    Parameters
    ----------
    state : LabelState
    found : Prototypes
        Of the clusters of `state`.
    separated : (K,) float64
        From `separation`.
    looked : mapping of cluster to Looked, optional
        What a person saw and did not say by an action.
    """
    clusters = state.clusters
    ids = np.array([one.id for one in clusters], np.int64)
    mean = _logistic(PURITY_SLOPE * separated + PURITY_INTERCEPT)
    a, b = PRIOR * mean, PRIOR * (1 - mean)
    mine = np.isin(state.source, PERSONAL) & (state.cluster >= 0)
    place = np.full(int(state.cluster.max(initial=-1)) + 2, -1)
    place[ids] = np.arange(len(ids))
    said = np.flatnonzero(mine & (state.given >= 0))
    n_labels = max(len(state.label_names), 1)
    pairs, counts = np.unique(place[state.cluster[said]] * n_labels + state.given[said], return_counts=True)
    codes = {name: code for code, name in enumerate(state.label_names)}
    names = [codes.get(one.name, -1) if one.name is not None else -1 for one in clusters]
    total, best = np.zeros(len(ids)), np.zeros(len(ids))
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        at, code = divmod(pair, n_labels)
        total[at] += count
        if names[at] < 0 or names[at] == code:
            best[at] = max(best[at], count)
    a, b = a + best, b + total - best
    for cluster, seen in (looked or {}).items():
        at = place[cluster] if cluster < len(place) else -1
        if at >= 0:
            a[at], b[at] = a[at] + seen.right, b[at] + seen.wrong
    purity = a / (a + b)
    unseen = np.array([one.size for one in clusters], np.int64) - np.bincount(
        place[state.cluster[mine]], minlength=len(ids)
    )
    of_cluster = np.zeros(len(place))
    of_cluster[ids] = purity
    chance = np.zeros(len(state))
    by_name = state.source == CLUSTER_NAME
    proven = np.nan_to_num(state.bound[by_name])
    chance[by_name] = np.maximum(np.where(state.cluster[by_name] >= 0, of_cluster[state.cluster[by_name]], 0.5), proven)
    guessed = state.source == ACCEPTED_GUESS
    chance[guessed] = np.nan_to_num(state.probability[guessed], nan=0.5)
    chance[np.isin(state.source, PERSONAL) & (state.codes >= 0)] = BY_PERSON
    return Evidence(state, found, purity, unseen, chance)


def next_actions(
    seen: Evidence,
    *,
    shown: int | None = None,
    proposals: Proposals | None = None,
    surer: float = 0.0,
    near: Mapping[int, Rows] | None = None,
) -> list[Move]:
    """Return what can be done, the most right labels per click first.

    Parameters
    ----------
    seen : Evidence
    shown : int, optional
        The cluster that is open: every other one costs a click more.
    proposals : Proposals, optional
        What Review offers; None where the labels have not been spread as they are now.
    surer : float
        Log odds that are added to the chance of each proposal, from what came out of earlier ones.
    near : mapping of cluster to (m,) int64, optional
        The images that could join a cluster, nearest first, where they are known.
    """
    moves = [*_of_clusters(seen), *_growing(seen, near or {})]
    moves = [replace(move, clicks=move.clicks + (move.cluster != shown)) for move in moves]
    if proposals is not None:
        moves += _of_proposals(seen, proposals, surer) if len(proposals) else []
    elif 0 < seen.labelled < len(seen.state):
        left = len(seen.state) - seen.labelled
        wrong = (1 - PROPOSED_RIGHT) * left
        moves.append(Move("review", images=left, gain=left, clicks=5 + wrong + min(wrong, ODD_LABELS)))
    return sorted((move for move in moves if move.gain > 0), key=lambda move: -move.rate)


def _of_clusters(seen: Evidence) -> list[Move]:
    """Weigh naming, validating, splitting, merging and auditing of the largest clusters."""
    state, moves = seen.state, []
    unnamed = [at for at, one in enumerate(state.clusters) if one.name is None and seen.unseen[at] > 0]
    unnamed = sorted(unnamed, key=lambda at: -seen.unseen[at])[:CONSIDERED]
    named = [at for at, one in enumerate(state.clusters) if one.name is not None and seen.unseen[at] > 0]
    twins = twins_of(state, seen.prototypes, [state.clusters[at] for at in unnamed])
    for at in unnamed:
        one, purity, size = state.clusters[at], float(seen.purity[at]), int(seen.unseen[at])
        wrong = (1 - purity) * size
        if may_name(seen, at):
            moves.append(Move("name", one.id, images=size, gain=purity * size, clicks=2))
        ticking = 5 + wrong + min(wrong, ODD_LABELS)
        moves.append(Move("validate", one.id, images=size, gain=size, clicks=ticking))
        left = (1 - SPLIT_GAIN) * wrong
        if size > 3:
            clicks = 4 + 2 * 5 + left + min(left, 2 * ODD_LABELS)
            moves.append(Move("split", one.id, 2, images=size, gain=size, clicks=clicks))
        other = twins.get(one.id, (-1, 0.0))[0]
        known = state.find(other)
        if known is not None and known.name is not None and may_name(seen, at):
            moves.append(Move("merge", one.id, other, images=size, gain=TWIN_SAME * purity * size, clicks=1))
    for at in sorted(named, key=lambda at: -(1 - seen.purity[at]) * seen.unseen[at])[:CONSIDERED]:
        one, purity, size = state.clusters[at], float(seen.purity[at]), int(seen.unseen[at])
        wrong = (1 - purity) * size
        moves.append(Move("validate", one.id, images=size, gain=wrong, clicks=3 + wrong + min(wrong, ODD_LABELS)))
        rows = state.rows(one.id)
        if not np.isfinite(state.bound[rows]).any():
            checked = min(AUDITED, size)
            found = checked * (1 - purity)
            moves.append(Move("audit", one.id, images=checked, gain=found, clicks=2 + found + min(found, ODD_LABELS)))
    return moves


def may_name(seen: Evidence, at: int) -> bool:
    """Return whether a cluster can get a name, the odd ones in it too, while the expected precision holds.

    Parameters
    ----------
    seen : Evidence
    at : int
        The cluster's place in `state.clusters`.
    """
    size, purity = int(seen.unseen[at]), float(seen.purity[at])
    least = LEAST_PURE if seen.labelled else FIRST_PURE
    return purity >= least and seen.right + purity * size >= (TARGET + MARGIN) * (seen.labelled + size)


def _growing(seen: Evidence, near: Mapping[int, Rows]) -> list[Move]:
    """Weigh the next page of images that could join a named cluster."""
    state, moves = seen.state, []
    for cluster, rows in near.items():
        found = state.find(cluster)
        fresh = state.source[rows] == NO_LABEL
        if found is None or found.name is None or not fresh.any():
            continue
        page, promised = best_page(2 * float(seen.purity[state.clusters.index(found)]), 1.0, len(rows))
        gain = promised * float(fresh[:page].mean())
        moves.append(Move("grow", cluster, images=page, gain=gain, clicks=1))
    return moves


def _of_proposals(seen: Evidence, proposals: Proposals, surer: float) -> list[Move]:
    """Weigh looking at the proposals of a label, and accepting all that are sure enough."""
    now = seen.chance[proposals.rows]
    sure = chances(proposals, surer)
    now = np.minimum(now, 1 - sure)  # where both cannot be right
    moves = []
    numbers = {name: code for code, name in enumerate(dict.fromkeys(proposals.names))}
    of = np.array([numbers[name] for name in proposals.names], np.int64)
    order = np.lexsort((-sure, of))
    ends = np.cumsum(np.bincount(of, minlength=len(numbers)))
    for name, at in zip(numbers, np.split(order, ends[:-1]), strict=True):
        wrong = np.cumsum(1 - sure[at])
        gain = np.cumsum(1 - now[at])
        clicks = 4 + wrong + np.minimum(wrong, ODD_LABELS)
        best = int(np.argmax(gain / clicks))
        moves.append(Move("review", label=name, images=best + 1, gain=float(gain[best]), clicks=float(clicks[best])))
    chosen = sure_enough(seen, proposals, surer=surer)
    if len(chosen):
        moves.append(Move("accept", images=len(chosen), gain=float((sure - now)[chosen].sum()), clicks=3))
    return moves


def chances(proposals: Proposals, surer: float = 0.0) -> NDArray[np.float64]:
    """Return (m,) the chance that each proposal is right, its log odds raised by `surer`."""
    sure = np.clip(np.asarray(proposals.probability, np.float64), 0.005, 0.995)
    return _logistic(np.log(sure / (1 - sure)) + surer)


def sure_enough(seen: Evidence, proposals: Proposals, *, target: float = TARGET, surer: float = 0.0) -> Rows:
    """Return the surest proposals, as many as can be accepted while the expected precision of all labels holds.

    Parameters
    ----------
    seen : Evidence
    proposals : Proposals
    target : float
        In (0, 1).
    surer : float
        As in `next_actions`.
    """
    sure = chances(proposals, surer)
    order = np.argsort(-sure, kind="stable")
    rows = proposals.rows[order]
    labelled = seen.state.codes >= 0
    right = seen.chance[labelled].sum() + np.cumsum(sure[order] - seen.chance[rows])
    total = np.count_nonzero(labelled) + np.cumsum(~labelled[rows])
    holds = np.flatnonzero((right >= (target + MARGIN) * total) & (sure[order] >= 0.5))
    return order[: holds[-1] + 1] if len(holds) else order[:0]


def forecast(moves: Sequence[Move], clicks: float) -> float:
    """Return the right labels that some clicks are expected to add, the best moves first, each image once.

    Parameters
    ----------
    moves : sequence of Move
        From `next_actions`.
    clicks : float
    """
    left, gain, used = clicks, 0.0, set()
    for move in moves:
        about = move.cluster if move.cluster >= 0 else f"{move.kind} {move.label}"
        if about in used or left <= 0:
            continue
        used.add(about)
        share = min(1.0, left / move.clicks)
        gain += share * move.gain
        left -= share * move.clicks
    return gain


def _logistic(value: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.asarray(value, np.float64))))
