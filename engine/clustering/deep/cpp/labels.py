"""From CPP's learned representation to labels: spectral clustering of the membership, unseen images, coding length.

`c` and `z` are the unit rows of the two heads, (n, d) float32. Up to `EXACT_ROWS` images the whole membership is
used, held as one n x n matrix; above that a thin one between the images and random landmarks. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.kmeans import assign, train_kmeans
from engine.core.labels import Labels
from engine.core.vectors import Vectors, blocks
from engine.geometry.coding import coding_length, coding_rate

EXACT_ROWS = 10_000
LANDMARKS = 2_000
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvectors of a membership, from which every K up to their number can be cut.

    Attributes
    ----------
    vectors : (n, k) float32
        In falling eigenvalue.
    landmarks : (m,) int64 or None
        Rows that the membership was computed to; None when it was all of them.
    """

    vectors: Vectors
    landmarks: NDArray[np.int64] | None

    @property
    def note(self) -> str:
        """What was used, in words."""
        if self.landmarks is None:
            return "Labels by spectral clustering of the full membership."
        return (
            f"Labels by landmark spectral clustering: the membership of all images to {len(self.landmarks):,} random "
            "ones, because the full one would be too large."
        )

    def labels(self, n_clusters: int, random_state: int) -> Labels:
        """Cut into `n_clusters` by k-means on the row-normalised leading eigenvectors."""
        rows = self.vectors[:, :n_clusters]
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        centers = train_kmeans(rows, n_clusters, spherical=False, n_init=10, random_state=random_state)
        return assign(rows, centers)[0]


def spectrum(
    c: Vectors,
    n_vectors: int,
    *,
    eta: float,
    random_state: int = 0,
    exact_rows: int = EXACT_ROWS,
    n_landmarks: int = LANDMARKS,
) -> Spectrum:
    """Return the leading eigenvectors of the normalised (Pi + Pi^T) / 2, exact or by landmarks.

    Parameters
    ----------
    c : (n, d) float32
        Unit rows of the cluster head.
    n_vectors : int
        How many; the largest K that will be cut.
    eta : float
        Temperature of the membership.
    exact_rows, n_landmarks : int
        Above `exact_rows` images, the membership is to that many landmarks.

    References
    ----------
    Ng, Jordan, Weiss, "On spectral clustering", NIPS 2001. Chen, Cai, "Large scale spectral clustering with
    landmark-based representation", AAAI 2011.
    """
    if len(c) <= exact_rows:
        return Spectrum(_exact(c, n_vectors, eta, random_state), None)
    rng = np.random.default_rng(random_state)
    chosen = np.sort(rng.choice(len(c), min(max(n_landmarks, 5 * n_vectors), len(c)), replace=False))
    thin = np.empty((len(c), len(chosen)), dtype=np.float32)
    for rows in blocks(len(c)):
        thin[rows] = np.exp((np.abs(c[rows] @ c[chosen].T) - 1.0) / eta)
    thin /= thin.sum(axis=1, keepdims=True)
    thin /= np.sqrt(thin.sum(axis=0, dtype=np.float64)).astype(np.float32)
    _, vectors = np.linalg.eigh((thin.T @ thin).astype(np.float64))
    leading = thin @ np.ascontiguousarray(vectors[:, ::-1][:, :n_vectors], dtype=np.float32)
    return Spectrum(leading / np.maximum(np.linalg.norm(leading, axis=0), 1e-12), chosen)


def membership_factors(c: Vectors, eta: float, *, half_steps: int = 5) -> tuple[Vectors, Doubles, Doubles]:
    """Return (kernel, left, right) with n Pi = left[:, None] * kernel * right: Sinkhorn by products with one matrix.

    The same five half-steps as in training, rows first and last, so rows of n Pi sum to 1; the kernel is
    exp((|c c^T| - 1) / eta), which cannot overflow.
    """
    kernel = c @ c.T
    np.abs(kernel, out=kernel)
    kernel -= 1.0
    kernel /= eta
    np.exp(kernel, out=kernel)
    right = np.ones(len(c))
    for _ in range(half_steps // 2):
        left = 1.0 / (kernel @ right.astype(np.float32)).astype(np.float64)
        right = 1.0 / (left.astype(np.float32) @ kernel).astype(np.float64)
    return kernel, 1.0 / (kernel @ right.astype(np.float32)).astype(np.float64), right


def _exact(c: Vectors, n_vectors: int, eta: float, random_state: int) -> Vectors:
    from scipy.sparse.linalg import LinearOperator, eigsh

    n = len(c)
    kernel, left, right = membership_factors(c, eta)

    def symmetric(x: NDArray[Any]) -> Doubles:
        # The kernel is symmetric, so both halves of (Pi + Pi^T) / 2 are one pass over it.
        x = x.ravel()
        reached = kernel @ np.stack([right * x, left * x], axis=1).astype(np.float32)
        return 0.5 * (left * reached[:, 0] + right * reached[:, 1])

    root = 1.0 / np.sqrt(symmetric(np.ones(n)))
    if n_vectors >= n - 1:
        dense = 0.5 * (left[:, None] * kernel * right + right[:, None] * kernel * left) * root[:, None] * root
        return np.linalg.eigh(dense)[1][:, ::-1][:, :n_vectors].astype(np.float32)
    operator = LinearOperator((n, n), matvec=lambda x: root * symmetric(root * x.ravel()), dtype=np.float64)
    start = np.random.default_rng(random_state).normal(size=n)
    values, vectors = eigsh(operator, n_vectors, which="LA", v0=start, tol=1e-5)
    return vectors[:, np.argsort(-values)].astype(np.float32)


def votes(c: Vectors, labels: Labels, n_clusters: int, *, eta: float, landmarks: NDArray[np.int64] | None) -> Vectors:
    """Return the membership of each image in each cluster, (n, K) float32 with rows that sum to 1."""
    known = c if landmarks is None else c[landmarks]
    own = np.eye(n_clusters, dtype=np.float32)[labels if landmarks is None else labels[landmarks]]
    found = np.empty((len(c), n_clusters), dtype=np.float32)
    for rows in blocks(len(c), 2048):
        found[rows] = np.exp((np.abs(c[rows] @ known.T) - 1.0) / eta) @ own
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-30)


class IncrementalCoding:
    """Assigns unseen rows to the cluster whose subspace codes them with the fewest further nats.

    The increment is L(C_k and c) - L(C_k) - ln(m_k / m), exact by one rank-one update for each row.

    References
    ----------
    Wright, Tao, Lin, Ma, Shum, "Classification via minimum incremental coding length", NIPS 2007.
    """

    def __init__(self, c: Vectors, labels: Labels, n_clusters: int, *, epsilon2: float) -> None:
        d = c.shape[1]
        self.inverse = np.empty((n_clusters, d, d), dtype=np.float32)
        self.scale, self.factor = np.empty(n_clusters), np.empty(n_clusters)
        self.constant = np.full(n_clusters, np.inf)
        for cluster in range(n_clusters):
            members = c[labels == cluster].astype(np.float64)
            count = len(members)
            scatter, eye = members.T @ members, np.eye(d)
            scale = d / (epsilon2 * (count + 1))
            grown = eye + scale * scatter
            self.inverse[cluster] = np.linalg.inv(grown)
            self.scale[cluster], self.factor[cluster] = scale, (count + 1 + d) / 2
            if count:
                before = np.linalg.slogdet(eye + d / (epsilon2 * count) * scatter)[1]
                after = np.linalg.slogdet(grown)[1]
                self.constant[cluster] = (count + 1 + d) / 2 * after - (count + d) / 2 * before - np.log(count / len(c))

    def increments(self, c: Vectors) -> Doubles:
        """Return the further nats of each of (m, d) rows in each cluster, (m, K); infinite for empty ones."""
        found = np.empty((len(c), len(self.constant)))
        for cluster, inverse in enumerate(self.inverse):
            reached = np.einsum("id,id->i", c @ inverse, c)
            found[:, cluster] = self.constant[cluster] + self.factor[cluster] * np.log1p(self.scale[cluster] * reached)
        return found

    def __call__(self, c: Vectors) -> tuple[Labels, Vectors]:
        """Return labels (m,) and the probability of each, softmax of the negative increments, (m,) float32."""
        nats = self.increments(c)
        nats -= nats.min(axis=1, keepdims=True)
        chance = np.exp(-nats)
        return nats.argmin(axis=1).astype(np.int32), (1.0 / chance.sum(axis=1)).astype(np.float32)


def rate_reduction(z: Vectors, labels: Labels, *, epsilon2: float = 0.1) -> float:
    """Return (R(Z) - Rc(Z, labels)) / R(Z): the share of the coding rate that the clusters save, in [0, 1)."""
    whole = coding_rate(z, epsilon2=epsilon2)
    parts = sum((labels == k).mean() * coding_rate(z[labels == k], epsilon2=epsilon2) for k in np.unique(labels))
    return (whole - parts) / whole if whole > 0 else 0.0


@dataclass(frozen=True)
class CodingCurve:
    """Coding length over K.

    Attributes
    ----------
    ks : (m,) int64
    lengths : (m,) float64
        Nats per image, the shortest of the repeats.
    spread : (m,) float64
        Standard deviation over the repeats.
    best : int
        Where it is shortest.
    clear : bool
        The minimum is inside the range and further below its neighbours than the noise.
    sentence : str
        The finding; "no clear K" when it is not clear.
    """

    ks: NDArray[np.int64]
    lengths: Doubles
    spread: Doubles
    best: int
    clear: bool
    sentence: str


def coding_curve(
    z: Vectors,
    found: Spectrum,
    ks: NDArray[np.int64],
    *,
    epsilon2: float = 0.1,
    random_state: int = 0,
    repeats: int = 3,
) -> CodingCurve:
    """Cut the spectrum at each K and measure how briefly the clusters code `z` (n, d)."""
    table = np.array(
        [
            [
                coding_length(z, found.labels(k, random_state + 100 * again), epsilon2=epsilon2)
                for again in range(repeats)
            ]
            for k in ks.tolist()
        ]
    ) / len(z)
    lengths, spread = table.min(axis=1), table.std(axis=1)
    position = int(lengths.argmin())
    near = [lengths[i] for i in (position - 1, position + 1) if 0 <= i < len(ks)]
    noise = max(float(np.median(spread)), 1e-3 * abs(float(lengths[position])))
    clear = len(near) == 2 and min(near) - lengths[position] > noise
    best = int(ks[position])
    if clear:
        sentence = f"The coding length is shortest at K = {best}."
    elif len(near) == 2:
        sentence = f"no clear K: the coding length is flat around its minimum at {best}."
    else:
        sentence = f"no clear K: the coding length is shortest at the edge of the range, {best}."
    return CodingCurve(ks, lengths, spread, best, bool(clear), sentence)
