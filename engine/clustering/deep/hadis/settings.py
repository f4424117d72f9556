"""Settings of HaDis and how they are fitted to the images and the machine; no torch here."""

from __future__ import annotations

from typing import Literal, Self

from engine.clustering.deep.presets import DeepSettings, batch_for, check_enough, epochs_for
from engine.clustering.deep.tracking import Tracking
from engine.core.settings import setting

SMALL_IMAGE = 16
LARGEST_VIEW = 224
PROCESSOR_VIEW, PROCESSOR_BATCH, PROCESSOR_STEPS = 32, 128, 1000
# Multiplications that resnet_small makes for a view of 32 px.
SMALL_MULTIPLY_ADDS = 5e7


class HaDisSettings(DeepSettings):
    """Settings of HaDis; the defaults are the paper's, except for a shorter schedule of the same shape."""

    backbone: Literal["auto", "resnet18", "resnet34", "resnet_small"] = setting(
        "auto", "The network to train; auto: resnet_small on a CPU or for images of 16 px or less, else resnet18."
    )
    image_size: int = setting(0, "Pixels of a view; 0 takes the images' own size, up to 224.", ge=0, le=512)
    train_on: Literal["train", "all"] = setting(
        "train",
        "Where there is a test part: train on the training images alone, or on all, as most papers do.",
    )
    hardness_aware: bool = setting(True, "Hardness-aware self-distillation; without it the method is ProPos.")
    n_epochs: int = setting(200, "Passes over the images; the paper makes 1,000.", ge=1, le=10_000, log=True)
    batch_size: int = setting(256, "Images of a step: 256 at 32 px, 128 at 96 px.", ge=2, le=4096, log=True)
    learning_rate: float = setting(
        0.05, "Step size at a batch of 256; scales with the batch.", ge=1e-4, le=1.0, log=True, search=(0.01, 0.2)
    )
    pcl_weight: float = setting(
        0.1, "Weight of prototypical contrast (0.05 for CIFAR-20 and ImageNet-10).", ge=0, le=2, search=(0.02, 0.5)
    )
    smallest_crop: float = setting(
        0.08, "Share of the picture that a view keeps at least.", ge=0.05, le=1, search=(0.08, 0.6)
    )
    flip: bool = setting(True, "Views may be mirrored; switch off where left and right mean something.")
    colour_jitter: float = setting(1.0, "Strength of colour changes; 0 switches them off.", ge=0, le=2)
    grayscale: float = setting(0.2, "Probability that a view loses its colour.", ge=0, le=1)
    warmup_share: float = setting(
        0.05,
        "Share of the steps without prototypes, while the rate rises (50 of 1,000 epochs).",
        ge=0,
        le=0.5,
        advanced=True,
    )
    min_steps: int = setting(
        2000, "With the preset data: train at least so many steps.", ge=1, le=1_000_000, log=True, advanced=True
    )
    predictor_rate: float = setting(10.0, "The predictor's step size, times the others'.", ge=1, le=20, advanced=True)
    weight_decay: float = setting(5e-4, "Pull of the weights towards zero.", ge=0, le=0.1, advanced=True)
    momentum: float = setting(0.9, "Momentum of the gradient descent.", ge=0, le=0.99, advanced=True)
    ema: float = setting(0.996, "Momentum of the target network.", ge=0.5, le=1, advanced=True)
    ema_to_one: bool = setting(False, "Let the target's momentum rise to 1 (CIFAR-20).", advanced=True)
    sigma: float = setting(0.001, "Noise of the diffused sample after the warm-up.", ge=0, le=1, advanced=True)
    temperature: float = setting(0.5, "Temperature of prototypical contrast.", ge=0.05, le=5, advanced=True)
    projector_width: int = setting(
        0, "Hidden width of projector and predictor; 0: 4,096, or 512 with resnet_small.", ge=0, le=8192, advanced=True
    )
    projection_dim: int = setting(256, "Length of a projection.", ge=8, le=2048, advanced=True)
    reassign_every: int = setting(1, "Epochs between two rounds of pseudo-labels.", ge=1, le=100, advanced=True)
    balanced_sampling: bool = setting(False, "Draw images of small clusters more often (CIFAR-20).", advanced=True)
    tracking: Tracking = setting(
        "none",
        "Losses also to TensorBoard (files in the run) or Weights & Biases (sent to that service).",
        runtime=True,
        advanced=True,
    )
    checkpoint_every: int = setting(20, "Epochs between checkpoints.", ge=1, le=1000, runtime=True, advanced=True)

    def resolved(self, n: int, side: int, device: str) -> tuple[Self, list[str]]:
        """Return the settings that train and sentences about what was fitted to the images and the machine.

        Parameters
        ----------
        n, side : int
            Training images and their edge in pixels.
        device : str
            "cpu", "cuda", "mps".

        Raises
        ------
        InputError
            Fewer than two images per cluster; K larger than the batch; with "paper", a batch beyond n.
        """
        check_enough(n, self.n_clusters)
        fitted, notes = self, list[str]()
        if device == "cpu" and self.preset == "data":
            fitted, notes = self._fitted_to_processor(side)
        view = fitted.image_size or min(side, LARGEST_VIEW)
        if view > side:
            notes.append(f"The images have {side} px and are enlarged to {view} px.")
        small = view <= SMALL_IMAGE or device == "cpu"
        backbone = ("resnet_small" if small else "resnet18") if fitted.backbone == "auto" else fitted.backbone
        width = fitted.projector_width or (512 if backbone == "resnet_small" else 4096)
        given = self.model_fields_set
        batch = batch_for(
            fitted.preset, fitted.batch_size, n, n_clusters=fitted.n_clusters, given="batch_size" in given
        )
        if batch < fitted.batch_size:
            notes.append(f"Batches hold {batch:,} images instead of {fitted.batch_size:,}: there are {n:,} images.")
        epochs = epochs_for(
            fitted.preset,
            fitted.n_epochs,
            n,
            batch_size=batch,
            min_steps=fitted.min_steps,
            given="n_epochs" in given,
        )
        fitted = fitted.changed(
            image_size=view, backbone=backbone, projector_width=width, batch_size=batch, n_epochs=epochs
        )
        return fitted, notes

    def trained(self, n: int, device: str, *, side: int = 0) -> Self:
        """Return the settings that `resolved` finds, without its sentences."""
        return self.resolved(n, side, device)[0]

    def multiply_adds(self, n: int, columns: int) -> float:
        """Return the multiplications of a step: two views through the online network and back, and the target's."""
        at_32 = {"resnet18": 5.6e8, "resnet34": 1.16e9}.get(self.backbone, SMALL_MULTIPLY_ADDS)
        return 8.0 * self.batch_size * at_32 * (self.image_size / 32) ** 2

    def _fitted_to_processor(self, side: int) -> tuple[Self, list[str]]:
        """Return settings whose defaults end within minutes on a processor, and what to tell; what was chosen stays.

        Views have at most 32 px; steps are 1,000 at most, and beyond 16 px they fall as the pixels of a view rise.
        """
        view = self.image_size or min(side, PROCESSOR_VIEW)
        steps = min(self.min_steps * min(1, SMALL_IMAGE / view) ** 2, PROCESSOR_STEPS)
        wanted = {"image_size": view, "n_epochs": 1, "min_steps": round(steps)}  # as many epochs as make the steps
        if view > SMALL_IMAGE:
            wanted["batch_size"] = min(self.batch_size, max(PROCESSOR_BATCH, self.n_clusters))
        fitted = self.changed(**{name: value for name, value in wanted.items() if name not in self.model_fields_set})
        return fitted, [
            f"Fitted to a processor: views of {view} px and at least {fitted.min_steps:,} steps. "
            "A GPU, or a larger image size and more epochs, make more of these images."
        ]
