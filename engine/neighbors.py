"""The shared k-nearest-neighbour graph of one embedding set, by FAISS, cached on disk.

HDBSCAN, DBSCAN, spectral methods, UMAP, TEMI pairs, duplicates, outliers and "similar to this" all
read this one graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NeighborGraph:
    """k nearest neighbours of every row, itself excluded by id.

    Attributes
    ----------
    indices : (n, k) int32
        Neighbours in falling similarity.
    similarities : (n, k) float32
        Cosine similarities, in [-1, 1].
    recall : float
        Measured share of true neighbours found; 1.0 for the exact search.
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]
    recall: float = 1.0

    @property
    def k(self) -> int:
        """Neighbours per row."""
        return int(self.indices.shape[1])

    def __len__(self) -> int:
        return len(self.indices)
