"""Ridge selection: the real images from which a ridge classifier learns all the others best.

The loss is that of kernel inducing points, with a linear kernel and rows that must be images of the set. Each step is
exact: what a swap of one image does to the squared error on all training rows has a closed form. Source of the loss:
Nguyen, Chen, Lee, "Dataset Meta-Learning from Kernel Ridge-Regression", ICLR 2021, arXiv:2011.00050.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import Vectors
from engine.distillation.prepare import Indices

Matrix = NDArray[np.float64]
CANDIDATES = 2000
PASSES = 10
# Images that all tries of a selection choose together, at most: a try that chooses many is long and not alone.
CHOICES = 4000


class _Ridge:
    """The ridge classifier of the chosen rows, and its squared error on all rows.

    Attributes
    ----------
    inverse : (p, p)
        (sum of x x' over the chosen + ridge)^-1.
    weights : (p, K)
        What it has learned.
    slope : (p, K)
        Half the gradient of the squared error at the weights.
    """

    def __init__(self, rows: Matrix, labels: Indices, classes: int, ridge: float) -> None:
        n, width = rows.shape
        self.moments = rows.T @ rows / n
        self.wanted = np.stack([rows[labels == label].sum(axis=0) / n for label in range(classes)], axis=1)
        self.slope = -self.wanted
        self.inverse, self.weights = np.eye(width) / ridge, np.zeros((width, classes))

    def change(self, row: Matrix, label: int, sign: int) -> None:
        """Add a row (`sign` 1) or take it away (-1)."""
        along = self.inverse @ row
        scale = 1 + sign * float(row @ along)
        missed = -(row @ self.weights)
        missed[label] += 1
        missed *= sign / scale
        self.weights += np.outer(along, missed)
        self.slope += np.outer(self.moments @ along, missed)
        self.inverse -= sign * np.outer(along, along) / scale

    def error(self) -> float:
        """Return the mean squared error on all rows, less the mean square of what is wanted."""
        return float((self.weights * (self.slope - self.wanted)).sum())

    def errors_with(self, rows: Matrix, label: int) -> Matrix:
        """Return for each of (m, p) rows of a class how the squared error would change with it."""
        along = rows @ self.inverse
        missed = -(rows @ self.weights)
        missed[:, label] += 1
        missed /= 1 + (rows * along).sum(axis=1)[:, None]
        slope = ((along @ self.slope) * missed).sum(axis=1)
        bend = ((along @ self.moments) * along).sum(axis=1) * (missed**2).sum(axis=1)
        errors: Matrix = 2 * slope + bend
        return errors


def ridge_rows(
    rows: Vectors,
    labels: Indices,
    images_per_class: int,
    *,
    ridge: float,
    seed: int,
    passes: int = PASSES,
) -> tuple[Indices, float]:
    """Choose rows of each class so that a ridge classifier of them has the least squared error on all rows.

    The classes take turns in adding the best row; then each chosen row is exchanged for the best of its class, until a
    pass changes nothing. Of a class with more than 2,000 rows, so many at random may be chosen.

    Parameters
    ----------
    rows : (n, p) float32
        Mean squared length 1.
    labels : (n,) int64
        Classes 0..K-1.
    ridge : float
        Penalty on the weights.
    passes : int
        Passes of exchanges at most.

    Returns
    -------
    (rows, error)
        (m,) int64, class by class, and their squared error on all rows, less what no choice changes.
    """
    rng = np.random.default_rng(seed)
    wide = np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1).astype(np.float64)
    classes = int(labels.max()) + 1
    model = _Ridge(wide, labels, classes, ridge)
    pools = [rng.permutation(np.flatnonzero(labels == label))[:CANDIDATES] for label in range(classes)]
    wanted = [min(images_per_class, len(pool)) for pool in pools]
    chosen: list[list[int]] = [[] for _ in pools]
    taken = np.zeros(len(rows), dtype=bool)

    def best(label: int) -> int:
        errors = model.errors_with(wide[pools[label]], label)
        errors[taken[pools[label]]] = np.inf
        return int(pools[label][errors.argmin()])

    def take(label: int, row: int) -> None:
        model.change(wide[row], label, 1)
        taken[row] = True

    for turn in range(max(wanted)):
        for label in rng.permutation([label for label, count in enumerate(wanted) if count > turn]).tolist():
            row = best(label)
            take(label, row)
            chosen[label].append(row)
    for _ in range(passes):
        changed = False
        for label, place in rng.permutation([(a, b) for a, c in enumerate(wanted) for b in range(c)]).tolist():
            old = chosen[label][place]
            model.change(wide[old], label, -1)
            taken[old] = False
            row = best(label)
            take(label, row)
            chosen[label][place] = row
            changed |= row != old
        if not changed:
            break
    return np.concatenate([np.asarray(own, dtype=np.int64) for own in chosen]), model.error()


def tries(starts: int, images: int) -> int:
    """Return how many of `starts` tries are made where each chooses so many images."""
    return max(1, min(starts, CHOICES // max(images, 1)))


def ridge_selection(
    rows: Vectors,
    labels: Indices,
    images_per_class: int,
    *,
    ridge: float,
    starts: int,
    seed: int,
    listener: Callable[[int, int], None] | None = None,
) -> Indices:
    """Return the best of `starts` choices by `ridge_rows`, (m,) int64, class by class; see `tries`.

    Parameters
    ----------
    listener : callable, optional
        Called after each with the choices made and all.
    """
    best: tuple[float, Indices] | None = None
    starts = tries(starts, int(np.minimum(np.bincount(labels), images_per_class).sum()))
    for start in range(starts):
        chosen, error = ridge_rows(rows, labels, images_per_class, ridge=ridge, seed=seed + start)
        if best is None or error < best[0]:
            best = error, chosen
        if listener is not None:
            listener(start + 1, starts)
    assert best is not None
    return best[1]
