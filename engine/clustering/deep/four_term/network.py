"""The four-term head: a batch-normalised projection and a bias-free classifier, trained by four terms.

Conditional entropy makes each image sure, the symmetric cross-entropy makes two noisy views agree, the
entropy of the batch mean keeps clusters in use, and a small distance term keeps the projections together.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.clustering.deep.data import Features
from engine.clustering.deep.trainer import Task, Terms, Trainer

CONDITIONAL, AGREEMENT, BALANCE, DISTANCE = 1.0, 2.0, 1.5, 0.1


class FourTermNetwork(nn.Module):
    """Linear-BN-ReLU-Linear-BN-ReLU-Linear-BN, L2, bias-free Linear to K.

    Linear layers before a batch norm have no bias.
    """

    def __init__(self, *, n_in: int, n_hidden: int, n_projection: int, n_clusters: int) -> None:
        super().__init__()
        self.projection = nn.Sequential(
            nn.Linear(n_in, n_hidden, bias=False),
            nn.BatchNorm1d(n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_hidden, bias=False),
            nn.BatchNorm1d(n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_projection, bias=False),
            nn.BatchNorm1d(n_projection),
        )
        self.classifier = nn.Linear(n_projection, n_clusters, bias=False)

    def project(self, x: Tensor) -> Tensor:
        """Map (b, n_in) to unit (b, n_projection)."""
        return functional.normalize(self.projection(x), dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (z, logits before the temperature)."""
        z = self.project(x)
        return z, self.classifier(z)


def four_terms(z: Tensor, z_other: Tensor, logits: Tensor, logits_other: Tensor) -> Terms:
    """Return the four terms of a batch, unweighted, and "loss", their weighted sum.

    Parameters
    ----------
    z, z_other : (b, p) Tensor
        Unit projections of both views.
    logits, logits_other : (b, K) Tensor
        Over the temperature.

    Returns
    -------
    dict
        conditional: mean entropy H(p); agreement: -(p . log p' + p' . log p) / 2, gradient through both;
        balance: entropy of the batch mean of p (maximised); distance: MSE(z, z').
    """
    log_p = functional.log_softmax(logits.float(), dim=1)
    log_q = functional.log_softmax(logits_other.float(), dim=1)
    p, q = log_p.exp(), log_q.exp()
    mean = p.mean(dim=0)
    conditional = -(p * log_p).sum(dim=1).mean()
    agreement = -((p * log_q).sum(dim=1) + (q * log_p).sum(dim=1)).mean() / 2
    balance = -(mean * mean.clamp_min(1e-12).log()).sum()
    distance = functional.mse_loss(z.float(), z_other.float())
    loss = CONDITIONAL * conditional + AGREEMENT * agreement - BALANCE * balance + DISTANCE * distance
    return {
        "loss": loss,
        "conditional": conditional,
        "agreement": agreement,
        "balance": balance,
        "distance": distance,
    }


class FourTermTask(Task):
    """The four-term head for the trainer; `features` are unit rows and the second view is a noisy copy.

    Parameters
    ----------
    noise : float
        x' = normalise(x + noise n), n ~ N(0, I) in each dimension.
    temperature : float
        Divides the logits.
    """

    model: FourTermNetwork

    def __init__(self, model: FourTermNetwork, features: Features, *, noise: float, temperature: float) -> None:
        self.model, self.features, self.noise, self.temperature = model, features, noise, temperature

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Return the four terms of a batch and its noisy copy."""
        x = self.features[rows]
        noise = torch.randn(x.shape, generator=run.generator).to(x.device)
        other = functional.normalize(x + self.noise * noise, dim=1)
        with run.autocast():
            z, logits = self.model(x)
            z_other, logits_other = self.model(other)
        return four_terms(z, z_other, logits / self.temperature, logits_other / self.temperature)

    def logits_of_rows(self, rows: Tensor, run: Trainer) -> Tensor:
        """Return (b, K) logits over the temperature, for a warm start."""
        logits: Tensor = self.model(self.features[rows])[1]
        return logits / self.temperature

    def labels(self, run: Trainer) -> NDArray[np.int32]:
        """Return the clustering as it stands."""
        return assign(self.model, self.features, self.temperature)[0]


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
def assign(
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
