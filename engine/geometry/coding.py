"""Coding length: how many nats it takes to write rows down to a given distortion when each cluster has its own code.

The clustering that codes its rows most briefly fits them best, so the length compares numbers of clusters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def coding_length(
    rows: NDArray[Any], labels: NDArray[np.integer[Any]], *, epsilon2: float = 0.1, means: bool = False
) -> float:
    """Return L = sum_k (m_k + d)/2 logdet(I + d/(e2 m_k) Z_k Z_k^T) - m_k ln(m_k / m), in nats.

    Parameters
    ----------
    rows : (m, d) float
    labels : (m,) int
        Every value is a cluster.
    epsilon2 : float
        Squared distortion.
    means : bool
        Clusters are Gaussians around their means, not subspaces through the origin: rows are centred in each
        cluster, and each mean costs d/2 ln(1 + |mean|^2 / e2).

    References
    ----------
    Ma, Derksen, Hong, Wright, "Segmentation of multivariate mixed data via lossy coding", PAMI 2007.
    """
    d, total = rows.shape[1], 0.0
    for cluster in np.unique(labels):
        members = rows[labels == cluster].astype(np.float64)
        count = len(members)
        if means:
            mean = members.mean(axis=0)
            members -= mean
            total += 0.5 * d * np.log1p(mean @ mean / epsilon2)
        gram = members.T @ members if d <= count else members @ members.T
        total += 0.5 * (count + d) * np.linalg.slogdet(np.eye(len(gram)) + d / (epsilon2 * count) * gram)[1]
        total -= count * np.log(count / len(rows))
    return float(total)
