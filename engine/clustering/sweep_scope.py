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
        "fast", "balanced" or "comprehensive"; "gpu" is balanced where there must be a GPU.
    kmin, kmax : int
        Bounds of the number of clusters.
    wanted : int or None
        About how many clusters the person expects; None where nothing is known.
    """

    count: int
    mode: SweepMode
    kmin: int
    kmax: int
    wanted: int | None = None

    @property
    def k0(self) -> int:
        """One number of clusters for a method that tries only one: what the person expects, else 10, within bounds."""
        return int(np.clip(self.wanted or 10, self.kmin, self.kmax))

    def spread(self, number: int) -> list[int]:
        """Return about `number` numbers of clusters from `kmin` to `kmax`, evenly on a logarithmic scale."""
        return sorted({round(k) for k in np.geomspace(self.kmin, self.kmax, number)})

    def group_sizes(self, number: int) -> list[int]:
        """Return about `number` least sizes of a cluster, evenly on a logarithmic scale.

        From an eighth of a group to a whole one where the person expects a number of groups; else from a thousandth of
        the images, 5 at least, to a twentieth. Never below 3 or above a quarter of the images.
        """
        most = max(3, self.count // 4)
        if self.wanted is None:
            low, high = max(5.0, self.count / 1000), max(5.0, self.count / 20)
        else:
            low, high = self.count / self.wanted / 8, self.count / self.wanted
        return sorted({int(np.clip(round(size), 3, most)) for size in np.geomspace(low, high, number)})
