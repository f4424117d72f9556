"""TEMI's network and loss: H heads as one set of stacked weights, and the weighted beta-PMI of neighbour pairs.

Heads differ only by their initialisation; every operation on them is one batched matmul. The loss works
in log space and float32.

References
----------
Adaloglou, Michels, Kalisch, Kollmann, "Exploring the Limits of Deep Image Clustering using Pretrained
Models", BMVC 2023, arXiv:2303.17896.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

MARGINAL_MOMENTUM = 0.9
_TINY = 1e-12


class StackedLinear(nn.Module):
    """H linear layers side by side: weight (H, in, out), bias (H, 1, out)."""

    def __init__(self, n_heads: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_heads, n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_heads, 1, n_out))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in), shared by the heads, or (H, b, in) to (H, b, out)."""
        if x.ndim == 2:
            kind = x.device.type
            if torch.is_autocast_enabled(kind):  # else the cast would write a copy for each head
                x = x.to(torch.get_autocast_dtype(kind))
            x = x.expand(len(self.weight), *x.shape)
        return torch.baddbmm(self.bias, x, self.weight)


class StackedPrototypes(nn.Module):
    """H bias-free, weight-normalised layers: direction (H, C, in) of any length, gain (H, C)."""

    def __init__(self, n_heads: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.empty(n_heads, n_out, n_in))
        self.gain = nn.Parameter(torch.ones(n_heads, n_out))
        nn.init.trunc_normal_(self.direction, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map (H, b, in) to (H, b, C)."""
        weight = functional.normalize(self.direction, dim=2) * self.gain[:, :, None]
        return torch.bmm(x, weight.transpose(1, 2))


class StackedHeads(nn.Module):
    """H heads: Linear, GELU, Linear, L2-normalise, weight-normalised Linear without bias.

    Parameters
    ----------
    n_heads, n_in, n_hidden, n_bottleneck, n_clusters : int
        The paper: 50 heads, 512 hidden, 256 bottleneck.

    Attributes
    ----------
    marginal : (H, C) buffer
        The running mean of the teacher's probabilities; starts at 1/C.
    """

    marginal: Tensor

    def __init__(self, *, n_heads: int, n_in: int, n_hidden: int, n_bottleneck: int, n_clusters: int) -> None:
        super().__init__()
        self.first = StackedLinear(n_heads, n_in, n_hidden)
        self.second = StackedLinear(n_heads, n_hidden, n_bottleneck)
        self.last = StackedPrototypes(n_heads, n_bottleneck, n_clusters)
        self.register_buffer("marginal", torch.full((n_heads, n_clusters), 1.0 / n_clusters))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, n_in) embeddings to (H, b, C) logits, before the temperature."""
        hidden = functional.gelu(self.first(x))
        return self.last(functional.normalize(self.second(hidden), dim=2))


@dataclass(frozen=True)
class TemiLoss:
    """The loss of each head and its parts, from logits of both views.

    Attributes
    ----------
    heads : (H,) Tensor
        Loss of each head, with gradient; the objective is their mean.
    pmi, weight : scalar Tensor
        Mean beta-PMI and mean pair weight, without gradient.
    """

    heads: Tensor
    pmi: Tensor
    weight: Tensor


def temi_loss(
    student: tuple[Tensor, Tensor],
    teacher: tuple[Tensor, Tensor],
    marginal: Tensor,
    *,
    beta: float = 0.6,
    temperature: float = 0.1,
    teacher_temperature: float = 0.1,
) -> TemiLoss:
    """Return TEMI's loss for a batch of neighbour pairs and update `marginal` in place, before it is used.

    Parameters
    ----------
    student, teacher : pair of (H, b, C) Tensor
        Logits of both views (x, x').
    marginal : (H, C) Tensor
        m <- 0.9 m + 0.1 (mean of the teacher's probabilities over both views).
    beta : float
        In (0, 1]; below 1 balances the clusters more.
    temperature, teacher_temperature : float
        Divide the logits.
    """
    here, there = (functional.log_softmax(view.float() / temperature, dim=2) for view in student)
    with torch.no_grad():
        t_here, t_there = (functional.log_softmax(view.float() / teacher_temperature, dim=2) for view in teacher)
        p_here, p_there = t_here.exp(), t_there.exp()
        seen = (p_here.mean(dim=1) + p_there.mean(dim=1)) / 2
        marginal.mul_(MARGINAL_MOMENTUM).add_(seen, alpha=1 - MARGINAL_MOMENTUM)
        log_marginal = marginal.clamp_min(_TINY).log()[:, None, :]
        weight = (p_here * p_there).sum(dim=2).mean(dim=0)
        toward_there, toward_here = beta * t_there - log_marginal, beta * t_here - log_marginal
    pmi = torch.logsumexp(beta * here + toward_there, dim=2) + torch.logsumexp(beta * there + toward_here, dim=2)
    heads = -0.5 * (weight * pmi).mean(dim=1)
    return TemiLoss(heads, 0.5 * pmi.detach().mean(), weight.mean())
