"""A stratified audit: how many of a whole set's labels are wrong at most, from a few checks in each part of it.

The parts (strata) are labels, clusters or anything else known before the draw. `plan_checks` says how many images of
each part to look at, from what earlier checks found; `most_wrong` bounds the wrong ones in the whole set. It is
stronger than a bound for each part: 100 parts need no 100 audits.

The bound inverts a test (Neyman 1937) whose tail is bounded for every way in which wrong images can lie in the parts:

- One part is left open: exact hypergeometric, as `purity_bound`.
- The parts' sampling fractions are within `EVEN` of each other: the number found is a sum of independent Bernoulli
  variables (Vatutin and Mikhailov 1982), whose lower tail is largest where all have the same chance (Hoeffding 1956);
  so Clopper and Pearson (1934) holds for the pooled sample, at the smallest sampling fraction.
- Else Chernoff's bound of the stratified estimate, each part's moments by those of drawing with replacement (Hoeffding
  1963, theorem 4), maximised over all ways. It is exact where nothing wrong was found, and wider otherwise.

Parts that were looked at whole count as they are, parts that nobody looked at as all wrong. Which of the three holds
follows from the numbers of checks alone, never from what was found. The confidence is that of one audit: repeating
audits until one pleases is not covered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.labels.audit import purity_bound

EVEN = 1.25  # largest over smallest sampling fraction up to which the pooled sample is used
_TILTS = np.geomspace(0.02, 100, 32)  # of Chernoff's bound, in units of one image found where the weights are even
_MIXES = (0.0, 0.25, 0.5, 0.75)
Counts = NDArray[np.integer[Any]]


def most_wrong(sizes: Counts, checked: Counts, wrong: Counts, *, confidence: float = 0.95) -> int:
    """Return the most wrong images that the whole set may hold, those that were found included.

    Parameters
    ----------
    sizes, checked, wrong : (h,) int
        Images of each part, those of a random sample of it that were looked at, and those of them that are wrong.
        The numbers of checks were fixed before this sample was drawn.
    confidence : float
        In (0, 1).

    Returns
    -------
    int
        From the number found to the number of images.

    Raises
    ------
    InputError
        More wrong than checked, more checked than there are, no image at all.
    """
    n, k, x = (np.asarray(values, np.int64) for values in (sizes, checked, wrong))
    if not (n.shape == k.shape == x.shape and n.ndim == 1 and len(n) and n.sum() > 0):
        raise InputError("An audit needs images, and three counts for each part of them.")
    if not 0 < confidence < 1:
        raise InputError(f"The confidence must lie between 0 and 1, not {confidence}.")
    if (x < 0).any() or (x > k).any() or (k > n).any():
        raise InputError("More wrong than checked, or more checked than there are, is not possible.")
    whole, unseen = k == n, (k == 0) & (n > 0)
    known = int(x[whole].sum() + n[unseen].sum())
    left = ~whole & ~unseen
    if not left.any():
        return known
    n, k, x = n[left], k[left], x[left]
    ceiling = int((n - k + x).sum())
    fractions = k / n
    if len(n) == 1:
        bound = purity_bound(int(k[0]), int(x[0]), population=int(n[0]), confidence=confidence)
        found = round((1 - bound) * int(n[0]))
    elif fractions.max() <= EVEN * fractions.min() and confidence >= 0.75:  # Hoeffding's tail lies below the mean
        share = 1 - purity_bound(int(k.sum()), int(x.sum()), confidence=confidence)
        found = math.floor(share * k.sum() / fractions.min() + 1e-9)
    else:
        found = _chernoff(n, k, x, math.log(1 - confidence))
    return known + max(int(x.sum()), min(found, ceiling))


def _chernoff(n: NDArray[np.int64], k: NDArray[np.int64], x: NDArray[np.int64], log_alpha: float) -> int:
    """Return the largest number of wrong images that Chernoff's bound leaves possible, each part checked in part.

    For a tilt l and weights w = n / k, the chance of an estimate of at most t = sum(w x) is below
    exp(l t) prod(1 - p (1 - exp(-l w)))^k; the shares p that make it largest for a given number of wrong images have
    the same slope, one multiplier for all parts.
    """
    weights = n / k
    estimate = float(weights @ x)
    tilts = _TILTS / float(n.sum() / k.sum())
    cost = -np.expm1(-tilts[:, None] * weights)  # (tilts, parts)
    lift = tilts * estimate
    if estimate == 0:  # the limit of large tilts is exact
        cost, lift = np.ones((1, len(n))), np.zeros(1)
    lowest, highest = x / n, (n - k + x) / n

    def shares(multiplier: NDArray[np.float64]) -> NDArray[np.float64]:
        best = (1 - k * cost / (n * multiplier[:, None])) / cost
        return np.clip(best, lowest, highest)

    def log_tail(p: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            tail: NDArray[np.float64] = lift + (k * np.log(np.maximum(1 - p * cost, 0))).sum(axis=1)
        return tail

    low, high = np.full(len(cost), -30.0), np.full(len(cost), 60.0)  # of the multiplier's logarithm
    for _ in range(48):
        middle = (low + high) / 2
        possible = log_tail(shares(np.exp(middle))) > log_alpha
        low, high = np.where(possible, middle, low), np.where(possible, high, middle)
    most = (shares(np.exp(high)) * n).sum(axis=1)
    return math.floor(float(most.min()) + 1e-6)


def plan_checks(
    sizes: Counts,
    budget: int,
    *,
    checked: Counts | None = None,
    wrong: Counts | None = None,
    confidence: float = 0.95,
) -> NDArray[np.int64]:
    """Return (h,) how many images of each part to look at.

    Neyman's allocation (1934) checks a part in proportion to its size times the standard deviation of right and wrong
    in it, as earlier checks of it suggest; an even sampling fraction is best where next to nothing is wrong. The mix
    of both that is expected to prove most is taken. Without earlier checks it is the even fraction.

    Parameters
    ----------
    sizes : (h,) int
        Images of each part.
    budget : int
        Checks in all; at least one for each part, where there are so many.
    checked, wrong : (h,) int, optional
        What earlier checks found. They only plan; the new sample is judged by itself.
    confidence : float

    Raises
    ------
    InputError
        No image, or a budget below 1.
    """
    n = np.asarray(sizes, np.int64)
    if budget < 1 or n.sum() < 1:
        raise InputError("An audit needs at least one image to check.", "Choose a larger number of checks.")
    budget = min(int(budget), int(n.sum()))
    even = _shared_out(n.astype(float), n, budget)
    if checked is None or wrong is None or not np.sum(checked):
        return even
    k, x = np.asarray(checked, float), np.asarray(wrong, float)
    overall = (x.sum() + 0.5) / (k.sum() + 1)
    share = (x + overall) / (k + 1)  # a part with few checks is taken to be like the others
    neyman = n * np.sqrt(share * (1 - share))
    plans = [even]
    for mix in _MIXES[1:]:
        plans.append(_shared_out((1 - mix) * n / n.sum() + mix * neyman / neyman.sum(), n, budget))
    proven = [most_wrong(n, plan, np.rint(plan * share).astype(np.int64), confidence=confidence) for plan in plans]
    return plans[int(np.argmin(proven))]


def _shared_out(weights: NDArray[np.float64], n: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Return whole numbers that sum to the budget, in proportion to weights, from 1 to the size where it can be."""
    least = (n > 0).astype(np.int64) if budget >= np.count_nonzero(n) else np.zeros(len(n), np.int64)
    low, high = 0.0, budget / max(float(weights[weights > 0].min()), 1e-300) + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(weights * middle, least, n).sum() <= budget else (low, middle)
    wanted = np.clip(weights * low, least, n)
    plan = np.floor(wanted + 1e-9).astype(np.int64)
    open_now = np.flatnonzero(plan < n)
    for at in open_now[np.argsort(-(wanted - plan)[open_now], kind="stable")][: budget - int(plan.sum())]:
        plan[at] += 1
    return plan


def draw_checks(strata: Counts, plan: Counts, *, random_state: int | Sequence[int] = 0) -> NDArray[np.int64]:
    """Return the rows to look at: of each part as many as planned, drawn evenly without replacement.

    Parameters
    ----------
    strata : (m,) int
        Part of each image, 0 to h - 1.
    plan : (h,) int
    random_state : int or sequence of int
        The same seed, parts and plan give the same sample.
    """
    rng = np.random.default_rng(random_state)
    drawn = [
        rng.choice(np.flatnonzero(strata == part), count, replace=False) if count else np.empty(0, np.int64)
        for part, count in enumerate(np.asarray(plan).tolist())
    ]
    return np.concatenate(drawn).astype(np.int64) if drawn else np.empty(0, np.int64)
