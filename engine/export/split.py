"""Train, validation and test parts that never separate near-duplicates and all hold every class.

Images that look alike are one group (connected in the neighbour graph above a similarity), a group goes to one part
whole, and every part gets each label in its share as nearly as the groups allow, but at least one group of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.geometry.neighbors import NeighborGraph

PARTS = ("train", "val", "test")


def near_duplicate_groups(graph: NeighborGraph, *, threshold: float = 0.98) -> NDArray[np.int64]:
    """Return (n,) group numbers: images linked by chains of neighbours at least `threshold` similar share one.

    Parameters
    ----------
    graph : NeighborGraph
        Cosine similarities.
    threshold : float
        In [-1, 1]. Chains grow fast where all images are alike: on photographs of hands with MobileNetV2 vectors
        0.95 already links a quarter of them, 0.97 none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    near = graph.similarities >= threshold
    rows, columns = np.nonzero(near)[0], graph.indices[near]
    n = len(graph)
    links = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(n, n))
    return connected_components(links, directed=False)[1].astype(np.int64)


def split_groups(
    groups: NDArray[np.integer[Any]],
    labels: Sequence[str | None],
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    random_state: int = 0,
) -> list[str]:
    """Return "train", "val" or "test" for each image; equal groups get equal parts.

    Every part gets at least one group of each class that has a group for each part. A class with fewer goes to the
    first part whole, so that no part holds only a rest of it; `lacking` names the parts that are without it.

    Parameters
    ----------
    groups : (n,) int
        From `near_duplicate_groups`; negative ones stand alone.
    labels : sequence of str or None, length n
        Each label is divided in the given shares, images without one too.
    fractions : (train, val, test)
        At least 0, with a sum of 1; a part with 0 stays empty.
    random_state : int
        Same seed and input, same parts.

    Raises
    ------
    InputError
        Fractions that do not sum to 1, different lengths.

    Notes
    -----
    What every part needs is placed first, from the smallest groups. The other groups follow, largest first, each where
    its labels are missing most. Single images, nearly all of most data sets, then fill every label's shares exactly
    but for rounding.
    """
    n = len(groups)
    shares = np.array(fractions, np.float64)
    if len(labels) != n:
        raise InputError(f"{n:,} images need as many labels, not {len(labels):,}.")
    if shares.shape != (3,) or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise InputError("The shares of train, validation and test must add up to 1.")
    table: dict[str | None, int] = {}
    codes = np.array([table.setdefault(label, len(table)) for label in labels], np.int64)
    wanted = np.bincount(codes, minlength=len(table))[:, None] * shares
    alone = np.asarray(groups, np.int64).copy()
    alone[alone < 0] = alone.max(initial=0) + 1 + np.arange(np.count_nonzero(alone < 0))
    _, group = np.unique(alone, return_inverse=True)
    size = np.bincount(group)
    rng = np.random.default_rng(random_state)
    home = _needed(group, codes, shares > 0, rng, unnamed=table.get(None, -1))
    part = home[group]
    placed = np.flatnonzero(part >= 0)
    np.subtract.at(wanted, (codes[placed], part[placed]), 1)
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(size) - size
    several = np.flatnonzero((size > 1) & (home < 0))
    several = several[rng.permutation(len(several))]
    for number in several[np.argsort(-size[several], kind="stable")].tolist():
        rows = order[starts[number] : starts[number] + size[number]]
        held, counts = np.unique(codes[rows], return_counts=True)
        gain = np.minimum(np.maximum(wanted[held], 0), counts[:, None]).sum(axis=0)
        gain[shares == 0] = -np.inf
        best = int(np.lexsort((-wanted[held].sum(axis=0), -gain))[0])
        part[rows] = best
        wanted[held, best] -= counts
    singles = order[np.repeat((size == 1) & (home < 0), size)]
    singles = singles[rng.permutation(len(singles))]
    singles = singles[np.argsort(codes[singles], kind="stable")]
    found, first, counts = np.unique(codes[singles], return_index=True, return_counts=True)
    for code, start, count in zip(found.tolist(), first.tolist(), counts.tolist(), strict=True):
        part[singles[start : start + count]] = np.repeat(np.arange(3), _amounts(wanted[code], shares, count, rng))
    return [PARTS[index] for index in part.tolist()]


def lacking(splits: Sequence[str], labels: Sequence[str | None]) -> dict[str, list[str]]:
    """Return the parts that are without a class, for each class that is not in all parts that there are."""
    there = [part for part in PARTS if part in set(splits)]
    pairs = set(zip(labels, splits, strict=True))
    names = sorted({label for label, _ in pairs if label is not None})
    missing = {name: [part for part in there if (name, part) not in pairs] for name in names}
    return {name: parts for name, parts in missing.items() if parts}


def _needed(
    group: NDArray[np.int64],
    codes: NDArray[np.int64],
    used: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    unnamed: int,
) -> NDArray[np.int64]:
    """Return (g,) the part of each group that a class needs in it, -1 for the groups that are free.

    A class that cannot be in every part has all its groups in the first; that takes them from other classes, so the
    choice begins again until it holds for all. The images without a label (`unnamed`) take what is left.
    """
    n_groups, n_classes = int(group.max(initial=-1)) + 1, int(codes.max(initial=-1)) + 1
    pairs = np.unique(codes * n_groups + group) if len(group) else np.empty(0, np.int64)
    code, member = pairs // max(n_groups, 1), pairs % max(n_groups, 1)
    mixed = np.bincount(member, minlength=n_groups) > 1
    size = np.bincount(group, minlength=n_groups)
    order = np.lexsort((rng.random(n_groups)[member], size[member], mixed[member], code))
    groups_of = np.split(member[order], np.cumsum(np.bincount(code, minlength=n_classes))[:-1])
    parts = np.flatnonzero(used).tolist()
    whole: set[int] = set()
    fewest_first = sorted(range(n_classes), key=lambda at: (at == unnamed, len(groups_of[at]), at))
    while True:
        home = np.full(n_groups, -1, np.int64)
        for at in whole:
            home[groups_of[at]] = parts[0]
        failed = {at for at in fewest_first if at not in whole and not _place(groups_of[at], home, parts)}
        if not failed - {unnamed}:
            return home
        whole |= failed - {unnamed}


def _place(groups: NDArray[np.int64], home: NDArray[np.int64], parts: list[int]) -> bool:
    """Put one of a class's groups into each part that has none of it; return whether there were enough."""
    missing = [part for part in parts if part not in home[groups]]
    free = groups[home[groups] < 0][: len(missing)]
    if len(free) < len(missing):
        return False
    home[free] = missing[: len(free)]
    return True


def _amounts(
    wanted: NDArray[np.float64], shares: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how many of `count` images go to each part: what is missing, rounded at random so that it adds up."""
    missing = np.where(shares > 0, np.maximum(wanted, 0), 0)
    total = missing.sum()
    exact = (missing if total > 0 else shares) * (count / (total if total > 0 else shares.sum()))
    amounts = np.floor(exact + 1e-9).astype(np.int64)
    left = count - int(amounts.sum())
    if left:
        rest = np.maximum(exact - amounts, 0)
        chosen = rng.choice(3, left, replace=False, p=rest / rest.sum())
        amounts[chosen] += 1
    return amounts
