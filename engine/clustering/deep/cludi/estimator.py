"""CLUDI: deep clustering by self-supervised diffusion, where each image's soft cluster is denoised from noise.

Several assignments are sampled for every image; their mean is the clustering and their spread an honest
uncertainty. Frozen embeddings flow in, labels and that spread flow out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.estimator import DeepEstimator, graph_for
from engine.clustering.deep.presets import (
    DeepSettings,
    batch_for,
    check_enough,
    steps_per_epoch,
    unchanged,
    warm_start_for,
    warmup_for,
)
from engine.clustering.deep.start_labels import SMOOTH_NEIGHBORS, WarmStart, starting_labels
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import Vectors, check_embeddings
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    import torch

    from engine.clustering.deep.cludi.network import CludiNetwork
    from engine.clustering.deep.cludi.task import CludiTask
    from engine.clustering.deep.trainer import Plan, Trainer

# What the preset "data" puts in the place of published values; chosen by measurement on several sets and seeds.
# Noise on the sphere of 1,000 and more axes hides nothing from a network, so training drifts away from any start;
# on the leading axes it does. v-prediction lost its start with few steps, x0-prediction kept it. A teacher that
# follows a warm-started student quickly drifts with it: the momentum is full from the first step (see `plan_of`).
FOR_DATA = {"use_v_prediction": False, "normalise": "principal", "ema": 0.997}
FOR_CPU = {
    "batch_diffusion": 2,
    "sampling_steps": 8,
    "prediction_steps": 10,
    "n_samples": 8,
    "width": 96,
    "min_steps": 200,
}
LEAST_EPOCHS = 3
# Without it the warm start leaves a few images with outlying logits, which the loss's softmax over the batch then
# takes for whole clusters: digits fell from .86 to .81 in 200 steps without, and kept .85 with it.
LABEL_SMOOTHING = 0.1
PER_CLUSTER = 4


class CLUDISettings(DeepSettings):
    """Settings of CLUDI; the defaults are the published ones, `preset` fits them to the data."""

    warm_start: WarmStart = setting(
        "graph",
        "What the network is fitted to first: k-means, graph (k-means on neighbour averages), a chosen run, or none.",
    )
    n_epochs: int = setting(100, "Passes over the images.", ge=1, le=100_000)
    min_steps: int = setting(
        2000,
        "Optimiser steps that the preset makes at least, however few images there are.",
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


def resolve(settings: CLUDISettings, n: int, device: str) -> CLUDISettings:
    """Return the settings as they will be used for `n` images on "cpu", "cuda" or "mps".

    With the preset "data", values left at the published default are fitted to the data, and the batch is raised
    to four images per cluster where n allows.

    Raises
    ------
    InputError
        Fewer than two images per cluster; a batch below two images per cluster, naming the batch that would do;
        with "paper", a batch beyond n.
    """
    check_enough(n, settings.n_clusters)
    given = settings
    if given.preset == "data":
        wanted = FOR_DATA | (FOR_CPU if device == "cpu" else {})
        settings = settings.changed(**{name: value for name, value in wanted.items() if unchanged(given, name)})
    automatic = given.preset == "data" and unchanged(given, "batch_size")
    batch = batch_for(
        given.preset,
        settings.batch_size,
        n,
        n_clusters=settings.n_clusters,
        per_cluster=PER_CLUSTER if automatic else 1,
    )
    if batch < 2 * settings.n_clusters and batch < n // 2:
        raise InputError(
            f"A batch of {batch:,} is too small for {settings.n_clusters:,} clusters: CLUDI is kept from collapsing "
            "only by comparing several images of each cluster.",
            f"Use a batch size of at least {min(PER_CLUSTER * settings.n_clusters, n // 2):,}.",
        )
    n_epochs = settings.n_epochs
    if given.preset == "data" and unchanged(given, "n_epochs"):
        needed = -(-settings.min_steps // steps_per_epoch(n, batch))
        n_epochs = max(needed, LEAST_EPOCHS if device == "cpu" else n_epochs)
    return settings.changed(
        batch_size=batch,
        n_epochs=n_epochs,
        warmup_epochs=warmup_for(given.preset, settings.warmup_epochs, n_epochs),
        warm_start_steps=warm_start_for(given),
    )


class CLUDI(DeepEstimator):
    """CLUDI deep clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        Mean probability of the label over the sampled assignments.
    extra_ : dict
        "uncertainty": (n,) float32 in [0, 1], the mean total-variation distance of a sampled assignment from
        the mean of all.

    References
    ----------
    Uziel, Chelly, Freifeld, Pakman, "Clustering via Self-Supervised Diffusion", ICML 2025, arXiv:2507.04283.
    """

    settings_class = CLUDISettings
    settings: CLUDISettings
    resolved_: CLUDISettings
    citation = (
        "@inproceedings{uziel2025clustering, title={Clustering via Self-Supervised Diffusion}, author={Uziel, Roy and "
        "Chelly, Irit and Freifeld, Oren and Pakman, Ari}, booktitle={ICML}, year={2025}}"
    )
    name = "cludi"
    _model: CludiNetwork

    def fit(
        self,
        embeddings: Vectors,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> Self:
        """Cluster `embeddings` (n, d); see `ClusterEstimator.fit`.

        Raises
        ------
        InputError
            NaN, fewer than two images per cluster, a batch too small for K.
        CheckpointError
            `checkpoints` holds those of another configuration, or only damaged ones.
        TrainingError
            A loss term became NaN; the last good checkpoint stays.
        """
        from engine.clustering.deep.checkpoints import seeded
        from engine.clustering.deep.data import Features, Normaliser
        from engine.clustering.deep.trainer import training_device
        from engine.clustering.deep.warm_start import collapse, did_not_train

        array = check_embeddings(embeddings, self.settings.n_clusters)
        self.notes_, self.extra_ = [], {}
        device = training_device(self.settings.device, progress, self.notes_)
        settings = self.resolved_ = resolve(self.settings, len(array), device.type)
        self._tell_batch(len(array), progress)
        graph = None
        if settings.warm_start != "none":
            graph = graph_for(array, neighbors, SMOOTH_NEIGHBORS, device=device.type, progress=progress)
        self._normaliser = Normaliser(settings.normalise, settings.n_components).fit(array)
        features = Features(array, device, self._normaliser)
        with seeded(settings.random_state, device):
            task = build_task(settings, features.dimension, features)
            run = self._train(task, array, graph, device, progress, checkpoints)
        self._note(did_not_train(self.losses_, starting_loss=task.plateau()), progress)
        self._model = run.teacher  # type: ignore[assignment]
        probabilities, spread = self._sampled(task)
        self.extra_["uncertainty"] = spread
        self.confidence_ = probabilities.max(axis=1)
        self._finish(array, probabilities.argmax(axis=1).astype(np.int32), settings.n_clusters, graph, progress)
        self._note(collapse(self.labels_, settings.n_clusters), progress)
        return self

    def predict(self, embeddings: Vectors) -> Labels:
        """Label (m, d) unseen embeddings by the mean of sampled assignments."""
        return self.predict_confidence(embeddings)[0]

    def predict_confidence(self, embeddings: Vectors) -> tuple[Labels, NDArray[np.float32]]:
        """Return labels (m,) and their mean probabilities (m,); the same draws for every call."""
        features = self._unseen(embeddings)
        probabilities, _ = self._sampled(build_task(self.resolved_, features.dimension, features))
        return self._place[probabilities.argmax(axis=1)], probabilities.max(axis=1)

    def _network(self, n_in: int) -> CludiNetwork:
        return build_network(self.resolved_, n_in)

    def _sampled(self, task: CludiTask) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean probabilities (n, K) and their spread (n,)."""
        from engine.clustering.deep.checkpoints import seeded

        settings = self.resolved_
        with seeded(settings.random_state, task.features.device):
            found = list(
                task.predict(self._model, task.features, copies=settings.n_samples, n_steps=settings.prediction_steps)
            )
        return (
            np.concatenate([mean.cpu().numpy() for mean, _ in found]),
            np.concatenate([spread.cpu().numpy() for _, spread in found]),
        )

    def _tell_batch(self, n: int, progress: Progress) -> None:
        settings = self.resolved_
        if settings.batch_size < PER_CLUSTER * settings.n_clusters:
            self._note(
                f"A batch of {settings.batch_size:,} shows each of {settings.n_clusters:,} clusters fewer than "
                f"{PER_CLUSTER} times; {min(PER_CLUSTER * settings.n_clusters, n // 2):,} or more would be safer.",
                progress,
            )

    def _train(
        self,
        task: CludiTask,
        array: Vectors,
        graph: NeighborGraph | None,
        device: torch.device,
        progress: Progress,
        checkpoints: Path | None,
    ) -> Trainer:
        from engine.clustering.deep.checkpoints import fingerprint
        from engine.clustering.deep.trainer import Trainer
        from engine.clustering.deep.warm_start import fit_to_labels

        settings = self.resolved_
        run = Trainer(
            task,
            plan_of(settings, len(array)),
            n=len(array),
            method=self.name,
            settings=settings,
            device=device,
            data=fingerprint(array),
            seed=settings.random_state,
            progress=progress,
            checkpoints=checkpoints,
        )
        self.start_labels_ = starting_labels(
            settings.warm_start,
            array,
            graph,
            n_clusters=settings.n_clusters,
            random_state=settings.random_state,
            given=self._given,
        )
        if self.start_labels_ is not None and not run.resumed:
            fit_to_labels(
                run,
                self.start_labels_,
                task.start_logits(self.start_labels_),
                n_steps=settings.warm_start_steps,
                learning_rate=settings.warm_start_rate,
                label_smoothing=LABEL_SMOOTHING,
            )
        outcome = run.train()
        self.losses_ = outcome.losses
        self.notes_ += outcome.notes
        return run


def build_network(settings: CLUDISettings, dimension: int) -> CludiNetwork:
    """Return the network of resolved settings for inputs of `dimension` columns."""
    from engine.clustering.deep.cludi.network import CludiNetwork

    return CludiNetwork(
        dimension,
        settings.n_clusters,
        embedding_dim=settings.embedding_dim,
        width=settings.width or None,
        dropout=settings.dropout,
    )


def build_task(settings: CLUDISettings, dimension: int, features: object) -> CludiTask:
    """Return the trainer's task of resolved settings on `features`."""
    from engine.clustering.deep.cludi.task import CludiTask

    return CludiTask(build_network(settings, dimension), features, settings)  # type: ignore[arg-type]


def plan_of(settings: CLUDISettings, n: int) -> Plan:
    """Return the training plan of resolved settings."""
    from engine.clustering.deep.trainer import Group, Plan

    return Plan(
        n_epochs=settings.n_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        groups=(Group("*", settings.weight_decay),),
        betas=(0.9, 0.98),
        warmup_steps=settings.warmup_epochs * steps_per_epoch(n, settings.batch_size),
        schedule="cosine",
        final_factor=1e-6 / max(settings.learning_rate, 1e-6),
        clip=4.0,
        ema=settings.ema,
        ema_warmup=settings.warm_start == "none",
    )
