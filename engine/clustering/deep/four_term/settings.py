"""Settings of the four-term head and how they are fitted to the data; no torch here."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from engine.clustering.deep.presets import WarmStart, WarmStartSettings
from engine.core.settings import setting


class FourTermHeadSettings(WarmStartSettings):
    """Settings of the four-term head; the defaults are the published ones, `preset` fits them to the data."""

    # Chosen by benchmarks/deep_quality.py.
    for_cpu: ClassVar[dict[str, Any]] = {"hidden_dim": 512, "projection_dim": 128}

    warm_start: WarmStart = setting(
        "graph",
        "Whose centres the classifier starts from: k-means, graph (k-means on neighbour averages), a run, or none.",
    )
    batch_size: int = setting(256, "Images per optimiser step.", ge=2, le=65_536, log=True, search=[128, 256, 512])
    learning_rate: float = setting(1e-3, "Step size of Adam.", ge=1e-6, le=0.1, log=True, search=(1e-4, 1e-2))
    noise: float = setting(
        0.02, "Noise of the second view, in each dimension.", ge=0.0, le=1.0, search=(0.0, 0.1), step=0.01
    )
    temperature: float = setting(0.1, "Divides the logits.", ge=0.01, le=1.0, search=(0.05, 0.5))
    hidden_dim: int = setting(2048, "Width of the hidden layers.", ge=8, le=8192, log=True, advanced=True)
    projection_dim: int = setting(256, "Width of the projection.", ge=4, le=4096, log=True, advanced=True)
    warm_start_steps: int = setting(
        150,
        "Cross-entropy steps after the centres are set; the preset paper makes none.",
        ge=0,
        le=10_000,
        advanced=True,
    )

    def resolved(self, n: int, device: str) -> Self:
        """Return the settings as they will be used for `n` images; see `WarmStartSettings.resolved`."""
        steps = 0 if self.preset == "paper" else self.warm_start_steps
        return super().resolved(n, device).changed(warm_start_steps=steps)

    def multiply_adds(self, n: int, columns: int) -> float:
        """Return the multiplications of a step: both views forward and back."""
        network = columns * self.hidden_dim + self.hidden_dim**2 + self.hidden_dim * self.projection_dim
        return 6.0 * self.batch_size * (network + self.projection_dim * self.n_clusters)
