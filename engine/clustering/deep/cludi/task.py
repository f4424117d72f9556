"""CLUDI's training and its prediction, for the shared trainer.

Rows flow in; the teacher samples assignments from clean features without gradient, the student denoises them
in one step from perturbed features, and the loss compares both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

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
from engine.clustering.deep.cludi.settings import CLUDISettings
from engine.clustering.deep.data import Features
from engine.clustering.deep.embedding_task import EmbeddingTask
from engine.clustering.deep.plan import ParameterGroup, TrainingPlan
from engine.clustering.deep.presets import steps_per_epoch
from engine.clustering.deep.trainer import Terms, Trainer, cast_once
from engine.clustering.deep.warm_start import fit_to_labels
from engine.core.labels import Labels
from engine.core.vectors import Vectors

PREDICTION_ROWS = 2048
# Without it the warm start leaves a few images with outlying logits, which the loss's softmax over the batch then
# takes for whole clusters: digits fell from .86 to .81 in 200 steps without, and kept .85 with it.
LABEL_SMOOTHING = 0.1


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


def diffusion_of(settings: CLUDISettings, device: torch.device) -> Diffusion:
    """Return the diffusion of resolved settings."""
    return Diffusion(
        settings.diffusion_steps,
        noise_scale(settings.rescaling_factor, settings.rescaling),
        predicts="v" if settings.use_v_prediction else "x0",
        spacing="steps" if settings.preset == "paper" else "ends",
        device=device,
    )


class CludiTask(EmbeddingTask):
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
        self.diffusion = diffusion_of(settings, features.device)

    def plan(self, n: int) -> TrainingPlan:
        """Return AdamW with a warm-up, cosine to 1e-6, gradients clipped at 4, and a teacher.

        As published, neither biases nor gains are decayed; the preset "data" decays them too.
        """
        settings = self.settings
        plain = tuple(
            ParameterGroup(name)
            for name, parameter in self.model.named_parameters()
            if settings.preset == "paper" and parameter.ndim < 2
        )
        return TrainingPlan(
            n_epochs=settings.n_epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            groups=(*plain, ParameterGroup("*", settings.weight_decay)),
            betas=(0.9, 0.98),
            warmup_steps=settings.warmup_epochs * steps_per_epoch(n, settings.batch_size),
            schedule="cosine",
            final_factor=1e-6 / max(settings.learning_rate, 1e-6),
            clip=4.0,
            ema=settings.ema,
            ema_warmup=settings.warm_start == "none",
        )

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Return the terms of one step: "loss", "diffusion", "cross_entropy"."""
        settings, teacher = self.settings, run.teacher
        assert isinstance(teacher, CludiNetwork)
        with torch.no_grad(), run.autocast(), cast_once(teacher):
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

    def starting_loss(self, run: Trainer) -> float:
        """Return the loss when every probability is 1/K: what training has to leave."""
        weight = float(self.diffusion.weight(torch.arange(self.diffusion.n_steps, device=self.features.device)).mean())
        return self.settings.ce_lambda * weight * math.log(self.settings.n_clusters)

    def warm_start(self, run: Trainer, labels: Labels, embeddings: Vectors) -> None:
        """Fit the student to denoise `labels`: the assignments that a clean teacher would give."""
        known = torch.from_numpy(np.maximum(labels, 0).astype(np.int64))
        wanted = functional.one_hot(known, self.settings.n_clusters).float()

        def logits(rows: Tensor, run: Trainer) -> Tensor:
            clean = self.model.embed(wanted[rows].to(run.device)).expand(self.settings.batch_diffusion, -1, -1)
            found: Tensor = self.student_logits(rows, clean)[0] / ROW_TEMPERATURE
            return found

        fit_to_labels(
            run,
            labels,
            logits,
            n_steps=self.settings.warm_start_steps,
            learning_rate=self.settings.warm_start_rate,
            label_smoothing=LABEL_SMOOTHING,
        )

    def labels(self, run: Trainer) -> NDArray[np.int32]:
        """Return the teacher's clustering as it stands, from one short sample per row."""
        network = run.teacher if isinstance(run.teacher, CludiNetwork) else self.model
        sampled = sample_probabilities(network, self.diffusion, self.features, copies=1, n_steps=4)
        return np.concatenate([mean.argmax(dim=-1).cpu().numpy() for mean, _ in sampled]).astype(np.int32)


def sample_probabilities(
    network: CludiNetwork, diffusion: Diffusion, features: Features, *, copies: int, n_steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, for blocks of rows, mean probabilities (N, K) over sampled copies and their spread (N,) in [0, 1].

    The spread is the mean total-variation distance of a copy's probabilities from their mean.
    """
    network.eval()
    for start in range(0, len(features), PREDICTION_ROWS):
        rows = torch.arange(start, min(start + PREDICTION_ROWS, len(features)))
        with torch.no_grad():
            encoded = network.features(features[rows])
            logits = sample_logits(network, diffusion, encoded, copies, n_steps)
            each = functional.softmax(logits / ROW_TEMPERATURE, dim=-1)
            mean = each.mean(dim=0)
            yield mean, 0.5 * (each - mean).abs().sum(dim=-1).mean(dim=0)
