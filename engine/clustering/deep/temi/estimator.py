"""TEMI: clustering heads on frozen embeddings, trained on neighbour pairs by a weighted mutual information."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.estimator import DeepEstimator, graph_for
from engine.clustering.deep.presets import (
    DeepSettings,
    batch_for,
    check_enough,
    neighbors_for,
    raised_batch,
    steps_per_epoch,
    unchanged,
    warm_start_for,
    warmup_for,
)
from engine.clustering.deep.start_labels import SMOOTH_NEIGHBORS, WarmStart, starting_labels
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import Vectors, check_embeddings
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    import torch

    from engine.clustering.deep.temi.network import StackedHeads, TemiTask
    from engine.clustering.deep.trainer import Plan, Trainer

# What the preset "data" puts in the place of published values; chosen by benchmarks/deep_quality.py.
FOR_DATA = {"learning_rate": 3e-3, "beta": 0.8, "n_neighbors": 10, "normalise": "principal"}
FOR_CPU = {"n_heads": 3, "hidden_dim": 256, "bottleneck_dim": 128, "batch_size": 256}
LEAST_EPOCHS = 3
# Heads that start from random weights need this many times `min_steps`.
COLD_FACTOR = 5


class TEMISettings(DeepSettings):
    """Settings of TEMI; the defaults are the published ones, `preset` fits them to the data."""

    warm_start: WarmStart = setting(
        "graph",
        "What the heads are fitted to first: k-means, graph (k-means on neighbour averages), a chosen run, or none.",
    )
    beta: float = setting(
        0.6, "Below 1 balances cluster sizes; lower balances more.", ge=0.1, le=1.0, step=0.05, search=(0.5, 1.0)
    )
    n_neighbors: int = setting(50, "Neighbours of an image that may be its partner.", ge=1, le=500, search=(5, 50))
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
    warm_start_steps: int = setting(150, "Cross-entropy steps of the warm start.", ge=1, le=10_000, advanced=True)


def resolve(settings: TEMISettings, n: int, device: str) -> TEMISettings:
    """Return the settings as they will be used for `n` images on "cpu", "cuda" or "mps".

    With the preset "data", values that were left at the published default are fitted to the data; values
    that a person changed are kept, except for a batch above n // 2 and neighbours above n // (2 K).

    Raises
    ------
    InputError
        Fewer than two images per cluster; K larger than the batch; with "paper", a batch or neighbours beyond n.
    """
    check_enough(n, settings.n_clusters)
    given = settings
    if given.preset == "data":
        wanted = FOR_DATA | (FOR_CPU if device == "cpu" else {})
        settings = settings.changed(**{name: value for name, value in wanted.items() if unchanged(given, name)})
    batch = batch_for(given.preset, settings.batch_size, n, n_clusters=settings.n_clusters, per_cluster=2)
    n_epochs = settings.n_epochs
    if given.preset == "data" and unchanged(given, "n_epochs"):
        steps = settings.min_steps * (COLD_FACTOR if settings.warm_start == "none" else 1)
        needed = -(-steps // steps_per_epoch(n, batch))
        n_epochs = max(needed, LEAST_EPOCHS if device == "cpu" else n_epochs)
    return settings.changed(
        batch_size=batch,
        n_neighbors=neighbors_for(given.preset, settings.n_neighbors, n, settings.n_clusters),
        n_epochs=n_epochs,
        warmup_epochs=warmup_for(given.preset, settings.warmup_epochs, n_epochs),
        warm_start_steps=warm_start_for(given),
    )


class TEMI(DeepEstimator):
    """TEMI deep clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        The chosen head's probability of the label.
    extra_ : dict
        "confidence_mean": (n,) float32, the mean over heads of each head's own probability.
    head_ : int
        The chosen head: the lowest mean training loss of the last epoch.

    References
    ----------
    Adaloglou, Michels, Kalisch, Kollmann, "Exploring the Limits of Deep Image Clustering using Pretrained
    Models", BMVC 2023, arXiv:2303.17896.
    """

    settings_class = TEMISettings
    settings: TEMISettings
    resolved_: TEMISettings
    citation = (
        "@inproceedings{adaloglou2023exploring, title={Exploring the Limits of Deep Image Clustering using Pretrained "
        "Models}, author={Adaloglou, Nikolas and Michels, Felix and Kalisch, Hamza and Kollmann, Markus}, "
        "booktitle={BMVC}, year={2023}}"
    )
    name = "temi"
    head_: int
    _model: StackedHeads

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
            NaN, fewer than two images per cluster, a batch smaller than K.
        CheckpointError
            `checkpoints` holds those of another configuration, or only damaged ones.
        TrainingError
            A loss term became NaN; the last good checkpoint stays.
        """
        from engine.clustering.deep.checkpoints import seeded
        from engine.clustering.deep.data import Features, Normaliser
        from engine.clustering.deep.temi.network import assign
        from engine.clustering.deep.trainer import training_device
        from engine.clustering.deep.warm_start import collapse, did_not_train

        array = check_embeddings(embeddings, self.settings.n_clusters)
        self.notes_, self.extra_ = [], {}
        device = training_device(self.settings.device, progress, self.notes_)
        settings = self.resolved_ = resolve(self.settings, len(array), device.type)
        self._note(raised_batch(self.settings.batch_size, settings.batch_size, settings.n_clusters), progress)
        graph = graph_for(
            array, neighbors, max(settings.n_neighbors, SMOOTH_NEIGHBORS), device=device.type, progress=progress
        )
        self._normaliser = Normaliser(settings.normalise, settings.n_components).fit(array)
        features = Features(array, device, self._normaliser)
        with seeded(settings.random_state, device):
            task = self._task(features, graph)
            run = self._train(task, array, graph, device, progress, checkpoints)
        self._note(did_not_train(self.losses_, starting_loss=self._starting_loss), progress)
        self._model, self.head_ = run.teacher, int(task.head_losses().argmin())  # type: ignore[assignment]
        found = assign(self._model, features, self.head_, settings.temperature)
        self.confidence_ = found.confidence
        self.extra_["confidence_mean"] = found.mean_confidence
        self._finish(array, found.labels, settings.n_clusters, graph, progress)
        self._note(collapse(self.labels_, settings.n_clusters), progress)
        return self

    def predict(self, embeddings: Vectors) -> Labels:
        """Label (m, d) unseen embeddings by the chosen head of the teacher."""
        return self.predict_confidence(embeddings)[0]

    def predict_confidence(self, embeddings: Vectors) -> tuple[Labels, NDArray[np.float32]]:
        """Return labels (m,) and the chosen head's probabilities (m,)."""
        from engine.clustering.deep.temi.network import assign

        features = self._unseen(embeddings)
        found = assign(self._model, features, self.head_, self.resolved_.temperature)
        return self._place[found.labels], found.confidence

    def _network(self, n_in: int) -> StackedHeads:
        return build_heads(self.resolved_, n_in)

    def _rule_state(self) -> dict[str, Any]:
        return super()._rule_state() | {"head": self.head_}

    def _load_rule(self, state: dict[str, Any]) -> None:
        super()._load_rule(state)
        self.head_ = state["head"]

    def _task(self, features: Any, graph: NeighborGraph) -> TemiTask:  # noqa: ANN401 - Features, torch not imported here
        from engine.clustering.deep.temi.network import TemiTask

        settings = self.resolved_
        return TemiTask(
            build_heads(settings, features.dimension),
            features,
            graph.indices[:, : settings.n_neighbors],
            beta=settings.beta,
            temperature=settings.temperature,
            teacher_temperature=settings.teacher_temperature,
            feature_noise=settings.feature_noise,
            frozen_epochs=1 if settings.warm_start == "none" else 0,
        )

    def _train(
        self,
        task: TemiTask,
        array: Vectors,
        graph: NeighborGraph,
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
        if not run.resumed:
            run.measure_start()
        self._starting_loss = run.starting_loss
        self.start_labels_ = starting_labels(
            settings.warm_start,
            array,
            graph,
            n_clusters=settings.n_clusters,
            random_state=settings.random_state,
            given=self._given,
        )
        if self.start_labels_ is not None and not run.resumed:
            fit_to_labels(run, self.start_labels_, task.logits_of_rows, n_steps=settings.warm_start_steps)
        outcome = run.train()
        self.losses_ = outcome.losses
        self.notes_ += outcome.notes
        return run


def build_heads(settings: TEMISettings, n_in: int) -> StackedHeads:
    """Return the stacked heads of resolved settings."""
    from engine.clustering.deep.temi.network import StackedHeads

    return StackedHeads(
        n_heads=settings.n_heads,
        n_in=n_in,
        n_hidden=settings.hidden_dim,
        n_bottleneck=settings.bottleneck_dim,
        n_clusters=settings.n_clusters,
    )


def plan_of(settings: TEMISettings, n: int) -> Plan:
    """Return the training plan of resolved settings."""
    from engine.clustering.deep.trainer import Group, Plan

    return Plan(
        n_epochs=settings.n_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate * settings.batch_size / 256,
        groups=(
            Group("*.weight", settings.weight_decay),
            Group("last.direction", settings.weight_decay),
            Group("*"),
        ),
        warmup_steps=settings.warmup_epochs * steps_per_epoch(n, settings.batch_size),
        ema=settings.ema,
    )
