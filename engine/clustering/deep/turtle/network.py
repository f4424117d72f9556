"""TURTLE's networks: the task encoders that make the labels, and the linear classifiers that try to learn them.

H labellings from different starts train side by side: their K columns stand beside one another in one matrix, so that
the embeddings are read once for all of them.

References
----------
Gadetsky, Jiang, Brbic, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024, arXiv:2406.07236.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_TINY = 1e-12


class TaskEncoders(nn.Module):
    """Weight-normalised linear maps theta_s from each space to K logits, for H labellings at once, and `classifiers`.

    Parameters
    ----------
    widths : sequence of int
        Columns of each space; they stand side by side in the input.
    n_heads, n_clusters : int
        H and K.
    """

    def __init__(self, *, widths: Sequence[int], n_heads: int, n_clusters: int) -> None:
        super().__init__()
        self.widths, self.n_heads, self.n_clusters = tuple(widths), n_heads, n_clusters
        starts = [uniform_columns(width, n_heads * n_clusters) for width in widths]
        self.direction = nn.ParameterList([nn.Parameter(start[:-1].clone()) for start in starts])
        self.gain = nn.ParameterList([nn.Parameter(start[:-1].norm(dim=0)) for start in starts])
        self.bias = nn.ParameterList([nn.Parameter(start[-1].clone()) for start in starts])
        self.classifiers = nn.ModuleList(
            LinearClassifiers(width, n_heads=n_heads, n_clusters=n_clusters) for width in widths
        )

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the (b, d_s) columns of each space."""
        return x.split(self.widths, dim=1)

    def logits(self, x: Tensor) -> list[Tensor]:
        """Return the (b, H, K) logits of each space for (b, sum of d_s) rows."""
        found = []
        for space, direction, gain, bias in zip(self.split(x), self.direction, self.gain, self.bias, strict=True):
            weight = direction * (gain / direction.norm(dim=0).clamp_min(_TINY))
            found.append(torch.addmm(bias, space, weight).unflatten(1, (self.n_heads, self.n_clusters)))
        return found

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return tau_s = softmax(theta_s z_s), (b, H, K) of each space; the labelling is their mean."""
        return [logits.float().softmax(dim=2) for logits in self.logits(x)]


def uniform_columns(n_in: int, n_columns: int, generator: torch.Generator | None = None) -> Tensor:
    """Return (n_in + 1, n_columns) uniform in +-1/sqrt(n_in), the start of a linear layer; the last row is its bias."""
    return (torch.rand(n_in + 1, n_columns, generator=generator) * 2 - 1) / n_in**0.5


class LinearClassifiers(nn.Module):
    """H linear classifiers of one space, fitted by Adam to H labellings at once; no autograd.

    Their weights and Adam's moments are buffers, so that a checkpoint holds them and no optimiser touches them.

    Parameters
    ----------
    n_in : int
        d, columns of the space.
    n_heads, n_clusters : int
        H and K.
    """

    weight: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor

    def __init__(self, n_in: int, *, n_heads: int, n_clusters: int) -> None:
        super().__init__()
        self.shape = (n_heads, n_clusters)
        start = uniform_columns(n_in, n_heads * n_clusters)
        self.register_buffer("weight", start)  # (d + 1, H * K), the last row are the biases
        self.register_buffer("first", torch.zeros_like(start))
        self.register_buffer("second", torch.zeros_like(start))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def restart(self, generator: torch.Generator) -> None:
        """Begin again from fresh random weights."""
        rows, columns = self.weight.shape
        self.weight.copy_(uniform_columns(rows - 1, columns, generator))
        self.first.zero_()
        self.second.zero_()
        self.steps.zero_()

    @torch.no_grad()
    def fit(self, x: Tensor, tau: Tensor, *, n_steps: int, learning_rate: float) -> None:
        """Make `n_steps` steps of Adam on the cross-entropy of (b, d) rows to (b, H, K) soft labels."""
        done, bias = int(self.steps), self.weight[-1]
        gradient = torch.empty_like(self.weight)
        for step in range(done + 1, done + n_steps + 1):
            found = torch.addmm(bias, x, self.weight[:-1]).view(tau.shape).softmax(dim=2)
            error = found.sub_(tau).div_(len(x)).flatten(1)
            torch.mm(x.T, error, out=gradient[:-1])
            torch.sum(error, dim=0, out=gradient[-1])
            self.first.lerp_(gradient, 1 - _BETAS[0])
            self.second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
            size = (self.second / (1 - _BETAS[1] ** step)).sqrt_().add_(_EPSILON)
            self.weight.addcdiv_(self.first, size, value=-learning_rate / (1 - _BETAS[0] ** step))
        self.steps += n_steps

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return log softmax(w z) of (b, d) rows, (b, H, K)."""
        return torch.addmm(self.weight[-1], x, self.weight[:-1]).unflatten(1, self.shape).log_softmax(dim=2)


@dataclass(frozen=True)
class TurtleLoss:
    """The outer objective of each labelling, (H,), and its parts.

    Attributes
    ----------
    heads : (H,) Tensor
        cross_entropy + gamma * unevenness, with gradient through tau alone.
    cross_entropy : (H,) Tensor
        Of the classifiers on the labelling, summed over the spaces; nats.
    unevenness : (H,) Tensor
        log K - H(mean of tau_s), summed over the spaces; nats, 0 for even sizes.
    """

    heads: Tensor
    cross_entropy: Tensor
    unevenness: Tensor


def turtle_loss(taus: Sequence[Tensor], learned: Sequence[Tensor], *, gamma: float) -> TurtleLoss:
    """Return the outer objective: what the fitted classifiers get wrong of the labelling, and how uneven it is.

    Parameters
    ----------
    taus : sequence of (b, H, K) Tensor
        tau_s of each space, with gradient.
    learned : sequence of (b, H, K) Tensor
        Log-probabilities of each space's classifiers, without gradient.
    gamma : float
        Weight of the evenness.
    """
    tau = torch.stack(list(taus)).mean(dim=0)
    cross_entropy = torch.stack([-(tau * found).sum(dim=2).mean(dim=0) for found in learned]).sum(dim=0)
    means = torch.stack([space.mean(dim=0) for space in taus])
    unevenness = (means * (means.clamp_min(_TINY) * means.shape[2]).log()).sum(dim=(0, 2))
    return TurtleLoss(cross_entropy + gamma * unevenness, cross_entropy, unevenness)
