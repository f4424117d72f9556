"""HaDis: deep clustering that trains its own backbone from the images; ProPos without hardness-aware distillation.

Images in, labels out, no pretrained weights: the method for pictures that CLIP and DINO have never seen.
Its trained backbone is an encoder (`hadis`) that embeds these and new images for everything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.clustering.deep.diagnosis import collapse, did_not_train
from engine.clustering.deep.forecast import forecast
from engine.clustering.deep.hadis.settings import HaDisSettings
from engine.clustering.deep.tracking import tracked
from engine.core.errors import InputError
from engine.core.labels import Labels, rank_by_size
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    import torch

    from engine.clustering.deep.parallel import ProcessGroup
    from engine.embeddings.encoders.resnet_network import Backbone

BACKBONE_FILE = "backbone.pt"


class HaDis(ClusterEstimator):
    """Hardness-aware deep clustering from images.

    Attributes
    ----------
    labels_ : (n,) int32
        Of all images given, also those outside of `train_rows`; 0..K-1 in falling size.
    confidence_ : (n,) float32
        Softmax over cosine similarities to the centres (temperature 0.1), the own cluster's share.
    embeddings_ : (n, projection_dim) float32
        Unit-length projections: what a map of the learned representation draws.
    history_ : list of (epoch, sizes)
        Cluster sizes in falling order at each reassignment.
    backbone_ : Backbone
        The trained network with all that is needed to use it on new images.
    centers : (K, projection_dim) float32
        Unit-length centres of the clusters among the projections.

    References
    ----------
    Zhang and Huang, "Deep Clustering with Diffused Sampling and Hardness-aware Self-distillation",
    arXiv:2401.14038, 2024. Huang et al., "Learning Representation for Clustering via Prototype Scattering and
    Positive Sampling" (ProPos), TPAMI 2022.
    """

    settings_class = HaDisSettings
    citation = (
        "@article{zhang2024deep, title={Deep Clustering with Diffused Sampling and Hardness-aware Self-distillation}, "
        "author={Zhang, Hai-Xin and Huang, Dong}, journal={arXiv preprint arXiv:2401.14038}, year={2024}}"
    )
    settings: HaDisSettings
    resolved_: HaDisSettings
    embeddings_: Vectors
    history_: list[tuple[int, list[int]]]
    backbone_: Backbone
    centers: Vectors

    @property
    def wants_graph(self) -> bool:
        """Return False: there are no embeddings to be near each other."""
        return False

    def fit(
        self,
        images: NDArray[Any],
        y: object = None,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
        train_rows: NDArray[np.int64] | None = None,
    ) -> Self:
        """Train on images; under `torchrun` all processes train one network.

        Parameters
        ----------
        images : (n, side, side, 3) uint8
            An array or a memory map; (n, side, side) and (n, side, side, 1) are taken as grayscale.
        y, neighbors : ignored
            There for the contract of all methods.
        progress : Progress
            Who listens.
        checkpoints : Path, optional
            A folder to save to and resume from; backbone.pt is written there at the end.
        train_rows : (m,) int64, optional
            Train and form clusters on these only; the others are assigned. All when absent.

        Raises
        ------
        InputError
            No images of one square size, too few for K.
        TrainingError
            A loss became NaN, or memory does not suffice for two images.
        """
        from engine.clustering.deep.parallel import ProcessGroup
        from engine.clustering.deep.trainer import training_device

        images = check_images(images)
        rows = np.arange(len(images)) if train_rows is None else np.asarray(train_rows, dtype=np.int64)
        self.notes_, self.extra_ = [], {}
        processes = ProcessGroup()
        try:
            device = processes.device(training_device(self.settings.device, progress, self.notes_))
            self._train(images, rows, device, processes, progress, checkpoints)
        finally:
            processes.close()
        return self

    def _train(
        self,
        images: NDArray[np.uint8],
        train: NDArray[np.int64],
        device: torch.device,
        processes: ProcessGroup,
        progress: Progress,
        checkpoints: Path | None,
    ) -> None:
        import torch

        from engine.clustering.deep.checkpoints import seeded
        from engine.clustering.deep.hadis.training import backbone_of, make_trainer, plateau
        from engine.clustering.deep.parallel import GroupProgress
        from engine.embeddings.encoders.resnet_network import save_backbone

        listener = GroupProgress(progress, processes, device)
        settings, fitted = self.settings.resolved(len(train), images.shape[1], device.type)
        self.resolved_ = settings
        listener.say(forecast(self.settings, settings, len(train), 3 * images.shape[1] ** 2, device.type))
        for sentence in fitted:
            listener.say(sentence)
        tracking = settings.tracking if processes.rank == 0 else "none"
        folder = checkpoints.parent if checkpoints is not None else Path()
        exact = seeded(settings.random_state, device, settings.reproducible)
        with exact, tracked(tracking, folder, listener) as told:
            task, trainer = make_trainer(settings, images, train, device, processes, told, checkpoints)
            result = trainer.train()
            task.follow(trainer)
            task.reassign(trainer)
            with trainer.evaluating():
                self.embeddings_ = task.features(torch.arange(len(images)), trainer)
        labels, self.confidence_ = nearest(self.embeddings_, task.centers)
        labels[train] = task.pseudo
        place = rank_by_size(labels, settings.n_clusters)
        self.labels_ = place[labels]
        self.centers = task.centers = task.centers[np.argsort(place)]
        self.history_, self.backbone_ = task.sizes, backbone_of(task)
        start = plateau(result.losses, task.warmup_steps)
        judged = (collapse(task.pseudo, settings.n_clusters), did_not_train(result.losses, starting_loss=start))
        self.notes_ += [*fitted, *result.notes, *(sentence for sentence in judged if sentence)]
        if checkpoints is not None:
            path = checkpoints.resolve() / BACKBONE_FILE
            if processes.rank == 0:
                save_backbone(path, self.backbone_)
            self.encoder_ = ("hadis", {"checkpoint": str(path)})

    def predict(self, images: NDArray[Any]) -> Labels:
        """Label (m, side, side, 3) uint8 images by the nearest centre.

        Raises
        ------
        InputError
            Before `fit`, or images that are not square RGB.
        """
        return self.predict_confidence(images)[0]

    def predict_confidence(self, images: NDArray[Any]) -> tuple[Labels, Vectors]:
        """Return labels (m,) of unseen images and the own centre's share (m,) as in `confidence_`."""
        if not hasattr(self, "backbone_"):
            raise InputError("HaDis has not been trained yet.", "Call fit first.")
        from engine.clustering.deep.hadis.training import project

        return nearest(project(self.backbone_, check_images(images)), self.centers)

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
