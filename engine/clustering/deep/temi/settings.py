"""Settings of TEMI and how they are fitted to the data; no torch here."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from engine.clustering.deep.presets import (
    SMOOTH_NEIGHBORS,
    Scaling,
    WarmStart,
    WarmStartSettings,
    neighbors_for,
    warmup_for,
)
from engine.core.settings import setting

# Heads that start from random weights need this many times `min_steps`.
COLD_FACTOR = 5


class TEMISettings(WarmStartSettings):
    """Settings of TEMI; the defaults are the published ones, `preset` fits them to the data."""

    # Chosen by benchmarks/deep_quality.py.
    for_data: ClassVar[dict[str, Any]] = {
        "learning_rate": 3e-3,
        "beta": 0.8,
        "n_neighbors": 10,
        "normalise": "principal",
    }
    for_cpu: ClassVar[dict[str, Any]] = {"n_heads": 3, "hidden_dim": 256, "bottleneck_dim": 128, "batch_size": 256}

    warm_start: WarmStart = setting(
        "graph",
        "What the heads are fitted to first: k-means, graph (k-means on neighbour averages), a chosen run, or none.",
    )
    beta: float = setting(
        0.6, "Below 1 balances cluster sizes; lower balances more.", ge=0.1, le=1.0, step=0.05, search=(0.5, 1.0)
    )
    n_neighbors: int = setting(50, "Neighbours of an image that may be its partner.", ge=1, le=500, search=(5, 50))
    partners: Literal["fixed", "mutual", "gap"] = setting(
        "fixed",
        "Which of them: all; only those that have the image among theirs; or only those before the largest fall in "
        "similarity. At least five.",
        advanced=True,
    )
    n_heads: int = setting(50, "Heads trained side by side; the one with the lowest loss is used.", ge=1, le=200)
    n_epochs: int = setting(200, "Passes over the images.", ge=1, le=100_000)
    min_steps: int = setting(
        400,
        "Steps that the preset makes at least after a warm start; five times as many without one.",
        ge=1,
        le=100_000,
        advanced=True,
    )
    batch_size: int = setting(512, "Images per optimiser step.", ge=2, le=65_536, log=True)
    learning_rate: float = setting(
        1e-4, "Step size per 256 images of a batch.", ge=1e-6, le=0.1, log=True, search=(1e-4, 1e-2)
    )
    warmup_epochs: int = setting(20, "Epochs in which the learning rate rises.", ge=0, le=1000, advanced=True)
    ema: float = setting(0.996, "Momentum of the teacher.", ge=0.0, le=0.9999, advanced=True)
    temperature: float = setting(0.1, "Divides the student's logits.", ge=0.01, le=1.0, advanced=True)
    teacher_temperature: float = setting(0.1, "Divides the teacher's logits.", ge=0.01, le=1.0, advanced=True)
    hidden_dim: int = setting(512, "Width of the hidden layer.", ge=8, le=8192, log=True, advanced=True)
    bottleneck_dim: int = setting(256, "Width before the prototypes.", ge=8, le=4096, log=True, advanced=True)
    weight_decay: float = setting(1e-4, "Of the weights, not of biases and gains.", ge=0.0, le=0.1, advanced=True)
    feature_noise: float = setting(
        0.0, "Gaussian noise on the inputs, standard deviation.", ge=0.0, le=1.0, advanced=True
    )
    normalise: Literal["none", "l2", "standardise", "principal"] = setting(
        "none", "How inputs are scaled, in training and prediction alike; principal: leading axes only.", advanced=True
    )
    n_components: int = setting(128, "Axes of the principal scaling.", ge=2, le=4096, log=True, advanced=True)

    @property
    def input_scaling(self) -> tuple[Scaling, int]:
        """How inputs are scaled, and the axes of the principal scaling."""
        return self.normalise, self.n_components

    @property
    def least_steps(self) -> int:
        """Optimiser steps that the preset "data" makes at least."""
        return self.min_steps * (COLD_FACTOR if self.start == "none" else 1)

    @property
    def graph_neighbors(self) -> int:
        """Neighbours of each image that `fit` reads: partners, and those of the warm start."""
        return max(self.n_neighbors, SMOOTH_NEIGHBORS)

    def resolved(self, n: int, device: str) -> Self:
        """Return the settings as they will be used for `n` images; see `WarmStartSettings.resolved`.

        Raises
        ------
        InputError
            Also with "paper" and neighbours beyond n.
        """
        fitted = super().resolved(n, device)
        return fitted.changed(
            n_neighbors=neighbors_for(
                self.preset, fitted.n_neighbors, n, self.n_clusters, given="n_neighbors" in self.model_fields_set
            ),
            warmup_epochs=warmup_for(
                self.preset, fitted.warmup_epochs, fitted.n_epochs, given="warmup_epochs" in self.model_fields_set
            ),
        )

    def multiply_adds(self, n: int, columns: int) -> float:
        """Return the multiplications of a step: both views forward and back through every head, the teacher's once."""
        n_in = min(columns, self.n_components) if self.normalise == "principal" else columns
        head = n_in * self.hidden_dim + self.hidden_dim * self.bottleneck_dim + self.bottleneck_dim * self.n_clusters
        return 2.0 * self.batch_size * 4 * self.n_heads * head
