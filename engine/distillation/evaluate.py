"""Measuring small training sets: the same recipe and number of updates for all, accuracy on images never seen.

A classifier learns cluster numbers; the map from cluster to class is fixed once on the training split,
and the test split's true labels are only ever compared with, never learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.core.vectors import Vectors
from engine.distillation.heads import predict, train_classifiers


@dataclass(frozen=True)
class Evaluator:
    """Trains classifiers on sets and measures them; holds everything that is the same for all sets.

    Attributes
    ----------
    train_rows, train_labels : (n, d) float32, (n,) int64
        The full training set and its pseudo-labels.
    test_rows, test_truth : (m, d) float32, (m,) int64
        Images never trained on and what they really are.
    mapping : (K,) int64
        Cluster to class, from `cluster_to_class`.
    updates, hidden : int
        Updates of each classifier, and the width of its hidden layer (0: linear).
    device : str
        Where it computes.
    """

    train_rows: Vectors
    train_labels: NDArray[np.int64]
    test_rows: Vectors
    test_truth: NDArray[np.int64]
    mapping: NDArray[np.int64]
    updates: int
    hidden: int
    device: str

    def score(
        self, rows: Vectors, labels: NDArray[np.int64], seeds: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Train one classifier per seed on a set and measure it.

        Parameters
        ----------
        rows : (n, d) or (S, n, d) float32
            One set for all seeds, or one for each.
        labels : (n,) or (S, n) int64

        Returns
        -------
        (accuracy, agreement) : (S,) float64 each
            Test accuracy after the map, and the share of training rows given their pseudo-label.
        """
        heads = train_classifiers(
            torch.from_numpy(np.ascontiguousarray(rows)).to(self.device),
            torch.from_numpy(np.ascontiguousarray(labels)).to(self.device),
            len(self.mapping),
            seeds=seeds,
            updates=self.updates,
            hidden=self.hidden,
        )
        guess = predict(heads, torch.from_numpy(self.test_rows).to(self.device)).cpu().numpy()
        own = predict(heads, torch.from_numpy(self.train_rows).to(self.device)).cpu().numpy()
        accuracy = (self.mapping[guess] == self.test_truth).mean(axis=1)
        return accuracy.astype(np.float64), (own == self.train_labels).mean(axis=1).astype(np.float64)


def summary(values: NDArray[np.float64]) -> dict[str, float]:
    """Return mean and standard deviation (n - 1 where there are two or more) over seeds."""
    return {"mean": float(values.mean()), "std": float(values.std(ddof=min(1, len(values) - 1)))}
