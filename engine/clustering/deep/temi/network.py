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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.clustering.deep.data import Features
from engine.clustering.deep.trainer import Task, Terms, Trainer

MARGINAL_MOMENTUM = 0.9
LEAST_WINDOW = 50
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


class TemiTask(Task):
    """TEMI for the trainer: neighbour pairs, both views through student and teacher, the loss, the best head.

    Parameters
    ----------
    model : StackedHeads
        The student.
    features : Features
        Normalised embeddings by row.
    neighbors : (n, k) int
        Partners to draw from, each row's own number excluded.
    beta, temperature, teacher_temperature : float
        See `temi_loss`.
    feature_noise : float
        Standard deviation of Gaussian noise added to both views; 0 adds none.
    frozen_epochs : int
        Epochs in which the last layer does not learn.
    """

    model: StackedHeads

    def __init__(
        self,
        model: StackedHeads,
        features: Features,
        neighbors: NDArray[np.int32],
        *,
        beta: float,
        temperature: float = 0.1,
        teacher_temperature: float = 0.1,
        feature_noise: float = 0.0,
        frozen_epochs: int = 0,
    ) -> None:
        self.model, self.features = model, features
        self.neighbors = torch.from_numpy(np.ascontiguousarray(neighbors, dtype=np.int64))
        self.beta, self.temperature, self.teacher_temperature = beta, temperature, teacher_temperature
        self.feature_noise, self.frozen_epochs = feature_noise, frozen_epochs
        self._recent: list[Tensor] = []

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Draw one neighbour of each row and return the loss of the pairs."""
        column = torch.randint(self.neighbors.shape[1], (len(rows),), generator=run.generator)
        both = self.features[torch.cat([rows, self.neighbors[rows, column]])]
        if self.feature_noise > 0:
            both = both + self.feature_noise * torch.randn(both.shape, generator=run.generator).to(both.device)
        assert run.teacher is not None
        with run.autocast():
            student = self.model(both)
            with torch.no_grad():
                teacher = run.teacher(both)
        here, there = student.split(len(rows), dim=1)
        t_here, t_there = teacher.split(len(rows), dim=1)
        found = temi_loss(
            (here, there),
            (t_here, t_there),
            self.model.marginal,
            beta=self.beta,
            temperature=self.temperature,
            teacher_temperature=self.teacher_temperature,
        )
        self._recent = self._recent[-max(run.steps_per_epoch, LEAST_WINDOW) + 1 :] + [found.heads.detach()]
        return {"loss": found.heads.mean(), "pmi": found.pmi, "weight": found.weight}

    def adjust_gradients(self, run: Trainer) -> None:
        """Keep the last layer still in the first `frozen_epochs`."""
        if run.epoch < self.frozen_epochs:
            for parameter in self.model.last.parameters():
                parameter.grad = None

    def head_losses(self) -> Tensor:
        """Return (H,) mean losses over the last epoch, or the last `LEAST_WINDOW` steps where it is shorter."""
        if not self._recent:
            return torch.zeros(len(self.model.marginal))
        return torch.stack(self._recent).mean(dim=0).cpu()

    def logits_of_rows(self, rows: Tensor, run: Trainer) -> Tensor:
        """Return the student's (H, b, C) logits over the temperature, for a warm start."""
        logits: Tensor = self.model(self.features[rows]) / self.temperature
        return logits

    def labels(self, run: Trainer) -> NDArray[np.int32]:
        """Return the teacher's clustering by the best head."""
        assert isinstance(run.teacher, StackedHeads)
        return assign(run.teacher, self.features, int(self.head_losses().argmin()), self.temperature).labels

    def state(self) -> dict[str, Any]:
        """Keep the recent head losses."""
        return {"recent": torch.stack(self._recent)} if self._recent else {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the recent head losses."""
        recent = state.get("recent")
        self._recent = [] if recent is None else list(recent.to(self.model.marginal.device))


@dataclass(frozen=True)
class Assigned:
    """Labels (n,) int32 of one head, its probability (n,) float32, and the mean over heads of each head's own."""

    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    mean_confidence: NDArray[np.float32]


@torch.no_grad()
def assign(model: StackedHeads, features: Features, head: int, temperature: float, *, block: int = 2048) -> Assigned:
    """Label every row of `features` by one head of `model`."""
    n = len(features)
    labels = np.empty(n, dtype=np.int32)
    confidence, mean = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    for start in range(0, n, block):
        rows = torch.arange(start, min(start + block, n))
        surest, best = (model(features[rows]).float() / temperature).softmax(dim=2).max(dim=2)
        part = slice(start, start + len(rows))
        labels[part] = best[head].cpu().numpy()
        confidence[part], mean[part] = surest[head].cpu().numpy(), surest.mean(dim=0).cpu().numpy()
    return Assigned(labels, confidence, mean)
