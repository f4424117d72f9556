"""TEMI's training: neighbour pairs, both views through student and teacher, the loss, the best head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.clustering.deep.data import Features
from engine.clustering.deep.embedding_task import EmbeddingTask
from engine.clustering.deep.plan import ParameterGroup, TrainingPlan
from engine.clustering.deep.presets import steps_per_epoch
from engine.clustering.deep.temi.network import StackedHeads, temi_loss
from engine.clustering.deep.temi.settings import TEMISettings
from engine.clustering.deep.trainer import Terms, Trainer
from engine.clustering.deep.warm_start import fit_to_labels
from engine.core.labels import Labels
from engine.core.vectors import Vectors

# Steps over which the losses of the heads are averaged at least.
LEAST_WINDOW = 50


class TemiTask(EmbeddingTask):
    """TEMI's objective on a table of features.

    Parameters
    ----------
    model : StackedHeads
        The student.
    features : Features
        Normalised embeddings by row.
    neighbors : (n, k) int
        Partners to draw from, each row's own number excluded.
    settings : TEMISettings
        Resolved.
    counts : (n,) int, optional
        How many of each row's partners are drawn from, the first ones; all when absent.
    """

    model: StackedHeads

    def __init__(
        self,
        model: StackedHeads,
        features: Features,
        neighbors: NDArray[np.integer[Any]],
        settings: TEMISettings,
        counts: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        self.model, self.features, self.settings = model, features, settings
        self.neighbors = torch.from_numpy(np.ascontiguousarray(neighbors, dtype=np.int64))
        self.counts = None if counts is None else torch.from_numpy(np.asarray(counts, dtype=np.int64))
        # Heads with random weights leave their last layer alone for one epoch.
        self.frozen_epochs = 1 if settings.warm_start == "none" else 0
        self._recent: list[Tensor] = []

    def plan(self, n: int) -> TrainingPlan:
        """Return AdamW with decay of the weights alone, a linear warm-up and a teacher, constant in the paper."""
        settings = self.settings
        return TrainingPlan(
            n_epochs=settings.n_epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate * settings.batch_size / 256,
            groups=(
                ParameterGroup("*.weight", settings.weight_decay),
                ParameterGroup("last.direction", settings.weight_decay),
                ParameterGroup("*"),
            ),
            warmup_steps=settings.warmup_epochs * steps_per_epoch(n, settings.batch_size),
            ema=settings.ema,
            ema_warmup=settings.preset != "paper",
        )

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Draw one neighbour of each row and return the loss of the pairs."""
        if self.counts is None:
            column = torch.randint(self.neighbors.shape[1], (len(rows),), generator=run.generator)
        else:
            column = (torch.rand(len(rows), generator=run.generator) * self.counts[rows]).long()
        both = self.features[torch.cat([rows, self.neighbors[rows, column]])]
        if self.settings.feature_noise > 0:
            both = both + self.settings.feature_noise * torch.randn(both.shape, generator=run.generator).to(both.device)
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
            beta=self.settings.beta,
            temperature=self.settings.temperature,
            teacher_temperature=self.settings.teacher_temperature,
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

    def warm_start(self, run: Trainer, labels: Labels, embeddings: Vectors) -> None:
        """Fit all heads to `labels` by cross-entropy of their logits over the temperature."""

        def logits(rows: Tensor, run: Trainer) -> Tensor:
            found: Tensor = self.model(self.features[rows]) / self.settings.temperature
            return found

        fit_to_labels(run, labels, logits, n_steps=self.settings.warm_start_steps)

    def labels(self, run: Trainer) -> NDArray[np.int32]:
        """Return the teacher's clustering by the best head."""
        assert isinstance(run.teacher, StackedHeads)
        return label_by_head(
            run.teacher, self.features, int(self.head_losses().argmin()), self.settings.temperature
        ).labels

    def state(self) -> dict[str, Any]:
        """Keep the recent head losses."""
        return {"recent": torch.stack(self._recent)} if self._recent else {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the recent head losses."""
        recent = state.get("recent")
        self._recent = [] if recent is None else list(recent.to(self.model.marginal.device))


@dataclass(frozen=True)
class HeadLabels:
    """Labels (n,) int32 of one head, its probability (n,) float32, and of all heads the mean of each one's own.

    `every` holds the labels of all heads, (n, heads) int16.
    """

    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    mean_confidence: NDArray[np.float32]
    every: NDArray[np.int16]


@torch.no_grad()
def label_by_head(
    model: StackedHeads, features: Features, head: int, temperature: float, *, block: int = 2048
) -> HeadLabels:
    """Label every row of `features` by one head of `model`."""
    n = len(features)
    labels = np.empty(n, dtype=np.int32)
    confidence, mean = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    parts = []
    for start in range(0, n, block):
        rows = torch.arange(start, min(start + block, n))
        surest, best = (model(features[rows]).float() / temperature).softmax(dim=2).max(dim=2)
        part = slice(start, start + len(rows))
        parts.append(best.T.cpu().numpy().astype(np.int16))
        labels[part] = parts[-1][:, head]
        confidence[part], mean[part] = surest[head].cpu().numpy(), surest.mean(dim=0).cpu().numpy()
    return HeadLabels(labels, confidence, mean, np.concatenate(parts))
