"""How TURTLE scales one space of embeddings: learned from the training rows, applied alike to unseen ones.

The training rows themselves may be averaged with their neighbours before: what distinguishes groups stays, what
distinguishes images goes, so that a linear classifier finds the groups and not any labels of a few hundred images.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from engine.clustering.deep.data import Normaliser
from engine.clustering.deep.start_labels import SMOOTH_DIMENSIONS, neighbor_averages
from engine.clustering.deep.turtle.settings import TURTLESettings
from engine.core.vectors import Vectors, blocks, unit
from engine.geometry.neighbors import NeighborGraph


class SpaceScaling:
    """Normalisers of one space, applied one after the other."""

    def __init__(self, steps: list[Normaliser]) -> None:
        self.steps = steps

    @classmethod
    def fit(cls, rows: Vectors, graph: NeighborGraph | None, settings: TURTLESettings) -> tuple[Self, Vectors]:
        """Learn the scaling of (n, d) training rows, and return it with these rows as the network sees them.

        Parameters
        ----------
        graph : NeighborGraph or None
            The neighbours to average with; None leaves the rows as they are.
        settings : TURTLESettings
            Resolved.
        """
        steps = []
        if graph is not None:
            steps.append(Normaliser("principal", SMOOTH_DIMENSIONS).fit(rows))
            rows = unit(neighbor_averages(cls(steps)(rows), graph, n_neighbors=settings.n_neighbors))
        last = Normaliser(settings.normalise, settings.n_components).fit(rows)
        return cls([*steps, last]), cls([last])(rows)

    def __call__(self, rows: Vectors) -> Vectors:
        """Return (m, d) rows as the network sees them, (m, c) float32."""
        for step in self.steps:
            scaled = np.empty((len(rows), step.width(rows.shape[1])), dtype=np.float32)
            for part in blocks(len(rows)):
                scaled[part] = step(torch.from_numpy(np.array(rows[part], dtype=np.float32))).numpy()
            rows = scaled
        return rows

    def width(self, columns: int) -> int:
        """Return the columns that leave, given the space's own number."""
        for step in self.steps:
            columns = step.width(columns)
        return columns

    def state(self) -> list[dict[str, Any]]:
        """Return what `load` needs."""
        return [step.state() for step in self.steps]

    @classmethod
    def load(cls, state: list[dict[str, Any]]) -> Self:
        """Rebuild from `state()`."""
        return cls([Normaliser.load(kept) for kept in state])
