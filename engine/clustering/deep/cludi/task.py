"""One training step of CLUDI and its prediction, for the shared trainer.

Rows flow in; the teacher samples assignments from clean features without gradient, the student denoises them
in one step from perturbed features, and the loss compares both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.clustering.deep.cludi.diffusion import Diffusion, noise_scale
from engine.clustering.deep.cludi.network import (
    ROW_TEMPERATURE,
    CludiNetwork,
    diffusion_loss,
    perturb,
    symmetric_cross_entropy,
)
from engine.clustering.deep.data import Features
from engine.clustering.deep.trainer import Task, Terms, Trainer

if TYPE_CHECKING:
    from engine.clustering.deep.cludi.estimator import CLUDISettings

PREDICTION_ROWS = 2048


def sample_logits(network: CludiNetwork, diffusion: Diffusion, features: Tensor, copies: int, n_steps: int) -> Tensor:
    """Return the cluster logits of sampled assignments, (copies, N, K), without gradient.

    `features` (N, W) is the feature branch's output: computed once, used at every diffusion step and copy.
    """
    shape = (copies, len(features), network.embedding_dim)
    clean = diffusion.sample(
        lambda noisy, time, estimate: network.denoise(features, noisy, time, estimate), shape, n_steps
    )
    with torch.no_grad():
        return network.classify(clean)


class CludiTask(Task):
    """CLUDI's objective on a table of features.

    Parameters
    ----------
    network : CludiNetwork
    features : Features
        Rows of any length; the network and the perturbation scale them to one.
    settings : CLUDISettings
        Resolved.
    """

    model: CludiNetwork

    def __init__(self, network: CludiNetwork, features: Features, settings: CLUDISettings) -> None:
        self.model, self.features, self.settings = network, features, settings
        self.diffusion = Diffusion(
            settings.diffusion_steps,
            noise_scale(settings.rescaling_factor, settings.rescaling),
            predicts="v" if settings.use_v_prediction else "x0",
            device=features.device,
        )

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Return the terms of one step: "loss", "diffusion", "cross_entropy"."""
        settings, teacher = self.settings, run.teacher
        assert isinstance(teacher, CludiNetwork)
        with torch.no_grad(), run.autocast():
            targets = sample_logits(
                teacher,
                self.diffusion,
                teacher.features(self.features[rows]),
                settings.batch_diffusion,
                settings.sampling_steps,
            ).float()
            clean = teacher.embed(functional.softmax(targets / ROW_TEMPERATURE, dim=-1))
        with run.autocast():
            logits, times = self.student_logits(rows, clean)
        logits = logits.float()
        weights = self.diffusion.weight(times)
        looped = self.model.embed(functional.softmax(logits / ROW_TEMPERATURE, dim=-1))
        denoised = diffusion_loss(looped, clean, weights)
        crossed = symmetric_cross_entropy(targets, logits, weights)
        return {"loss": denoised + settings.ce_lambda * crossed, "diffusion": denoised, "cross_entropy": crossed}

    def student_logits(self, rows: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Denoise `clean` (B, N, d) in one step from perturbed features; return logits (B, N, K) and times (B,)."""
        copies, device = len(clean), clean.device
        unit = functional.normalize(self.features[rows], dim=-1)
        seen = perturb(unit, copies, low=self.settings.noise_low, high=self.settings.noise_high)
        features = self.model.features(seen)
        times = torch.randint(self.diffusion.n_steps, (copies,), device=device)
        noisy = self.diffusion.noisy(clean, times, self.diffusion.draw(*clean.shape))
        self_cond = torch.zeros_like(noisy)
        if float(torch.rand(())) < 0.5:
            with torch.no_grad():
                first = self.model.denoise(features, noisy, times, self_cond)
                self_cond = self.diffusion.clean(first, noisy, times).clamp(-1.0, 1.0)
        prediction = self.model.denoise(features, noisy, times, self_cond)
        return self.model.classify(self.diffusion.clean(prediction, noisy, times)), times

    def plateau(self) -> float:
        """Return the loss when every probability is 1/K: what training has to leave."""
        weight = float(self.diffusion.weight(torch.arange(self.diffusion.n_steps, device=self.features.device)).mean())
        return self.settings.ce_lambda * weight * math.log(self.settings.n_clusters)

    def start_logits(self, labels: NDArray[np.int32]) -> Any:  # noqa: ANN401 - the trainer's warm-start function
        """Return the warm start's function: student logits when `labels` are the assignments to denoise."""
        known = torch.from_numpy(np.maximum(labels, 0).astype(np.int64))
        wanted = functional.one_hot(known, self.settings.n_clusters).float()

        def logits(rows: Tensor, run: Trainer) -> Tensor:
            clean = self.model.embed(wanted[rows].to(run.device)).expand(self.settings.batch_diffusion, -1, -1)
            found: Tensor = self.student_logits(rows, clean)[0] / ROW_TEMPERATURE
            return found

        return logits

    def labels(self, run: Trainer) -> NDArray[np.int32]:
        """Return the teacher's clustering as it stands, from one short sample per row."""
        network = run.teacher if isinstance(run.teacher, CludiNetwork) else self.model
        parts = [
            probabilities.argmax(dim=-1).cpu().numpy()
            for probabilities, _ in self.predict(network, self.features, copies=1, n_steps=4)
        ]
        return np.concatenate(parts).astype(np.int32)

    def predict(
        self, network: CludiNetwork, features: Features, *, copies: int, n_steps: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, for blocks of rows, mean probabilities (N, K) over sampled copies and their spread (N,) in [0, 1].

        The spread is the mean total-variation distance of a copy's probabilities from their mean.
        """
        network.eval()
        for start in range(0, len(features), PREDICTION_ROWS):
            rows = torch.arange(start, min(start + PREDICTION_ROWS, len(features)))
            with torch.no_grad():
                encoded = network.features(features[rows])
                logits = sample_logits(network, self.diffusion, encoded, copies, n_steps)
                each = functional.softmax(logits / ROW_TEMPERATURE, dim=-1)
                mean = each.mean(dim=0)
                yield mean, 0.5 * (each - mean).abs().sum(dim=-1).mean(dim=0)
