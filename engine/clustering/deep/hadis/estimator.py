"""HaDis: deep clustering that trains its own backbone from the images; ProPos without hardness-aware distillation.

Images in, labels out, no pretrained weights: the method for pictures that CLIP and DINO have never seen.
Its trained backbone is an encoder (`hadis`) that embeds these and new images for everything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.clustering.deep.presets import DeepSettings, batch_for, check_enough, epochs_for, unchanged
from engine.clustering.deep.tracking import Tracking
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import Vectors
from engine.geometry.neighbors import NeighborGraph

BACKBONE_FILE = "backbone.pt"
SMALL_IMAGE = 16
PROCESSOR_VIEW, PROCESSOR_BATCH = 32, 128


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


class HaDis(ClusterEstimator):
    """Hardness-aware deep clustering from images.

    Attributes
    ----------
    labels_ : (n,) int32
        Of all images given, also those outside of `train_rows`.
    confidence_ : (n,) float32
        Softmax over cosine similarities to the centres (temperature 0.1), the own cluster's share.
    embeddings_ : (n, projection_dim) float32
        Unit-length projections: what a map of the learned representation draws.
    history_ : list of (epoch, sizes)
        Cluster sizes in falling order at each reassignment.
    encoder_ : (name, settings) or None
        The encoder that the trained backbone is, where it was written to a file.

    References
    ----------
    Zhang and Huang, "Deep Clustering with Diffused Sampling and Hardness-aware Self-distillation",
    arXiv:2401.14038, 2024. Huang et al., "Learning Representation for Clustering via Prototype Scattering and
    Positive Sampling" (ProPos), TPAMI 2022.
    """

    settings_class = HaDisSettings
    settings: HaDisSettings
    embeddings_: Vectors
    history_: list[tuple[int, list[int]]]
    backbone_: Any
    encoder_: tuple[str, dict[str, str]] | None = None
    centers: Vectors

    def fit(
        self,
        embeddings: NDArray[Any],
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
        train_rows: NDArray[np.int64] | None = None,
    ) -> Self:
        """Train on images.

        Parameters
        ----------
        embeddings : (n, side, side, 3) uint8
            Images, an array or a memory map; (n, side, side) and (n, side, side, 1) are taken as grayscale.
        neighbors : NeighborGraph, optional
            Not used.
        checkpoints : Path, optional
            Folder of checkpoints; backbone.pt is written there at the end.
        train_rows : (m,) int64, optional
            Train and form clusters on these only; the others are assigned. All when absent.

        Raises
        ------
        InputError
            No images of one square size, too few for K.
        TrainingError
            A loss became NaN, or memory does not suffice for two images.
        """
        images = check_images(embeddings)
        train = np.arange(len(images)) if train_rows is None else np.asarray(train_rows, dtype=np.int64)
        self.notes_ = []
        from engine.clustering.deep.hadis.training import train_hadis

        train_hadis(self, images, train, progress, checkpoints)
        return self

    def predict(self, embeddings: NDArray[Any]) -> Labels:
        """Label (m, side, side, 3) uint8 images by the nearest centre.

        Raises
        ------
        InputError
            Before `fit`, or images that are not square RGB.
        """
        if not hasattr(self, "backbone_"):
            raise InputError("HaDis has not been trained yet.", "Call fit first.")
        from engine.clustering.deep.hadis.training import project

        return nearest(project(self.backbone_, check_images(embeddings)), self.centers)[0]

    def save_backbone(self, path: Path) -> None:
        """Write the trained backbone for the encoder `hadis`."""
        from engine.embeddings.encoders.resnet_network import save_backbone

        save_backbone(path, self.backbone_)


def nearest(features: Vectors, centers: Vectors) -> tuple[Labels, Vectors]:
    """Return the nearest centre of unit-length features by cosine, and its share in a softmax at 0.1."""
    scores = features @ centers.T / 0.1
    labels = scores.argmax(axis=1).astype(np.int32)
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return labels, (1 / shifted.sum(axis=1)).astype(np.float32)


def check_images(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (n, side, side, 3) uint8 images; grayscale gets three equal channels.

    Raises
    ------
    InputError
        Another type or shape, or no image.
    """
    if images.dtype != np.uint8:
        raise InputError(f"HaDis takes images as bytes 0 to 255, not {images.dtype}.", "Give uint8 RGB images.")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.shape[1] != images.shape[2] or 0 in images.shape:
        raise InputError(
            f"HaDis takes square RGB images of one size, not an array of shape {images.shape}.",
            "It needs the pictures themselves, not embeddings.",
        )
    return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images


def fit_to_processor(settings: HaDisSettings, side: int, notes: list[str]) -> HaDisSettings:
    """Return settings whose defaults end within minutes on a processor; what was chosen stays.

    Views have at most 32 px, and beyond 16 px the steps fall as the pixels of a view rise.
    """
    view = settings.image_size or min(side, PROCESSOR_VIEW)
    wanted = {"image_size": view, "n_epochs": 1}  # as many epochs as make the steps
    if view > SMALL_IMAGE:
        wanted["batch_size"] = min(settings.batch_size, max(PROCESSOR_BATCH, settings.n_clusters))
        wanted["min_steps"] = round(settings.min_steps * (SMALL_IMAGE / view) ** 2)
    fitted = settings.changed(**{name: value for name, value in wanted.items() if unchanged(settings, name)})
    if view < side or fitted.min_steps < settings.min_steps:
        notes.append(
            f"Fitted to a processor: views of {view} px and at least {fitted.min_steps:,} steps. "
            "A GPU, or a larger image size and more epochs, make more of these images."
        )
    return fitted


def resolve(settings: HaDisSettings, n: int, side: int, device: str, notes: list[str]) -> HaDisSettings:
    """Return the settings that train: size, network, widths, batch and epochs fitted to the images and the machine.

    Parameters
    ----------
    n, side : int
        Training images and their edge in pixels.
    device : str
        "cpu", "cuda", "mps".
    notes : list of str
        Receives sentences about what was fitted.
    """
    check_enough(n, settings.n_clusters)
    if device == "cpu" and settings.preset == "data":
        settings = fit_to_processor(settings, side, notes)
    view = settings.image_size or min(side, 224)
    if view > side:
        notes.append(f"The images have {side} px and are enlarged to {view} px.")
    small = view <= SMALL_IMAGE or device == "cpu"
    backbone = ("resnet_small" if small else "resnet18") if settings.backbone == "auto" else settings.backbone
    width = settings.projector_width or (512 if backbone == "resnet_small" else 4096)
    batch = batch_for(settings.preset, settings.batch_size, n, n_clusters=settings.n_clusters)
    if batch < settings.batch_size:
        notes.append(f"Batches hold {batch:,} images instead of {settings.batch_size:,}: there are {n:,} images.")
    epochs = epochs_for(settings.preset, settings.n_epochs, n, batch_size=batch, min_steps=settings.min_steps)
    return settings.changed(
        image_size=view, backbone=backbone, projector_width=width, batch_size=batch, n_epochs=epochs
    )
