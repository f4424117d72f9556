"""Coding rates and the doubly stochastic membership of CPP, as differentiable functions of bounded memory.

Features are rows here: `z` is (n, d), the transpose of the paper's Z. Natural logarithms throughout.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function

from engine.core.errors import TrainingError

CHUNK_BYTES = 64 * 2**20
PACKED_BYTES = 128 * 2**20


def sinkhorn(affinity: Tensor, eta: float, *, half_steps: int = 5) -> Tensor:
    """Return G = n Pi, the doubly stochastic scaling of exp(affinity / eta) in the log domain.

    Half-steps alternate rows, columns, ..., rows, so the rows of G sum to 1 exactly and its columns nearly.
    The column potentials carry no gradient.

    Parameters
    ----------
    affinity : (n, n)
        |C C^T| of unit rows, in [0, 1].
    eta : float
        Temperature; small makes rows sparse.
    half_steps : int
        Odd number of half-steps.

    References
    ----------
    Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models", ICLR 2024,
    arXiv:2306.05272; Ding et al., "Unsupervised Manifold Linearizing and Clustering", ICCV 2023, arXiv:2301.01805.
    """
    scaled = affinity / eta
    columns = torch.zeros(affinity.shape[1], device=affinity.device, dtype=affinity.dtype)
    with torch.no_grad():
        fixed = scaled.detach()
        for _ in range(half_steps // 2):
            rows = -(fixed + columns).logsumexp(dim=1, keepdim=True)
            columns = -(fixed + rows).logsumexp(dim=0)
    return (scaled + columns).softmax(dim=1)


def _factor(matrices: Tensor) -> Tensor:
    """Return Cholesky factors of I + (positive semi-definite), adding jitter once where rounding broke one."""
    factors, broken = torch.linalg.cholesky_ex(matrices)
    if bool((broken > 0).any()):
        jitter = 1e-4 * matrices.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
        eye = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
        factors, broken = torch.linalg.cholesky_ex(matrices + jitter * eye)
        if bool((broken > 0).any()) or not bool(torch.isfinite(factors).all()):
            raise TrainingError(
                "A coding rate became singular: the features hold NaN or grew without bound.",
                "Lower the learning rate; the last good checkpoint is kept.",
            )
    return factors


def _logdet(factors: Tensor) -> Tensor:
    return 2.0 * factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)


def _logdet_and_inverse(matrices: Tensor) -> tuple[Tensor, Tensor]:
    factors = _factor(matrices)
    return _logdet(factors), torch.cholesky_inverse(factors)


def coding_rate(z: Tensor, *, epsilon2: float = 0.1) -> Tensor:
    """Return R(Z) = 1/2 logdet(I + d / (n e2) Z Z^T) of (n, d) rows, over the smaller of both Gram matrices."""
    n, d = z.shape
    gram = z.T @ z if d <= n else z @ z.T
    eye = torch.eye(gram.shape[0], device=z.device, dtype=z.dtype)
    return 0.5 * _logdet(_factor(eye + d / (n * epsilon2) * gram))


class _ConditionalRate(Function):
    """Rc(Z, G) with its gradients found in the same pass, chunk by chunk, so no n matrices of d x d are ever kept."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, membership: Tensor, epsilon2: float, chunk: int, packed: bool) -> Tensor:  # noqa: ANN401
        n, d = z.shape
        sizes = membership.sum(dim=0) + 1e-8
        side: _Side = (_Packed(z) if packed else _Primal(z)) if d <= n else _Dual(z)
        value = z.new_zeros(())
        grad_g = torch.empty_like(membership)
        for start in range(0, membership.shape[1], chunk):
            part = slice(start, start + chunk)
            logdets, traces, quadratic = side.chunk(membership[:, part], d / (sizes[part] * epsilon2))
            value = value + (sizes[part] * logdets).sum() / (2 * n)
            # s_j/2n * dlogdet/dG_ij, where s_j * d/(s_j e2) is constant, plus the derivative through s_j.
            grad_g[:, part] = d / (2 * n * epsilon2) * quadratic + (logdets - traces) / (2 * n)
        ctx.save_for_backward(side.pulled() * (d / (n * epsilon2)), grad_g)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None, None, None]:  # noqa: ANN401
        grad_z, grad_g = ctx.saved_tensors
        return grads[0] * grad_z, grads[0] * grad_g, None, None, None


class _Side(Protocol):
    """One way to handle M_j = I + scale_j Z^T diag(w_j) Z for a chunk of columns j."""

    def chunk(self, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logdet M_j (c,), tr(I - M_j^-1) (c,) and z_i^T M_j^-1 z_i (n, c)."""

    def pulled(self) -> Tensor:
        """Return sum_j w_ij M_j^-1 z_i (n, d) over all chunks seen."""


class _Packed:
    """d x d matrices as rows of their upper triangles: three plain matrix products do all the work."""

    def __init__(self, z: Tensor) -> None:
        self.z, d = z, z.shape[1]
        self.upper = torch.triu_indices(d, d, device=z.device)
        self.twice = torch.where(self.upper[0] == self.upper[1], 1.0, 2.0).to(z.dtype)
        self.outer = z[:, self.upper[0]] * z[:, self.upper[1]]
        self.total = torch.zeros_like(self.outer)

    def _square(self, rows: Tensor) -> Tensor:
        d = self.z.shape[1]
        full = rows.new_empty(len(rows), d, d)
        full[:, self.upper[0], self.upper[1]] = rows
        full[:, self.upper[1], self.upper[0]] = rows
        return full

    def chunk(self, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        matrices = self._square((weights * scale).T @ self.outer)
        matrices.diagonal(dim1=-2, dim2=-1).add_(1.0)
        logdets, inverse = _logdet_and_inverse(matrices)
        rows = inverse[:, self.upper[0], self.upper[1]]
        self.total += weights @ rows
        traces = self.z.shape[1] - inverse.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        return logdets, traces, self.outer @ (rows * self.twice).T

    def pulled(self) -> Tensor:
        found = torch.empty_like(self.z)
        for start in range(0, len(self.z), 128):
            part = slice(start, start + 128)
            found[part] = (self._square(self.total[part]) @ self.z[part].unsqueeze(-1)).squeeze(-1)
        return found


class _Primal:
    """d x d matrices built one chunk at a time, for a d whose triangles of all rows would not fit."""

    def __init__(self, z: Tensor) -> None:
        self.z = z
        self.total = torch.zeros_like(z)

    def chunk(self, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        matrices = scale.view(-1, 1, 1) * (self.z.T @ (weights.T.unsqueeze(-1) * self.z))
        matrices.diagonal(dim1=-2, dim2=-1).add_(1.0)
        logdets, inverse = _logdet_and_inverse(matrices)
        solved = torch.matmul(self.z, inverse)
        self.total += torch.einsum("jnd,nj->nd", solved, weights)
        traces = self.z.shape[1] - inverse.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        return logdets, traces, (solved * self.z).sum(dim=-1).T

    def pulled(self) -> Tensor:
        return self.total


class _Dual:
    """n x n matrices B_j = I + scale_j sqrt(w_j) Z Z^T sqrt(w_j), for n < d: logdet B_j = logdet M_j (Woodbury)."""

    def __init__(self, z: Tensor) -> None:
        self.z, self.gram = z, z @ z.T
        self.total = torch.zeros_like(z)

    def chunk(self, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        root = weights.T.sqrt()
        matrices = scale.view(-1, 1, 1) * root.unsqueeze(-1) * self.gram * root.unsqueeze(-2)
        matrices.diagonal(dim1=-2, dim2=-1).add_(1.0)
        logdets, inverse = _logdet_and_inverse(matrices)
        # M^-1 z_i = z_i - Z^T middle (Z z_i), so everything stays a product with the Gram matrix.
        reached = (scale.view(-1, 1, 1) * root.unsqueeze(-1) * inverse * root.unsqueeze(-2)) @ self.gram
        quadratic = (self.gram.diagonal() - torch.einsum("ni,jni->ji", self.gram, reached)).T
        self.total += weights.sum(dim=1, keepdim=True) * self.z - torch.einsum("jni,ij->in", reached, weights) @ self.z
        return logdets, len(self.z) - inverse.diagonal(dim1=-2, dim2=-1).sum(dim=-1), quadratic

    def pulled(self) -> Tensor:
        return self.total


def conditional_rate(
    z: Tensor, membership: Tensor, *, epsilon2: float = 0.1, chunk: int | None = None, packed: bool | None = None
) -> Tensor:
    """Return Rc(Z, G) = sum_j s_j / 2n logdet(I + d / (s_j e2) Z diag(G_j) Z^T), differentiable in both.

    Parameters
    ----------
    z : (n, d)
    membership : (n, m)
        G, non-negative, rows sum to 1; m = n in training.
    epsilon2 : float
        Squared distortion.
    chunk : int, optional
        Columns per batched Cholesky; from a fixed memory budget when absent.
    packed : bool, optional
        For d <= n: keep the outer products of all rows, as triangles; where they fit a budget when absent.
    """
    n, d = z.shape
    if packed is None:
        packed = n * d * (d + 1) // 2 * z.element_size() <= PACKED_BYTES
    if chunk is None:
        per_column = (6 * d * d if packed else 3 * n * d + 4 * d * d if d <= n else 6 * n * n) * z.element_size()
        chunk = max(1, CHUNK_BYTES // per_column)
    value: Tensor = _ConditionalRate.apply(z, membership, epsilon2, chunk, packed)
    return value
