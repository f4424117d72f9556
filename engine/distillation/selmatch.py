"""SelMatch: trajectory matching that starts from real images of the right difficulty and keeps the hardest as they are.

Source: Lee and Chung, "SelMatch: Effectively Scaling Up Dataset Distillation via Selection-Based
Initialization and Partial Updates by Trajectory Matching", ICML 2024, arXiv:2406.18561.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.distillation.heads import Head, epoch_of, logits

# images per class from which a row holds: (alpha, beta) of the paper on CIFAR-100
PUBLISHED: tuple[tuple[int, float, float], ...] = (
    (25, 0.8, 0.8),
    (50, 0.6, 0.7),
    (100, 0.3, 0.6),
    (150, 0.2, 0.4),
)


def alpha_beta(images_per_class: int, alpha: float | None, beta: float | None) -> tuple[float, float]:
    """Return (alpha, beta): the given ones, else the paper's row at or below `images_per_class`.

    Below 25 images per class nothing is frozen (alpha 1).
    """
    published = (1.0, PUBLISHED[0][2])
    for least, a, b in PUBLISHED:
        if images_per_class >= least:
            published = (a, b)
    return published[0] if alpha is None else alpha, published[1] if beta is None else beta


@torch.no_grad()
def difficulty(path: Head, rows: Tensor, labels: Tensor, *, chunk: int = 8192) -> NDArray[np.float32]:
    """Return how late and unsurely experts learn each row: 1 - probability of its label, averaged over snapshots.

    Returns
    -------
    (n,) float32 in [0, 1]; 1 is hardest.
    """
    hardness = np.zeros(len(rows), dtype=np.float32)
    for begin in range(0, len(rows), chunk):
        part, own = rows[begin : begin + chunk], labels[begin : begin + chunk]
        for epoch in range(1, len(path[0])):
            sure = torch.softmax(logits(epoch_of(path, epoch), part), dim=-1).mean(dim=0)
            hardness[begin : begin + chunk] += (1 - sure.gather(1, own[:, None])[:, 0]).cpu().numpy()
    return (hardness / max(len(path[0]) - 1, 1)).astype(np.float32)


@dataclass(frozen=True)
class Window:
    """The real rows that SelMatch starts from.

    Attributes
    ----------
    chosen : (m,) int64
        Rows, class by class, hardest first.
    free : (f,) int64
        Positions in `chosen` that may change; the others stay real.
    """

    chosen: NDArray[np.int64]
    free: NDArray[np.int64]


def select_window(
    hardness: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    images_per_class: int,
    alpha: float,
    beta: float,
) -> Window:
    """Choose each class's window: hardest first, skip floor(beta * ipc), take ipc; freeze the harder 1 - alpha.

    A class too small for the skip takes the last rows that it has.
    """
    chosen: list[NDArray[np.int64]] = []
    free: list[NDArray[np.int64]] = []
    count = 0
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        order = own[np.argsort(-hardness[own], kind="stable")]
        take = min(images_per_class, len(order))
        skip = min(math.floor(beta * images_per_class), len(order) - take)
        chosen.append(order[skip : skip + take])
        frozen = round((1 - alpha) * take)
        free.append(np.arange(count + frozen, count + take))
        count += take
    return Window(np.concatenate(chosen), np.concatenate(free))
