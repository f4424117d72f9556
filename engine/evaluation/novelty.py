"""New images beside a clustering: which fit a known cluster, which are of a new kind, and how clusters drift by them.

Flows in: vectors of the images that were clustered, with their clusters, and those of images that came later. Flows
out: for each new image a cluster or the number of a new kind, and for each cluster how far its new members lie from the
old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors, unit_rows
from engine.geometry.neighbors import search

NEIGHBORS = 10
FEWEST = 5  # images that make a kind
_ASKED = 5_000  # known images by which nearness is judged
_FAR = 0.1  # share of a cluster's own images that count as far from it
_FAR_SHARE = 0.15  # of a kind's images at least
_UNLIKELY = 0.05
_OWN = 20  # images of a cluster that its own threshold needs; else that of all clusters
_DRAWS = 199


@dataclass(frozen=True)
class Drift:
    """How far the new members of a cluster lie from the old ones.

    Attributes
    ----------
    cluster : int
    new : int
        New members.
    distance : float
        One minus the cosine of the two means.
    usual : float
        The largest distance of as many old members, drawn at random 199 times: beyond it the cluster drifts.
    """

    cluster: int
    new: int
    distance: float
    usual: float

    @property
    def drifts(self) -> bool:
        """Whether new members lie farther off than old ones drawn at random ever did."""
        return self.distance > self.usual


@dataclass(frozen=True)
class Novelty:
    """What new images are.

    Attributes
    ----------
    cluster : (m,) int32
        The known cluster that each fits, -1 where it fits none.
    share : (m,) float32
        Share of the nearest known images that are in that cluster; 0 where it fits none.
    kind : (m,) int32
        The new kind of each, 0 for the largest, -1 for none.
    drift : tuple of Drift
        Clusters with at least five new members, the farthest beyond the usual first.
    """

    cluster: NDArray[np.int32]
    share: NDArray[np.float32]
    kind: NDArray[np.int32]
    drift: tuple[Drift, ...]

    @property
    def kinds(self) -> int:
        """Number of new kinds."""
        return int(self.kind.max(initial=-1)) + 1

    @property
    def alone(self) -> int:
        """Images that fit no cluster and are of no new kind."""
        return int(np.count_nonzero((self.cluster < 0) & (self.kind < 0)))


def judge_new(
    known: NDArray[Any],
    clusters: NDArray[np.integer[Any]],
    new: NDArray[Any],
    *,
    random_state: int = 0,
    progress: Progress = SILENT,
) -> Novelty:
    """Return what new images are.

    Parameters
    ----------
    known : (n, d) float32
        Images that were clustered.
    clusters : (n,) int
        -1 for noise, which nothing fits.
    new : (m, d) float32

    Raises
    ------
    InputError
        No known image is in a cluster.

    Notes
    -----
    An image is as near as the mean cosine to its 10 nearest known images; its cluster is the one that most of these are
    in. It is far where nine in ten images of that cluster are nearer, each judged without itself. It keeps to itself
    where so few of its 10 nearest images, known and new together, are known that by the numbers of known and new images
    of its cluster that has a chance below 5% (binomial). Images that keep to themselves and are mutual neighbours make
    a kind from five on, where more of them are far (15%) than of a cluster's own images. With each class of clothes and
    of sign language digits held out once (docs/figures.md) 11 of 20 were found and
    .2% of the others were taken for new.
    """
    inside = np.flatnonzero(np.asarray(clusters) >= 0)
    if not len(inside):
        raise InputError("No image is in a cluster, so new ones cannot be compared.", "Choose another clustering.")
    base, codes = unit_rows(np.asarray(known)[inside]), np.asarray(clusters)[inside].astype(np.int32)
    fresh = unit_rows(new) if len(new) else np.empty((0, base.shape[1]), np.float32)
    if not len(fresh):
        nothing = np.empty(0, np.int32)
        return Novelty(nothing, np.empty(0, np.float32), nothing, ())
    rng = np.random.default_rng(random_state)
    limits = _limits(base, codes, rng)
    progress.update(1, 3, phase="Comparing new images", unit="steps")
    near, values = search(base, fresh, min(NEIGHBORS, len(base)))
    voted, share = _vote(codes[near], values)
    far = values.mean(axis=1) < limits[voted]
    progress.update(2, 3, phase="Comparing new images", unit="steps")
    chance = np.bincount(codes, minlength=len(limits))[voted].astype(np.float64)
    chance = chance / (chance + np.bincount(voted, minlength=len(limits))[voted])
    kind = _kinds(fresh, values, chance, far) if len(fresh) > FEWEST else np.full(len(fresh), -1, np.int32)
    far |= kind >= 0
    cluster = np.where(far, -1, voted).astype(np.int32)
    drift = _drift(base, codes, fresh, cluster, rng)
    progress.update(3, 3, phase="Comparing new images", unit="steps")
    return Novelty(cluster, np.where(far, 0, share).astype(np.float32), kind, drift)


def _limits(base: Vectors, codes: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return for each cluster the nearness that nine in ten of its images have, each judged without itself."""
    asked = np.arange(len(base))
    if len(asked) > _ASKED:
        asked = np.sort(rng.choice(len(base), _ASKED, replace=False))
    _, values = _others(base, asked, min(NEIGHBORS, len(base) - 1))
    nearness = values.mean(axis=1) if values.shape[1] else np.ones(len(asked), np.float32)
    limits = np.full(int(codes.max()) + 1, np.quantile(nearness, _FAR))
    for code in np.unique(codes):
        mine = nearness[codes[asked] == code]
        if len(mine) >= _OWN:
            limits[code] = np.quantile(mine, _FAR)
    return limits


def _others(base: Vectors, asked: NDArray[np.int64], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the k nearest rows of each of some rows and the cosines, without the row itself."""
    found, values = search(base, base[asked], k + 1)
    own = found == asked[:, None]
    own[~own.any(axis=1), -1] = True  # exact copies may stand in its place
    return found[~own].reshape(len(asked), k), values[~own].reshape(len(asked), k)


def _vote(near: NDArray[np.int32], values: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return for each row the cluster that most of its neighbours are in (of equals that of the nearest), its share."""
    votes = (near[:, :, None] == near[:, None, :]).sum(axis=2)
    first = votes.argmax(axis=1)
    line = np.arange(len(near))
    return near[line, first], votes[line, first] / near.shape[1]


def _kinds(
    new: Vectors,
    to_known: NDArray[np.float32],
    chance: NDArray[np.float64],
    far: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """Return the kind of each new image, -1 for none.

    Parameters
    ----------
    new : (m, d) float32
    to_known : (m, k) float32
        Cosines to the nearest known images, falling.
    chance : (m,) float64
        Share of known images among those of the cluster that it would fit.
    far : (m,) bool
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components
    from scipy.stats import binom

    k = min(NEIGHBORS, len(new) - 1)
    found, values = _others(new, np.arange(len(new)), k)
    together = -np.sort(-np.concatenate([values, to_known], axis=1), axis=1)[:, NEIGHBORS - 1 : NEIGHBORS]
    known = (to_known >= together).sum(axis=1)  # among the nearest of both together
    alone = np.asarray(binom.cdf(known, NEIGHBORS, chance)) < _UNLIKELY
    rows, columns = np.repeat(np.arange(len(new)), k), found.reshape(-1)
    linked = alone[rows] & alone[columns] & (values >= together).reshape(-1)
    graph = csr_array((np.ones(int(linked.sum())), (rows[linked], columns[linked])), shape=(len(new), len(new)))
    _, part = connected_components(graph.multiply(graph.T), directed=False)
    sizes = np.bincount(part)
    large = np.flatnonzero((sizes >= FEWEST) & (np.bincount(part, weights=far) >= _FAR_SHARE * sizes))
    order = large[np.argsort(-sizes[large], kind="stable")]
    number = np.full(len(sizes), -1, np.int32)
    number[order] = np.arange(len(order))
    return number[part]


def _drift(
    base: Vectors, codes: NDArray[np.int32], new: Vectors, cluster: NDArray[np.int32], rng: np.random.Generator
) -> tuple[Drift, ...]:
    """Return the drift of each cluster that has at least five new members and as many old ones."""
    found = []
    for code in np.unique(cluster[cluster >= 0]).tolist():
        members, old = new[cluster == code], base[codes == code]
        if len(members) < FEWEST or len(old) < FEWEST:
            continue
        old = old[np.sort(rng.choice(len(old), _ASKED, replace=False))] if len(old) > _ASKED else old
        middle = old.mean(axis=0)
        count = min(len(members), len(old))
        drawn = np.stack([old[rng.choice(len(old), count)].mean(axis=0) for _ in range(_DRAWS)])
        usual = float(_apart(drawn, middle).max())
        found.append(Drift(code, len(members), float(_apart(members.mean(axis=0)[None], middle)[0]), usual))
    return tuple(sorted(found, key=lambda one: one.usual - one.distance))


def _apart(means: NDArray[np.float32], middle: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return one minus the cosine of each of (s, d) means and a middle (d,)."""
    lengths = np.linalg.norm(means, axis=1) * np.linalg.norm(middle)
    return 1 - (means @ middle).astype(np.float64) / np.maximum(lengths, 1e-12)
