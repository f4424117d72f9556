"""How briefly rows can be coded: coding rate of one set and coding length of a clustering, in nats.

Plain float64 numbers; the rates that CPP trains with are in torch, beside CPP.

References
----------
Ma, Derksen, Hong, Wright, "Segmentation of multivariate mixed data via lossy coding and compression", PAMI 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def coding_rate(rows: NDArray[Any], *, epsilon2: float = 0.1) -> float:
    """Return R = 1/2 logdet(I + d/(n e2) Z^T Z) of (n, d) rows to a squared distortion e2, over the smaller Gram."""
    count, d = rows.shape
    array = rows.astype(np.float64)
    gram = array.T @ array if d <= count else array @ array.T
    return float(0.5 * np.linalg.slogdet(np.eye(len(gram)) + d / (epsilon2 * count) * gram)[1])


def coding_length(
    rows: NDArray[Any], labels: NDArray[np.integer[Any]], *, epsilon2: float = 0.1, means: bool = False
) -> float:
    """Return the nats that code (n, d) rows cluster by cluster: sum_k (m_k + d) R(Z_k) - m_k ln(m_k / n).

    Parameters
    ----------
    labels : (n,) int
        The cluster of each row.
    epsilon2 : float
        Squared distortion.
    means : bool
        Off: each cluster is a subspace through the origin. On: each is a Gaussian around its mean, which costs
        d/2 ln(1 + |mean|^2 / e2) more.
    """
    total, d = 0.0, rows.shape[1]
    for cluster in np.unique(labels):
        members = rows[labels == cluster].astype(np.float64)
        count = len(members)
        if means:
            mean = members.mean(axis=0)
            members = members - mean
            total += 0.5 * d * float(np.log1p(mean @ mean / epsilon2))
        total += (count + d) * coding_rate(members, epsilon2=epsilon2) - count * np.log(count / len(rows))
    return float(total)
