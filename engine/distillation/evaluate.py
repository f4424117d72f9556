"""Measuring small training sets: the same recipe and number of updates for all, accuracy on images never seen.

A classifier learns cluster numbers; the map from cluster to class is fixed once on the training split,
and the test split's true labels are only ever compared with, never learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.core.vectors import Vectors
from engine.distillation.heads import predict, train_classifiers
from engine.distillation.prepare import Indices

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(S,) test accuracies and (S,) agreements with the training labels."""
STACKED_BYTES = 2**28


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

    def score(self, rows: Vectors, labels: Indices, seeds: Sequence[int]) -> Scores:
        """Train one classifier for each seed on one set and measure them; see `score_sets`."""
        return self._measure(self._tensor(rows), self._tensor(labels), seeds, [None])[0]

    def score_sets(
        self,
        sets: Mapping[str, tuple[Vectors, Indices]],
        seeds: Sequence[int],
        kept: Mapping[str, Indices] | None = None,
    ) -> dict[str, Scores]:
        """Train one classifier for each seed on each of several sets and measure them, sets of one size side by side.

        Parameters
        ----------
        sets : dict of str to ((S, n, p) float32, (S, n) int64)
            Rows and labels for each seed.
        kept : dict of str to (S, m) int64, optional
            Of sets of real rows, which training rows they are: these do not count for their agreement.

        Returns
        -------
        dict of str to (accuracy, agreement)
            (S,) float64 each: test accuracy after the map, and the share of training rows given their own label.
        """
        found: dict[str, Scores] = {}
        by_size: dict[int, list[str]] = {}
        for name, (rows, _) in sets.items():
            by_size.setdefault(rows.shape[1], []).append(name)
        for names in by_size.values():
            together = max(1, STACKED_BYTES // sets[names[0]][0].nbytes)
            for at in range(0, len(names), together):
                part = names[at : at + together]
                stacked = self._tensor(np.concatenate([sets[name][0] for name in part]))
                labels = self._tensor(np.concatenate([sets[name][1] for name in part]))
                own = [(kept or {}).get(name) for name in part]
                found |= dict(zip(part, self._measure(stacked, labels, seeds, own), strict=True))
        return {name: found[name] for name in sets}

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _measure(
        self, rows: torch.Tensor, labels: torch.Tensor, seeds: Sequence[int], kept: Sequence[Indices | None]
    ) -> list[Scores]:
        sets = len(kept)
        heads = train_classifiers(
            rows, labels, len(self.mapping), seeds=list(seeds) * sets, updates=self.updates, hidden=self.hidden
        )
        guess = predict(heads, self._tensor(self.test_rows)).cpu().numpy()
        own = predict(heads, self._tensor(self.train_rows)).cpu().numpy()
        accuracy = (self.mapping[guess] == self.test_truth).mean(axis=1).reshape(sets, -1)
        right = (own == self.train_labels).reshape(sets, len(seeds), -1)
        counted = np.ones(right.shape, dtype=bool)
        for at, rows_of in enumerate(kept):
            if rows_of is not None:
                np.put_along_axis(counted[at], rows_of, False, axis=1)
        agreement = (right & counted).sum(axis=2) / np.maximum(counted.sum(axis=2), 1)
        return list(zip(accuracy, agreement, strict=True))


def summary(values: NDArray[np.float64]) -> dict[str, float]:
    """Return mean and standard deviation (n - 1 where there are two or more) over seeds."""
    return {"mean": float(values.mean()), "std": float(values.std(ddof=min(1, len(values) - 1)))}
