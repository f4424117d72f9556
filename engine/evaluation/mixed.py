"""Which clusters look like two kinds in one: divided in two, the halves stay apart on images that had no part in it.

Flows in: embeddings and labels. Flows out: the clusters, so that a verdict can name them. Any cloud of points can be
cut in two; the cut of one that is a single bell leaves a known share of its spread inside the halves. A cluster is
named where clearly less is left, measured on the half of its images that the cut was not made on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.labels import Labels, compact
from engine.core.vectors import unit

FEWEST, MOST = 40, 1_000
"""Images of a cluster that are needed, and at most looked at."""
APART = 0.81
"""Least share of the spread along the cut that lies between the halves. One bell has 2 / pi = 0.64, whatever its shape.
Measured on scikit-learn's digits: docs/figures.md."""
_AXES, _HALVINGS = 16, 10


def two_kinds(embeddings: NDArray[Any], labels: NDArray[np.integer[Any]], *, random_state: int = 0) -> list[int]:
    """Return the clusters that look like two kinds, in rising order.

    Parameters
    ----------
    embeddings : (n, d) float
        Need not be unit length.
    labels : (n,) int
        -1 is noise.
    """
    labels = np.asarray(labels)
    codes = compact(labels)
    found = []
    for code in range(int(codes.max(initial=-1)) + 1):
        rows = np.flatnonzero(codes == code)
        if len(rows) < FEWEST:
            continue
        rng = np.random.default_rng([random_state, code])
        if len(rows) > MOST:
            rows = np.sort(rng.choice(rows, MOST, replace=False))
        if apart(unit(np.asarray(embeddings[rows], np.float32)), rng) >= APART:
            found.append(int(labels[rows[0]]))
    return found


def apart(points: NDArray[np.float32], rng: np.random.Generator) -> float:
    """Return the share of the spread along the cut in two that lies between the halves, in [0, 1].

    Parameters
    ----------
    points : (m, d) float32
        One cluster.
    rng : numpy.random.Generator
        Draws the halves of the images: each in turn is cut, and the other one measured.
    """
    centred = points.astype(np.float64) - points.mean(axis=0)
    few = len(points) < points.shape[1]  # then the products of the images are fewer than those of the columns
    spread, axes = np.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    kept = min(_AXES, len(points) // 10, int((spread > max(1e-9, 1e-9 * spread[-1])).sum()))
    if kept < 1:
        return 0.0
    widest = axes[:, : -kept - 1 : -1]
    placed = widest * np.sqrt(spread[: -kept - 1 : -1]) if few else centred @ widest
    shares = []
    for _ in range(_HALVINGS):
        order = rng.permutation(len(placed))
        first, second = placed[order[: len(order) // 2]], placed[order[len(order) // 2 :]]
        shares += [_between(first, second), _between(second, first)]
    return float(np.mean(shares))


def _between(made_on: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Cut one half of the images in two; return the share between the parts of the other half, along the cut."""
    sides = _two_means(made_on)
    means = np.stack([made_on[sides == side].mean(axis=0) for side in (0, 1)])
    within = np.atleast_2d(np.cov((made_on - means[sides]).T))
    ridge = 0.1 * np.trace(within) / len(within) + 1e-12
    across = np.linalg.solve(within + ridge * np.eye(len(within)), means[1] - means[0])
    at, middle = measured @ across, float(means.mean(axis=0) @ across)
    low, high = at[at < middle], at[at >= middle]
    if min(len(low), len(high)) < 3 or at.var() == 0:
        return 0.0
    return 1 - float((low.var() * len(low) + high.var() * len(high)) / (at.var() * len(at)))


def _two_means(points: NDArray[np.float64], rounds: int = 50) -> Labels:
    """Return sides 0 and 1 of (m, c) points, from a start along the widest axis; both have points."""
    sides = (points[:, 0] > np.median(points[:, 0])).astype(np.int32)
    if sides.min() == sides.max():
        sides[: len(sides) // 2] = 1 - sides[0]
    for _ in range(rounds):
        means = np.stack([points[sides == side].mean(axis=0) for side in (0, 1)])
        distance = ((points[:, None, :] - means) ** 2).sum(axis=2)
        moved = (distance[:, 1] < distance[:, 0]).astype(np.int32)
        if moved.min() == moved.max() or (moved == sides).all():
            break
        sides = moved
    return sides
