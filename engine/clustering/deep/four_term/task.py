"""The four-term head's training: a batch and its noisy copy, a start from cluster centres, labels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.clustering.deep.data import Features
from engine.clustering.deep.embedding_task import EmbeddingTask
from engine.clustering.deep.four_term.network import FourTermNetwork, four_terms
from engine.clustering.deep.four_term.settings import FourTermHeadSettings
from engine.clustering.deep.plan import TrainingPlan
from engine.clustering.deep.presets import steps_per_epoch
from engine.clustering.deep.trainer import Terms, Trainer
from engine.clustering.deep.warm_start import fit_to_labels
from engine.core.labels import Labels
from engine.core.vectors import Vectors
from engine.geometry.centers import mean_directions


class FourTermTask(EmbeddingTask):
    """The four-term head's objective on a table of unit features; the second view is a noisy copy.

    The copy is x' = normalise(x + noise n), n ~ N(0, I) in each dimension.

    Parameters
    ----------
    model : FourTermNetwork
    features : Features
    settings : FourTermHeadSettings
        Resolved.
    """

    model: FourTermNetwork

    def __init__(self, model: FourTermNetwork, features: Features, settings: FourTermHeadSettings) -> None:
        self.model, self.features, self.settings = model, features, settings

    def plan(self, n: int) -> TrainingPlan:
        """Return Adam with 10% warm-up, cosine to 10%, clipped at 1."""
        settings = self.settings
        steps = settings.n_epochs * steps_per_epoch(n, settings.batch_size)
        return TrainingPlan(
            n_epochs=settings.n_epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            optimiser="adam",
            warmup_steps=max(1, steps // 10),
            schedule="cosine",
            final_factor=0.1,
            clip=1.0,
        )

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Return the four terms of a batch and its noisy copy."""
        x = self.features[rows]
        noise = torch.randn(x.shape, generator=run.generator).to(x.device)
        other = functional.normalize(x + self.settings.noise * noise, dim=1)
        with run.autocast():
            z, logits = self.model(x)
            z_other, logits_other = self.model(other)
        return four_terms(z, z_other, logits / self.settings.temperature, logits_other / self.settings.temperature)

    def warm_start(self, run: Trainer, labels: Labels, embeddings: Vectors) -> None:
        """Set the classifier to the projected centres of `labels`, then fit to them by cross-entropy."""
        centers = torch.from_numpy(mean_directions(embeddings, labels, self.settings.n_clusters)).to(run.device)
        start_from_centers(self.model, self.features, centers)

        def logits(rows: Tensor, run: Trainer) -> Tensor:
            found: Tensor = self.model(self.features[rows])[1] / self.settings.temperature
            return found

        if self.settings.warm_start_steps:
            fit_to_labels(run, labels, logits, n_steps=self.settings.warm_start_steps)

    def labels(self, run: Trainer) -> NDArray[np.int32]:
        """Return the clustering as it stands."""
        return label_rows(self.model, self.features, self.settings.temperature)[0]


@torch.no_grad()
def start_from_centers(model: FourTermNetwork, features: Features, centers: Tensor, *, batch: int = 256) -> None:
    """Set the batch-norm statistics in one pass over the features, then the classifier to the projected centres.

    Parameters
    ----------
    centers : (K, n_in) Tensor
        Unit cluster centres; pushed through the projection in evaluation mode.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    for start in range(0, max(len(features) - 1, 1), batch):
        rows = torch.arange(start, min(start + batch, len(features)))
        if len(rows) > 1:
            model.projection(features[rows])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
    model.classifier.weight.copy_(model.project(centers))
    model.train()


@torch.no_grad()
def label_rows(
    model: FourTermNetwork, features: Features, temperature: float, *, block: int = 4096
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return (n,) labels and probabilities in evaluation mode; the mode is given back."""
    training = model.training
    model.eval()
    labels = np.empty(len(features), dtype=np.int32)
    confidence = np.empty(len(features), dtype=np.float32)
    for start in range(0, len(features), block):
        rows = torch.arange(start, min(start + block, len(features)))
        surest, best = (model(features[rows])[1].float() / temperature).softmax(dim=1).max(dim=1)
        part = slice(start, start + len(rows))
        labels[part], confidence[part] = best.cpu().numpy(), surest.cpu().numpy()
    model.train(training)
    return labels, confidence
