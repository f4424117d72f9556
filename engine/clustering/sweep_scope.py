"""What a sweep asks of each method: how many images there are, how thorough it is, how many clusters make sense.

Each method answers with its own candidates, in `sweep_grid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

SweepMode = Literal["fast", "balanced", "comprehensive", "gpu"]


@dataclass(frozen=True)
class SweepScope:
    """The frame of one sweep.

    Attributes
    ----------
    count : int
        Images.
    mode : str
        "fast", "balanced" or "comprehensive"; "gpu" is balanced on a GPU.
    target_size : float
        Images that a cluster should hold, about.
    kmin, kmax : int
        Bounds of the number of clusters.
    """

    count: int
    mode: SweepMode
    target_size: float
    kmin: int
    kmax: int

    @property
    def k0(self) -> int:
        """The number of clusters at which one holds the target size."""
        return int(np.clip(round(self.count / self.target_size), self.kmin, self.kmax))

    def around(self, *factors: float) -> list[int]:
        """Return `k0` times each factor, within the bounds and without repeats, rising."""
        return sorted({int(np.clip(round(self.k0 * factor), self.kmin, self.kmax)) for factor in factors})

    def spread(self, number: int) -> list[int]:
        """Return about `number` numbers of clusters from `kmin` to `kmax`, evenly on a logarithmic scale."""
        return sorted({round(k) for k in np.geomspace(self.kmin, self.kmax, number)})

    def group_size(self, share: float) -> int:
        """Return `share` times the target size as a least size of a cluster: 3 to a quarter of the images."""
        return int(np.clip(round(self.target_size * share), 3, max(3, self.count // 4)))
