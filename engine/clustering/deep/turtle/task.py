"""TURTLE's training: the labels of a batch, classifiers fitted to them, the outer loss, and when to stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.clustering.deep.data import Features
from engine.clustering.deep.embedding_task import EmbeddingTask
from engine.clustering.deep.plan import TrainingPlan
from engine.clustering.deep.trainer import Terms, Trainer
from engine.clustering.deep.turtle.network import LinearClassifiers, TaskEncoders, turtle_loss
from engine.clustering.deep.turtle.settings import TURTLESettings
from engine.clustering.deep.warm_start import fit_to_labels
from engine.core.labels import Labels
from engine.core.vectors import Vectors

# Labels stand still when a smaller share of them changed in so many steps.
STILL_STEPS = 50
STILL_SHARE = 0.001
# A linear map needs larger steps than a network to take over a clustering.
START_RATE = 1e-2


class TurtleTask(EmbeddingTask):
    """TURTLE's objective on a table of standardised features, one space or several side by side.

    Parameters
    ----------
    model : TaskEncoders
    features : Features
        Standardised, each column by itself.
    settings : TURTLESettings
        Resolved.
    """

    model: TaskEncoders

    def __init__(self, model: TaskEncoders, features: Features, settings: TURTLESettings) -> None:
        self.model, self.features, self.settings = model, features, settings
        self._before: Tensor | None = None
        self._still = ""
        self._recent: list[Tensor] = []

    def plan(self, n: int) -> TrainingPlan:
        """Return Adam at a constant rate."""
        return TrainingPlan(
            n_epochs=self.settings.n_epochs,
            batch_size=self.settings.batch_size,
            learning_rate=self.settings.learning_rate,
            optimiser="adam",
        )

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Fit the classifiers to the batch's labels; return what they get wrong and how uneven the sizes are."""
        x = self.features.whole if len(rows) == len(self.features) else None
        x = self.features[rows] if x is None else x
        settings = self.settings
        taus = self.model(x)
        tau = torch.stack([found.detach() for found in taus]).mean(dim=0)
        learned = []
        for space, classifiers in zip(self.model.split(x), self.model.classifiers, strict=True):
            assert isinstance(classifiers, LinearClassifiers)
            if settings.inner_start == "cold":
                classifiers.restart(run.generator)
            classifiers.fit(space, tau, n_steps=settings.inner_steps, learning_rate=settings.inner_learning_rate)
            learned.append(classifiers(space))
        found = turtle_loss(taus, learned, gamma=settings.gamma)
        self._recent = [*self._recent[-STILL_STEPS + 1 :], found.heads.detach().cpu()]
        return {
            "loss": found.heads.mean(),
            "cross_entropy": found.cross_entropy.mean(),
            "unevenness": found.unevenness.mean(),
        }

    def finished(self, run: Trainer) -> str | None:
        """Return a sentence when the labels stand still; with the preset "paper" training goes on to its end."""
        if self._still or self.settings.preset == "paper" or run.step % STILL_STEPS or run.step == 0:
            return self._still or None
        now = label_heads(self.model, self.features)[0].to(torch.int16)
        if self._before is not None and run.step >= self.settings.min_steps:
            share = float((now != self._before).float().mean())
            if share < STILL_SHARE:
                self._still = (
                    f"The labels stand still after {run.step:,} steps: {share:.2%} changed in the last {STILL_STEPS}."
                )
        self._before = now
        return self._still or None

    def best_head(self) -> int:
        """Return the head with the lowest outer loss over the last `STILL_STEPS` steps."""
        return int(torch.stack(self._recent).mean(dim=0).argmin()) if self._recent else 0

    def warm_start(self, run: Trainer, labels: Labels, embeddings: Vectors) -> None:
        """Fit all heads to `labels` by cross-entropy."""

        def logits(rows: Tensor, run: Trainer) -> Tensor:
            spaces = self.model.logits(self.features[rows])
            return torch.cat(spaces, dim=1).transpose(0, 1)

        fit_to_labels(run, labels, logits, n_steps=self.settings.warm_start_steps, learning_rate=START_RATE)

    def labels(self, run: Trainer) -> NDArray[np.int32]:
        """Return the best head's clustering as it stands."""
        return label_heads(self.model, self.features)[0][self.best_head()].numpy().astype(np.int32)

    def state(self) -> dict[str, Any]:
        """Keep the labels that were last looked at, and the recent losses of the heads."""
        kept: dict[str, Any] = {"still": self._still}
        if self._before is not None:
            kept["before"] = self._before
        if self._recent:
            kept["recent"] = torch.stack(self._recent)
        return kept

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self._still, self._before = state["still"], state.get("before")
        self._recent = list(state["recent"]) if "recent" in state else []


@torch.no_grad()
def label_heads(model: TaskEncoders, features: Features, *, block: int = 8192) -> tuple[Tensor, Tensor]:
    """Return each head's labels (H, n) int64 and the mean over spaces of their probability, (H, n), on the CPU."""
    labels, confidence = [], []
    for start in range(0, len(features), block):
        rows = torch.arange(start, min(start + block, len(features)))
        surest, best = torch.stack(model(features[rows])).mean(dim=0).max(dim=2)
        labels.append(best.T.cpu())
        confidence.append(surest.T.cpu())
    return torch.cat(labels, dim=1), torch.cat(confidence, dim=1)
