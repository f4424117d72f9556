"""Whether a trained clustering is to be trusted: "did not train", "collapsed", "below its own start", each a sentence.

They turn a result that nobody should believe into words instead of silent labels. No torch here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.labels import Labels


def did_not_train(
    losses: NDArray[np.float32], *, starting_loss: float | None = None, least_change: float = 0.25
) -> str | None:
    """Return a sentence when the loss has not left its starting plateau, else None.

    Parameters
    ----------
    losses : (steps,) float32
        Loss of each step.
    starting_loss : float, optional
        The loss at random weights; the mean of the first twentieth of the steps when absent.
    least_change : float
        The drop that counts as training, as a share of the size of the starting loss.
    """
    if len(losses) == 0:
        return "It did not train: no step was made."
    window = max(1, len(losses) // 20)
    begin = float(np.mean(losses[:window])) if starting_loss is None else starting_loss
    end = float(np.mean(losses[-window:]))
    if begin - end >= least_change * max(abs(begin), 1e-6):
        return None
    return (
        f"It did not train: loss {begin:.2f} -> {end:.2f} after {len(losses):,} steps. "
        "Train longer, raise the learning rate or use a warm start; the labels are not to be trusted."
    )


def collapse(labels: NDArray[np.int32], n_clusters: int) -> str | None:
    """Return a sentence when the clustering has collapsed or many clusters are empty, else None.

    Collapsed: one cluster holds more than half of the images though an even share would be at most a fifth,
    or fewer than half of the clusters hold any image.
    """
    kept = labels[labels >= 0]
    if len(kept) == 0:
        return "It collapsed: no image was assigned to a cluster."
    sizes = np.bincount(kept, minlength=n_clusters)
    active, largest = int((sizes > 0).sum()), float(sizes.max() / len(kept))
    if active < n_clusters / 2 or (largest > 0.5 and n_clusters >= 5):
        return (
            f"It collapsed: {active} of {n_clusters} clusters hold images and the largest holds {largest:.0%}. "
            "Use a warm start, a larger batch or a lower learning rate."
        )
    if active < n_clusters:
        return f"{n_clusters - active} of {n_clusters} clusters are empty."
    return None


def worse_than_start(start: Labels, labels: Labels, indices: NDArray[Any]) -> str | None:
    """Return a sentence when neighbours agree less in `labels` than in the clustering that training started from.

    Parameters
    ----------
    start, labels : (n,) int32
        In any numbering.
    indices : (n, k) int
        Neighbours of each image.
    """
    before, after = neighbor_agreement(start, indices), neighbor_agreement(labels, indices)
    if after >= before - 0.01:
        return None
    return (
        f"Training ended below its own start: neighbours agree {after:.2f} now, {before:.2f} at the start. "
        "Lower the learning rate or keep the clustering that it started from."
    )


def neighbor_agreement(labels: Labels, indices: NDArray[Any], *, k: int = 10) -> float:
    """Return how much more often neighbours share a label than random images do, in [-1, 1].

    (share of equal pairs - chance) / (1 - chance), where chance is the sum of the squared cluster shares, so
    that neither one big cluster nor many small ones are favoured; 0 when there is one cluster only.
    """
    near = labels[indices[:, :k]]
    share = float(np.mean((near == labels[:, None]) & (labels[:, None] >= 0)))
    sizes = np.bincount(labels[labels >= 0]) / len(labels)
    chance = float(np.square(sizes).sum())
    return (share - chance) / (1 - chance) if chance < 1 else 0.0
