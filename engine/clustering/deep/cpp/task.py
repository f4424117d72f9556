"""CPP's training step for the shared trainer: warm-up by the coding rate alone, one copy of the head, then the rest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.clustering.deep.cpp.network import CppNetwork, objective
from engine.clustering.deep.cpp.rate_reduction import coding_rate
from engine.clustering.deep.cpp.settings import CPPSettings
from engine.clustering.deep.data import Features
from engine.clustering.deep.embedding_task import EmbeddingTask
from engine.clustering.deep.plan import ParameterGroup, TrainingPlan
from engine.clustering.deep.trainer import Terms, Trainer
from engine.clustering.deep.warm_start import fit_to_labels
from engine.core.labels import Labels
from engine.core.vectors import Vectors

ENCODE_ROWS = 4096
SHARPNESS = 10.0


class CppTask(EmbeddingTask):
    """CPP's objective on a table of features.

    Parameters
    ----------
    network : CppNetwork
    features : Features
    settings : CPPSettings
        Resolved.
    """

    model: CppNetwork

    def __init__(self, network: CppNetwork, features: Features, settings: CPPSettings) -> None:
        self.model, self.features, self.settings = network, features, settings

    def plan(self, n: int) -> TrainingPlan:
        """Return SGD with two groups, no schedule, no teacher."""
        settings = self.settings
        return TrainingPlan(
            n_epochs=settings.n_epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            groups=(
                ParameterGroup("cluster.*", settings.cluster_decay, settings.cluster_rate),
                ParameterGroup("*", settings.weight_decay),
            ),
            optimiser="sgd",
            momentum=0.9,
        )

    def starting_loss(self, run: Trainer) -> None:
        """Return None: whether CPP trained is judged by the coding rate that its clusters save."""

    def warm_start(self, run: Trainer, labels: Labels, embeddings: Vectors) -> None:
        """Fit both heads to `labels` by cross-entropy of `start_logits`."""
        fit_to_labels(
            run,
            labels,
            self.start_logits,
            n_steps=self.settings.warm_start_steps,
            learning_rate=self.settings.warm_start_rate,
        )

    def before_step(self, run: Trainer) -> None:
        """Copy the subspace head into the cluster head, once, when the warm-up ends."""
        if run.step == self.settings.warmup_steps:
            self.model.copy_subspace()

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Return "loss" and the terms: the coding rate, and after the warm-up the conditional rate and the norm."""
        settings = self.settings
        with run.autocast():
            z, c = self.model(self.features[rows])
        z, c = z.float(), c.float()
        if run.step < settings.warmup_steps:
            rate = coding_rate(z, epsilon2=settings.epsilon2)
            zero = torch.zeros_like(rate)
            return {"loss": -rate, "rate": rate, "conditional_rate": zero, "membership_norm": zero}
        loss, terms = objective(
            z, c, eta=settings.eta, gamma=settings.gamma, penalty=settings.penalty, epsilon2=settings.epsilon2
        )
        return {"loss": loss, **terms}

    def start_logits(self, rows: Tensor, run: Trainer) -> Tensor:
        """Return the warm start's logits (2, b, K): the energy of both heads in a subspace for each cluster.

        Coordinate j belongs to cluster j mod K, so clusters start in orthogonal subspaces and the places within
        them stay free, as the objective wants it; with more clusters than coordinates, random directions.
        """
        z, c = self.model(self.features[rows])
        count, d = self.settings.n_clusters, z.shape[1]
        if count <= d:
            owner = torch.arange(d, device=z.device) % count
            blocks = torch.nn.functional.one_hot(owner, count).to(z.dtype)
            return SHARPNESS * torch.stack([z.square() @ blocks, c.square() @ blocks])
        generator = torch.Generator().manual_seed(self.settings.random_state)
        directions = torch.nn.functional.normalize(torch.randn(d, count, generator=generator), dim=0).to(z)
        return SHARPNESS * torch.stack([(z @ directions).abs(), (c @ directions).abs()])


def encode(network: CppNetwork, features: Features) -> tuple[Vectors, Vectors]:
    """Return (Z, C) of all rows, (n, d) float32 each, by the network in evaluation mode."""
    training = network.training
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(features), ENCODE_ROWS):
            rows = torch.arange(start, min(start + ENCODE_ROWS, len(features)))
            parts.append([head.float().cpu().numpy() for head in network(features[rows])])
    network.train(training)
    return np.concatenate([z for z, _ in parts]), np.concatenate([c for _, c in parts])
