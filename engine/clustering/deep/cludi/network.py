"""CLUDI's network and losses: a per-sample MLP that denoises assignment embeddings given frozen features.

Tensors carry the copies first: features are (N, W) or (B, N, W), assignment embeddings (B, N, d), times () or (B,).
`CludiTask` puts these together into a training step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

ROW_TEMPERATURE = 0.1
COLUMN_TEMPERATURE = 0.05


class ScaledSiLU(nn.Module):
    """SiLU divided by 0.596, which keeps the variance of a standard normal input at one."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return silu(inputs) / 0.596."""
        return functional.silu(inputs) / 0.596


def sinusoidal(times: Tensor, width: int) -> Tensor:
    """Return the sinusoidal code of diffusion times, (..., width) for an even `width`."""
    half = width // 2
    rates = torch.exp(-math.log(10_000.0) * torch.arange(half, device=times.device, dtype=torch.float32) / half)
    angles = times.float().unsqueeze(-1) * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class CludiNetwork(nn.Module):
    """The conditional denoiser with its cluster head and codebook.

    Parameters
    ----------
    dimension : int
        D, length of an embedding.
    n_clusters : int
        K.
    embedding_dim : int
        d, length of an assignment embedding.
    width : int, optional
        Width of the feature branch; D in the paper, and when absent. An odd width grows by one,
        because the assignment branch has half of it.
    dropout : float
        After both branches.

    References
    ----------
    Uziel, Chelly, Freifeld, Pakman, "Clustering via Self-Supervised Diffusion", ICML 2025, arXiv:2507.04283.
    """

    centers: Tensor

    def __init__(
        self,
        dimension: int,
        n_clusters: int,
        *,
        embedding_dim: int = 64,
        width: int | None = None,
        dropout: float = 0.15,
    ) -> None:
        super().__init__()
        width = width or dimension
        width += width % 2
        joint = width + width // 2
        self.embedding_dim = embedding_dim
        self.feature_branch = nn.Sequential(
            nn.Linear(dimension, width),
            ScaledSiLU(),
            nn.Linear(width, width),
            nn.LayerNorm(width, elementwise_affine=False),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )
        self.assignment_branch = nn.Sequential(
            nn.Linear(2 * embedding_dim, 2 * embedding_dim),
            ScaledSiLU(),
            nn.Linear(2 * embedding_dim, width // 2),
            nn.LayerNorm(width // 2),
            nn.Linear(width // 2, width // 2),
            nn.Dropout(dropout),
        )
        self.time_width = joint + joint % 2
        self.time_branch = nn.Sequential(
            nn.Linear(self.time_width, 4 * joint), ScaledSiLU(), nn.Linear(4 * joint, joint)
        )
        layers: list[nn.Module] = []
        for _ in range(5):
            layers += [nn.Linear(joint, joint), ScaledSiLU()]
        layers += [nn.Linear(joint, embedding_dim), ScaledSiLU(), nn.Linear(embedding_dim, embedding_dim)]
        layers += [nn.LayerNorm(embedding_dim), nn.Linear(embedding_dim, embedding_dim)]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(embedding_dim, n_clusters)
        self.register_buffer("centers", functional.normalize(torch.randn(n_clusters, embedding_dim), dim=1))

    def features(self, embeddings: Tensor) -> Tensor:
        """Return the feature branch of (..., D) embeddings, (..., W); it depends on neither time nor z."""
        found: Tensor = self.feature_branch(functional.normalize(embeddings, dim=-1))
        return found

    def denoise(self, features: Tensor, noisy: Tensor, times: Tensor, self_cond: Tensor) -> Tensor:
        """Predict v or z_0 from z_t.

        Parameters
        ----------
        features : (N, W) or (B, N, W)
        noisy, self_cond : (B, N, d)
        times : () or (B,)

        Returns
        -------
        (B, N, d)
        """
        assigned = self.assignment_branch(torch.cat([self_cond, noisy], dim=-1))
        joint = torch.cat([features.expand(*assigned.shape[:-1], features.shape[-1]), assigned], dim=-1)
        time = self.time_branch(sinusoidal(times, self.time_width))
        prediction: Tensor = self.trunk(joint + (time if times.ndim == 0 else time.unsqueeze(1)))
        return prediction

    def classify(self, clean: Tensor) -> Tensor:
        """Return the cluster logits of assignment embeddings, (..., K)."""
        logits: Tensor = self.head(clean)
        return logits

    def embed(self, probabilities: Tensor) -> Tensor:
        """Return sqrt(d) * normalise(p @ centres): the assignment embedding of soft labels (..., K)."""
        return math.sqrt(self.embedding_dim) * functional.normalize(probabilities @ self.centers, dim=-1)


def perturb(
    embeddings: Tensor,
    copies: int,
    *,
    low: float = 0.2,
    high: float = 1.0,
    drop_low: float = 0.05,
    drop_high: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return `copies` noisy versions of unit embeddings (N, D): x + s u with feature dropout, (B, N, D).

    u is uniform on the sphere for every row; s ~ U(low, high) and the dropout rate ~ U(drop_low, drop_high)
    are drawn once per copy.
    """
    device, shape = embeddings.device, (copies, *embeddings.shape)
    direction = functional.normalize(torch.randn(shape, generator=generator, device=device), dim=-1)
    strength = low + (high - low) * torch.rand(copies, 1, 1, generator=generator, device=device)
    rate = drop_low + (drop_high - drop_low) * torch.rand(copies, 1, 1, generator=generator, device=device)
    kept = torch.rand(shape, generator=generator, device=device) >= rate
    return (embeddings + strength * direction) * kept / (1.0 - rate)


def diffusion_loss(looped: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return mean_b w_b MSE(z_loop_b, z_0_b) of (B, N, d) embeddings and (B,) weights."""
    return (weights * (looped - target).square().mean(dim=(1, 2))).mean()


def _log_rows(logits: Tensor, uniform_prior: bool) -> Tensor:
    """Return log A: softmax over clusters, normalised over the batch to a uniform marginal."""
    rows = functional.log_softmax(logits / ROW_TEMPERATURE, dim=-1)
    if not uniform_prior:
        return rows
    return rows - rows.logsumexp(dim=-2, keepdim=True) + math.log(logits.shape[-2] / logits.shape[-1])


def _columns(logits: Tensor, uniform_prior: bool) -> Tensor:
    """Return C: softmax over the batch, normalised over clusters."""
    if not uniform_prior:
        return functional.softmax(logits / ROW_TEMPERATURE, dim=-1)
    return functional.softmax(functional.log_softmax(logits / COLUMN_TEMPERATURE, dim=-2), dim=-1)


def symmetric_cross_entropy(teacher: Tensor, student: Tensor, weights: Tensor, *, uniform_prior: bool = True) -> Tensor:
    """Return the symmetric cross-entropy with a uniform prior over all pairs of copies.

    Bilinear in the copies' means, so no B x B x N x K tensor is ever built.

    Parameters
    ----------
    teacher, student : (B, N, K)
        Logits; the teacher's carry no gradient.
    weights : (B,)
        Weight of each student copy.
    uniform_prior : bool
        Without it only the plain cross-entropy is left, which collapses: kept for the experiment that shows it.

    References
    ----------
    Equation 7 of the CLUDI specification; Amrani, Karlinsky, Bronstein, "Self-Supervised Classification Network",
    ECCV 2022, arXiv:2103.10994.
    """
    scale = weights.view(-1, 1, 1)
    forward = -(
        _columns(teacher, uniform_prior).mean(dim=0) * (scale * _log_rows(student, uniform_prior)).mean(dim=0)
    ).sum(dim=-1)
    backward = -(
        (scale * _columns(student, uniform_prior)).mean(dim=0) * _log_rows(teacher, uniform_prior).mean(dim=0)
    ).sum(dim=-1)
    return 0.5 * (forward.mean() + backward.mean())
