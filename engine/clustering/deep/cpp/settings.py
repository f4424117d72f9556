"""Settings of CPP and how they are fitted to the data; no torch here."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from engine.clustering.deep.presets import Scaling, WarmStart, WarmStartSettings, steps_per_epoch
from engine.core.errors import InputError
from engine.core.settings import setting


class CPPSettings(WarmStartSettings):
    """Settings of CPP; the defaults are the published ones for CIFAR-10, `preset` fits them to the data."""

    # Chosen by measurement on several sets and seeds.
    for_data: ClassVar[dict[str, Any]] = {"normalise": "principal", "learning_rate": 1e-3, "cluster_rate": 1e-3}
    for_cpu: ClassVar[dict[str, Any]] = {"width": 512, "feature_dim": 64, "batch_size": 512, "min_steps": 60}

    warm_start: WarmStart = setting(
        "graph",
        "What both heads are fitted to first, in place of the warm-up: k-means, graph (k-means on neighbour averages), "
        "a chosen run, or none. With none the network knows no number of clusters.",
    )
    n_epochs: int = setting(15, "Passes over the images.", ge=1, le=100_000)
    min_steps: int = setting(
        500, "Optimiser steps after the warm-up that the preset makes at least.", ge=1, le=100_000, advanced=True
    )
    batch_size: int = setting(1024, "Images whose membership is computed in a step.", ge=2, le=16_384, log=True)
    learning_rate: float = setting(
        1e-4, "Step size of the features and the subspace head.", ge=1e-6, le=1.0, log=True, search=(1e-5, 1e-2)
    )
    cluster_rate: float = setting(
        1e-4, "Step size of the cluster head.", ge=1e-6, le=1.0, log=True, search=(1e-5, 1e-2)
    )
    warmup_steps: int = setting(
        50,
        "Steps that only spread the features, before the heads part; at most a tenth of the run.",
        ge=0,
        le=100_000,
        advanced=True,
    )
    eta: float = setting(
        0.175, "Temperature of the membership; smaller makes it sparser.", ge=0.02, le=2.0, search=(0.08, 0.3)
    )
    gamma: float = setting(1.0, "Weight of the rate within clusters.", ge=0.0, le=10.0, search=(0.5, 2.0))
    penalty: float = setting(0.05, "Weight that keeps the membership from growing too sparse.", ge=0.0, le=10.0)
    epsilon2: float = setting(0.1, "Squared distortion of the coding rate.", ge=1e-3, le=10.0, advanced=True)
    width: int = setting(4096, "Width of the network.", ge=8, le=16_384, log=True, advanced=True)
    feature_dim: int = setting(128, "Length of both heads' outputs.", ge=4, le=2048, log=True, search=[64, 128])
    weight_decay: float = setting(1e-4, "Of the features and the subspace head.", ge=0.0, le=0.1, advanced=True)
    cluster_decay: float = setting(5e-3, "Of the cluster head.", ge=0.0, le=0.1, advanced=True)
    normalise: Literal["none", "l2", "centre", "principal"] = setting(
        "none", "How inputs are scaled, in training and prediction alike; principal: leading axes only.", advanced=True
    )
    n_components: int = setting(128, "Axes of the principal scaling.", ge=2, le=4096, log=True, advanced=True)
    warm_start_rate: float = setting(1e-3, "Step size of the warm start.", ge=1e-6, le=1e-1, log=True, advanced=True)

    @property
    def input_scaling(self) -> tuple[Scaling, int]:
        """How inputs are scaled, and the axes of the principal scaling."""
        return self.normalise, self.n_components

    @property
    def batch_per_cluster(self) -> int:
        """Images of each cluster to which the preset "data" raises a batch on average."""
        return 1

    @property
    def wanted_warmup(self) -> int:
        """Warm-up steps of the preset "data": none where a warm start takes their place."""
        return 0 if self.start != "none" and "warmup_steps" not in self.model_fields_set else self.warmup_steps

    @property
    def least_steps(self) -> int:
        """Optimiser steps that the preset "data" makes at least, the warm-up included."""
        return self.min_steps + self.wanted_warmup

    def resolved(self, n: int, device: str) -> Self:
        """Return the settings as they will be used for `n` images; see `WarmStartSettings.resolved`.

        With the preset "data" a warm start takes the place of the warm-up, which is otherwise at most a tenth of
        the run.

        Raises
        ------
        InputError
            Also for a run that would end inside a warm-up that was given, or that the preset "paper" makes.
        """
        fitted = super().resolved(n, device)
        per_epoch = steps_per_epoch(n, fitted.batch_size)
        steps = fitted.n_epochs * per_epoch
        if self.preset == "data" and "warmup_steps" not in self.model_fields_set:
            return fitted.changed(warmup_steps=min(self.wanted_warmup, steps // 10))
        if steps <= self.warmup_steps:
            raise InputError(
                f"{self.n_epochs} epochs of {n:,} images make {steps} steps: training would end inside its "
                f"warm-up of {self.warmup_steps}.",
                f'Choose the preset "data", or at least '
                f"{-(-(self.warmup_steps + self.min_steps) // per_epoch)} epochs.",
            )
        return fitted

    def multiply_adds(self, n: int, columns: int) -> float:
        """Return the multiplications of a step: the network forward and back, and a determinant for each image."""
        n_in = min(columns, self.n_components) if self.normalise == "principal" else columns
        network = n_in * self.width + self.width**2 + 2 * self.width * self.feature_dim
        batch, d = self.batch_size, self.feature_dim
        return float(3 * batch * network + 3 * batch * (batch * d * d + d**3) + 30 * batch * batch)
