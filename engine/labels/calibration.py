"""How likely a label that spread to an image is right, measured on the images that a person labelled.

Each of them is hidden once, in one of five parts, and is proposed a label by the others. How often that label is the
person's, for each lead of the first label over the second, is a logistic curve of the lead (Platt 1999, with his
targets for few examples): its value is the chance that a proposal carries. The images that a person chooses to label
are not drawn at random; where only the plainest of each kind were labelled, the chances come out too high.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.progress import SILENT, Progress
from engine.geometry.neighbors import NeighborGraph
from engine.labels.propagation import PropagationSettings, propagate

FEWEST = 20  # labelled images below which a curve says nothing
PARTS = 5
_LIMIT = 0.005  # leads are kept this far from 0 and 1


@dataclass(frozen=True)
class Calibration:
    """The chance that a proposed label is right, as a curve of its lead.

    Attributes
    ----------
    slope, intercept : float
        Of the logistic curve over the log odds of the lead; the slope is at least 0.
    checked, right : int
        Hidden images that were proposed a label, and those of them that were proposed their own.
    """

    slope: float
    intercept: float
    checked: int
    right: int

    def __call__(self, margin: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return (m,) chances in [0, 1] of (m,) leads in [0, 1]."""
        return _logistic(self.slope * _log_odds(margin) + self.intercept).astype(np.float32)


def calibrate(
    graph: NeighborGraph,
    labels: NDArray[np.integer[Any]],
    *,
    presumed: NDArray[np.integer[Any]],
    settings: PropagationSettings | None = None,
    progress: Progress = SILENT,
) -> Calibration | None:
    """Hide the given labels part by part, and fit the chance of a right proposal to its lead.

    Parameters
    ----------
    graph : NeighborGraph
        Of n images.
    labels : (n,) int
        Labels that a person gave to the very image, -1 for none.
    presumed : (n,) int
        What each image would be presumed to be without its own label, -1 for nothing.
    settings : PropagationSettings, optional
        Those of the spreading that is judged.

    Returns
    -------
    Calibration or None
        None where fewer than `FEWEST` hidden images are proposed a label.
    """
    seeds = np.asarray(labels, np.int64)
    labelled = np.flatnonzero(seeds >= 0)
    if len(labelled) < FEWEST:
        return None
    part = np.random.default_rng(0).permutation(len(labelled)) % PARTS
    margins, right = [], []
    for number in range(PARTS):
        hidden = labelled[part == number]
        kept = seeds.copy()
        kept[hidden] = -1
        found = propagate(graph, kept, presumed=presumed, settings=settings)
        hidden = hidden[found.labels[hidden] >= 0]
        margins.append(found.margin[hidden])
        right.append(found.labels[hidden] == seeds[hidden])
        progress.update(number + 1, PARTS, phase="Check the chances", unit="parts")
    return fit(np.concatenate(margins), np.concatenate(right))


def fit(margin: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> Calibration | None:
    """Return the logistic curve through (m,) leads and whether each proposal was right; None below `FEWEST`."""
    from scipy.optimize import minimize

    checked, hits = len(right), int(np.count_nonzero(right))
    if checked < FEWEST:
        return None
    target = np.where(right, (hits + 1) / (hits + 2), 1 / (checked - hits + 2))
    odds = _log_odds(margin)

    def loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value = curve[0] * odds + curve[1]
        excess = _logistic(value) - target
        cost = float(np.sum(np.logaddexp(0, value) - target * value)) + 0.5 * curve[0] ** 2
        return cost, np.array([excess @ odds + curve[0], excess.sum()])

    best = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return Calibration(float(best.x[0]), float(best.x[1]), checked, hits)


def _log_odds(margin: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    inside = np.clip(np.asarray(margin, np.float64), _LIMIT, 1 - _LIMIT)
    return np.log(inside) - np.log1p(-inside)


def _logistic(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * value))
