"""Whether a linear classifier can learn a clustering: a score without truth, in the space of any embeddings.

Flows in: embeddings and labels (-1 is noise). Flows out: the k-fold accuracy of a least-squares classifier on the
labels beside the same for the labels shuffled. One factorisation serves every clustering of the same embeddings: the
held-out predictions of all folds follow from it in closed form, so another clustering costs one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.labels import compact

ROWS = 2_000
FOLDS = 10
RIDGE = 1.0

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Generalisation:
    """How well a clustering can be learned.

    Attributes
    ----------
    accuracy : float
        Share of the images whose cluster a classifier names that was trained without them, in [0, 1].
    shuffled : float
        The same for labels of the same sizes in random order.
    """

    accuracy: float
    shuffled: float

    @property
    def score(self) -> float:
        """(accuracy - shuffled) / (1 - shuffled): 0 is chance whatever the number of clusters, 1 is perfect."""
        return (self.accuracy - self.shuffled) / (1 - self.shuffled) if self.shuffled < 1 else 0.0


class LinearProbe:
    """Measures clusterings of one set of embeddings.

    Parameters
    ----------
    embeddings : (n, d) float
        An array or a memory map.
    sample : int
        At most so many rows are looked at, drawn at random: time and memory grow with their square.
    folds : int
        Parts that are held out in turn.
    ridge : float
        Penalty on the squared weights, in units of one image, for standardised columns.
    random_state : int
        Seed of the sample, the folds and the shuffle.

    Raises
    ------
    InputError
        Fewer than two rows.

    Notes
    -----
    The classifier is ridge regression on indicators of the clusters, an intercept included, over columns standardised
    to mean 0 and variance 1; the highest value names the cluster. With the hat matrix H of all rows, the values of a
    held-out fold f are y_f - (I - H_ff)^-1 (y_f - H_f y).

    References
    ----------
    Gadetsky, Jiang and Brbic, Let Go of Your Labels with Unsupervised Transfer, 2024 (the score).
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, 4.2 and 7.10 (the classifier and the
    closed form).
    """

    def __init__(
        self,
        embeddings: NDArray[Any],
        *,
        sample: int = ROWS,
        folds: int = FOLDS,
        ridge: float = RIDGE,
        random_state: int = 0,
    ) -> None:
        count = len(embeddings)
        if count < 2:
            raise InputError(f"A classifier needs at least two images; there are {count}.")
        rng = np.random.default_rng(random_state)
        self.rows = np.sort(rng.choice(count, min(sample, count), replace=False))
        self.order = rng.permutation(len(self.rows))
        vectors = np.asarray(embeddings[self.rows], dtype=np.float64)
        vectors -= vectors.mean(axis=0)
        spread = vectors.std(axis=0)
        vectors /= np.where(spread > 1e-9, spread, np.inf)
        self.hat = _hat_matrix(vectors, ridge)
        self.folds = np.array_split(rng.permutation(len(self.rows)), min(folds, len(self.rows)))
        self.inverses = [np.linalg.inv(np.eye(len(fold)) - self.hat[np.ix_(fold, fold)]) for fold in self.folds]

    def measure(self, labels: Integers) -> Generalisation:
        """Return how well the (n,) labels can be learned; noise is left out of what is counted and taught.

        An image in no cluster is a row of zeros to the classifier, and a cluster with no image in the sample is unseen.
        """
        known = compact(np.asarray(labels)[self.rows])
        inside = known >= 0
        n_clusters = int(known.max(initial=-1)) + 1
        if n_clusters < 2:
            return Generalisation(0.0, 0.0)
        mixed = np.full_like(known, -1)
        mixed[inside] = known[self.order[inside[self.order]]]
        targets = np.zeros((len(known), 2 * n_clusters))
        rows = np.flatnonzero(inside)
        targets[rows, known[rows]] = 1
        targets[rows, n_clusters + mixed[rows]] = 1
        found = targets - self._left_out(targets)
        own, other = found[:, :n_clusters].argmax(axis=1), found[:, n_clusters:].argmax(axis=1)
        return Generalisation(float(np.mean(own[inside] == known[inside])), float(np.mean((other == mixed)[inside])))

    def _left_out(self, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each row's target is above the value predicted without its fold, (m, c)."""
        residual = targets - self.hat @ targets
        for fold, inverse in zip(self.folds, self.inverses, strict=True):
            residual[fold] = inverse @ residual[fold]
        return residual


def _hat_matrix(vectors: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """Return the (m, m) matrix that takes targets to fitted values, intercept included, of centred (m, d) rows."""
    count, dimension = vectors.shape
    if dimension <= count:
        gram = vectors.T @ vectors
        gram[np.diag_indices(dimension)] += ridge
        hat = vectors @ np.linalg.solve(gram, vectors.T)
    else:
        gram = vectors @ vectors.T
        hat = np.linalg.solve(gram + ridge * np.eye(count), gram)
    hat += 1 / count
    found: NDArray[np.float64] = hat
    return found


def generalisation(embeddings: NDArray[Any], labels: Integers, *, sample: int = ROWS) -> Generalisation:
    """Return how well one clustering of (n, d) embeddings can be learned, on at most `sample` rows."""
    return LinearProbe(embeddings, sample=sample).measure(labels)
