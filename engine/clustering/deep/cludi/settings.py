"""Settings of CLUDI and how they are fitted to the data; no torch here."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from engine.clustering.deep.presets import Scaling, WarmStartSettings, warmup_for
from engine.core.errors import InputError
from engine.core.settings import setting

# Images of each cluster in a batch, on average, that keep CLUDI from collapsing.
PER_CLUSTER = 4
# Optimiser steps that a start from random weights needs at least.
COLD_STEPS = 1000


class CLUDISettings(WarmStartSettings):
    """Settings of CLUDI; the defaults are the published ones, `preset` fits them to the data."""

    # Chosen by measurement on several sets and seeds. Noise on the sphere of 1,000 and more axes hides nothing from a
    # network, so training drifts away from any start; on the leading axes it does. v-prediction lost its start with
    # few steps, x0-prediction kept it. A teacher that follows a warm-started student quickly drifts with it: the
    # momentum is full from the first step (see `CludiTask.plan`).
    for_data: ClassVar[dict[str, Any]] = {"use_v_prediction": False, "normalise": "principal", "ema": 0.997}
    for_cpu: ClassVar[dict[str, Any]] = {
        "batch_diffusion": 2,
        "sampling_steps": 8,
        "prediction_steps": 10,
        "n_samples": 8,
        "width": 96,
        "min_steps": 200,
    }
    # From random weights the published rate ends at an ARI of .29 on digits after 200 steps; 1,000 at this rate end
    # at .53, and three times this rate collapsed.
    for_cold: ClassVar[dict[str, Any]] = {"learning_rate": 1e-3}

    min_steps: int = setting(
        2000,
        "Optimiser steps that the preset makes at least, however few images there are; 1,000 without a warm start.",
        ge=1,
        le=100_000,
        advanced=True,
    )
    batch_size: int = setting(
        256,
        "Images per optimiser step; several times the number of clusters, which prevents collapse.",
        ge=2,
        le=65_536,
        log=True,
    )
    learning_rate: float = setting(1e-4, "Step size.", ge=1e-6, le=1e-1, log=True, search=(1e-5, 1e-3))
    warmup_epochs: int = setting(
        1, "Epochs in which the learning rate rises.", ge=0, le=1000, search=[0, 1, 2], advanced=True
    )
    embedding_dim: int = setting(64, "Length of an assignment embedding.", ge=4, le=1024, search=[32, 64, 128])
    diffusion_steps: int = setting(1000, "Diffusion times.", ge=10, le=10_000, search=[500, 750, 1000])
    batch_diffusion: int = setting(8, "Noisy copies of each image in a step.", ge=1, le=64, search=[4, 8, 16])
    rescaling_factor: float = setting(
        49.0, "How much more noise than usual is mixed in.", ge=1.0, le=400.0, search=[25.0, 49.0, 100.0]
    )
    rescaling: Literal["variance", "std"] = setting(
        "variance",
        "The factor multiplies the noise's variance, as in the paper, or its deviation, as in the released code.",
        advanced=True,
    )
    ce_lambda: float = setting(
        50.0,
        "Weight of the cross-entropy beside the denoising loss.",
        ge=0.0,
        le=1000.0,
        search=[25.0, 50.0, 75.0, 100.0],
    )
    use_v_prediction: bool = setting(
        True,
        "The network predicts v, a mixture of noise and assignment; off: the assignment. The preset data uses off.",
    )
    sampling_steps: int = setting(25, "Denoising steps of the teacher in training.", ge=1, le=1000, advanced=True)
    prediction_steps: int = setting(50, "Denoising steps at prediction.", ge=1, le=1000, advanced=True)
    n_samples: int = setting(64, "Sampled assignments that are averaged at prediction.", ge=1, le=1000)
    width: int = setting(
        0, "Width of the feature branch; 0 is the length of an embedding.", ge=0, le=8192, advanced=True
    )
    noise_low: float = setting(
        0.2, "Least length of the noise added to a unit embedding.", ge=0.0, le=2.0, advanced=True
    )
    noise_high: float = setting(
        1.0, "Greatest length of the noise added to a unit embedding.", ge=0.0, le=4.0, advanced=True
    )
    dropout: float = setting(0.15, "Dropout after both branches.", ge=0.0, le=0.9, advanced=True)
    ema: float = setting(0.999, "Momentum of the teacher.", ge=0.0, le=0.9999, advanced=True)
    weight_decay: float = setting(0.01, "AdamW's weight decay.", ge=0.0, le=1.0, advanced=True)
    normalise: Literal["l2", "centre", "principal"] = setting(
        "l2", "How inputs are scaled, in training and prediction alike; principal: leading axes only.", advanced=True
    )
    n_components: int = setting(64, "Axes of the principal scaling.", ge=2, le=4096, log=True, advanced=True)
    warm_start_steps: int = setting(250, "Cross-entropy steps of the warm start.", ge=1, le=10_000, advanced=True)
    warm_start_rate: float = setting(1e-3, "Step size of the warm start.", ge=1e-6, le=1e-1, log=True, advanced=True)

    @property
    def input_scaling(self) -> tuple[Scaling, int]:
        """How inputs are scaled, and the axes of the principal scaling."""
        return self.normalise, self.n_components

    @property
    def least_steps(self) -> int:
        """Optimiser steps that the preset "data" makes at least."""
        return max(self.min_steps, COLD_STEPS) if self.start == "none" else self.min_steps

    @property
    def batch_per_cluster(self) -> int:
        """Images of each cluster to which the preset "data" raises a batch that was not given."""
        return PER_CLUSTER if self.preset == "data" else 1

    def resolved(self, n: int, device: str) -> Self:
        """Return the settings as they will be used for `n` images; see `WarmStartSettings.resolved`.

        Raises
        ------
        InputError
            Also for a batch below two images per cluster, naming the batch that would do.
        """
        fitted = super().resolved(n, device)
        batch = fitted.batch_size
        if self.preset == "data" and batch < 2 * self.n_clusters and batch < n // 2:
            raise InputError(
                f"A batch of {batch:,} is too small for {self.n_clusters:,} clusters: CLUDI is kept from collapsing "
                "only by comparing several images of each cluster.",
                f"Use a batch size of at least {min(PER_CLUSTER * self.n_clusters, n // 2):,}.",
            )
        return fitted.changed(
            warmup_epochs=warmup_for(
                self.preset, fitted.warmup_epochs, fitted.n_epochs, given="warmup_epochs" in self.model_fields_set
            )
        )

    def multiply_adds(self, n: int, columns: int) -> float:
        """Return the multiplications of a step: the teacher's sampling, and the student forward and back."""
        n_in = min(columns, self.n_components) if self.normalise == "principal" else columns
        d, width = self.embedding_dim, self.width or self.embedding_dim
        features = n_in * width + 2 * width * width
        hidden = width + d
        denoise = 4 * d * d + d * d + 6 * hidden * hidden + d * self.n_clusters
        copies = self.batch_size * self.batch_diffusion
        return float(self.batch_size * features + copies * ((self.sampling_steps + 4) * denoise + 3 * features))
