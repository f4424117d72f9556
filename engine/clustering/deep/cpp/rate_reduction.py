"""Coding rates and the doubly stochastic membership of CPP, as differentiable functions of bounded memory.

Features are rows here: `z` is (n, d), the transpose of the paper's Z. Natural logarithms throughout.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function

from engine.core.device import free_memory
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


def _logdet_and_inverse(matrices: Tensor, broken: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return log determinants and inverses; what is broken is counted in `broken` (), or mended where that is None."""
    if broken is None:
        factors = _factor(matrices)
        return _logdet(factors), torch.cholesky_inverse(factors)
    factors, found = torch.linalg.cholesky_ex(matrices)
    broken += (found > 0).sum()
    eye = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
    return _logdet(factors), torch.cholesky_solve(eye.expand_as(factors), factors)  # cholesky_inverse would wait, too


def _waits(device: torch.device) -> bool:
    """Whether to ask the device a question waits for all that it has to do, so that one is asked for all chunks."""
    return device.type != "cpu"


@cache
def chunk_bytes(device: torch.device) -> int:
    """Return the bytes that the matrices of a chunk may take: a quarter of what a GPU has free, 64 MiB of a CPU's."""
    return CHUNK_BYTES if device.type == "cpu" else max(CHUNK_BYTES, free_memory(str(device)) // 4)


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
        broken = torch.zeros((), dtype=torch.int64, device=z.device) if _waits(z.device) else None
        value, grad_z, grad_g = _rate_and_gradients(z, membership, epsilon2, chunk, packed, broken)
        if broken is not None and bool(broken > 0):
            value, grad_z, grad_g = _rate_and_gradients(z, membership, epsilon2, chunk, packed, None)
        ctx.save_for_backward(grad_z, grad_g)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None, None, None]:  # noqa: ANN401
        grad_z, grad_g = ctx.saved_tensors
        return grads[0] * grad_z, grads[0] * grad_g, None, None, None


def _rate_and_gradients(
    z: Tensor, membership: Tensor, epsilon2: float, chunk: int, packed: bool, broken: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return Rc and its gradients by z and by the membership; see `_logdet_and_inverse` for `broken`."""
    n, d = z.shape
    sizes = membership.sum(dim=0) + 1e-8
    side: _Side = (_Packed(z) if packed else _Primal(z)) if d <= n else _Dual(z)
    value = z.new_zeros(())
    grad_g = torch.empty_like(membership)
    for start in range(0, membership.shape[1], chunk):
        part = slice(start, start + chunk)
        logdets, traces, quadratic = side.chunk(membership[:, part], d / (sizes[part] * epsilon2), broken)
        value = value + (sizes[part] * logdets).sum() / (2 * n)
        # s_j/2n * dlogdet/dG_ij, where s_j * d/(s_j e2) is constant, plus the derivative through s_j.
        grad_g[:, part] = d / (2 * n * epsilon2) * quadratic + (logdets - traces) / (2 * n)
    return value, side.pulled() * (d / (n * epsilon2)), grad_g


class _Side(Protocol):
    """One way to handle M_j = I + scale_j Z^T diag(w_j) Z for a chunk of columns j."""

    def chunk(self, weights: Tensor, scale: Tensor, broken: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return logdet M_j (c,), tr(I - M_j^-1) (c,) and z_i^T M_j^-1 z_i (n, c)."""

    def pulled(self) -> Tensor:
        """Return sum_j w_ij M_j^-1 z_i (n, d) over all chunks seen."""


class _Packed:
    """d x d matrices as rows of their upper triangles: three plain matrix products do all the work."""

    def __init__(self, z: Tensor) -> None:
        self.z, d = z, z.shape[1]
        self.upper = torch.triu_indices(d, d, device=z.device)
        self.twice = torch.where(self.upper[0] == self.upper[1], 1.0, 2.0).to(z.dtype)
        place = torch.empty(d, d, dtype=torch.int64, device=z.device)
        place[self.upper[0], self.upper[1]] = place[self.upper[1], self.upper[0]] = torch.arange(
            self.upper.shape[1], device=z.device
        )
        self.place = place.flatten()  # of each entry of a square, in the triangle
        self.outer = z[:, self.upper[0]] * z[:, self.upper[1]]
        self.total = torch.zeros_like(self.outer)

    def _square(self, rows: Tensor) -> Tensor:
        d = self.z.shape[1]
        return rows.index_select(1, self.place).view(len(rows), d, d)

    def chunk(self, weights: Tensor, scale: Tensor, broken: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        matrices = self._square((weights * scale).T @ self.outer)
        matrices.diagonal(dim1=-2, dim2=-1).add_(1.0)
        logdets, inverse = _logdet_and_inverse(matrices, broken)
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

    def chunk(self, weights: Tensor, scale: Tensor, broken: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        matrices = scale.view(-1, 1, 1) * (self.z.T @ (weights.T.unsqueeze(-1) * self.z))
        matrices.diagonal(dim1=-2, dim2=-1).add_(1.0)
        logdets, inverse = _logdet_and_inverse(matrices, broken)
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

    def chunk(self, weights: Tensor, scale: Tensor, broken: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        root = weights.T.sqrt()
        matrices = scale.view(-1, 1, 1) * root.unsqueeze(-1) * self.gram * root.unsqueeze(-2)
        matrices.diagonal(dim1=-2, dim2=-1).add_(1.0)
        logdets, inverse = _logdet_and_inverse(matrices, broken)
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
        Columns per batched Cholesky; from the free memory of a GPU, else from a fixed budget, when absent.
    packed : bool, optional
        For d <= n: keep the outer products of all rows, as triangles; where they fit a budget when absent.
    """
    n, d = z.shape
    if packed is None:
        packed = n * d * (d + 1) // 2 * z.element_size() <= PACKED_BYTES
    if chunk is None:
        per_column = (6 * d * d if packed else 3 * n * d + 4 * d * d if d <= n else 6 * n * n) * z.element_size()
        exact = torch.are_deterministic_algorithms_enabled()  # sums of other chunks are rounded otherwise
        chunk = max(1, (CHUNK_BYTES if exact else chunk_bytes(z.device)) // per_column)
    value: Tensor = _ConditionalRate.apply(z, membership, epsilon2, chunk, packed)
    return value
