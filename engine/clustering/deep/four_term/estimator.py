"""The four-term head: one small network on frozen embeddings, started from cluster centres; a relative of TEMI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.estimator import DeepEstimator, graph_for
from engine.clustering.deep.presets import (
    DeepSettings,
    batch_for,
    check_enough,
    raised_batch,
    steps_per_epoch,
    unchanged,
)
from engine.clustering.deep.start_labels import SMOOTH_NEIGHBORS, WarmStart, starting_labels
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import Vectors, check_embeddings
from engine.geometry.centers import mean_directions
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    import torch

    from engine.clustering.deep.data import Features
    from engine.clustering.deep.four_term.network import FourTermNetwork, FourTermTask
    from engine.clustering.deep.trainer import Plan

# What the preset "data" puts in the place of published values; chosen by benchmarks/deep_quality.py.
FOR_CPU = {"hidden_dim": 512, "projection_dim": 128}


class FourTermHeadSettings(DeepSettings):
    """Settings of the four-term head; the defaults are the published ones, `preset` fits them to the data."""

    warm_start: WarmStart = setting(
        "graph",
        "Whose centres the classifier starts from: k-means, graph (k-means on neighbour averages), a run, or none.",
    )
    n_epochs: int = setting(100, "Passes over the images.", ge=1, le=100_000)
    min_steps: int = setting(
        500,
        "Optimiser steps that the preset makes at least, however few images there are.",
        ge=1,
        le=100_000,
        advanced=True,
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


def resolve(settings: FourTermHeadSettings, n: int, device: str) -> FourTermHeadSettings:
    """Return the settings as they will be used for `n` images on "cpu", "cuda" or "mps"; see `temi.resolve`.

    Raises
    ------
    InputError
        Fewer than two images per cluster; K larger than the batch; with "paper", a batch beyond n.
    """
    check_enough(n, settings.n_clusters)
    given = settings
    if given.preset == "data" and device == "cpu":
        settings = settings.changed(**{name: value for name, value in FOR_CPU.items() if unchanged(given, name)})
    batch = batch_for(given.preset, settings.batch_size, n, n_clusters=settings.n_clusters, per_cluster=2)
    n_epochs = settings.n_epochs
    if given.preset == "data" and unchanged(given, "n_epochs"):
        needed = -(-settings.min_steps // steps_per_epoch(n, batch))
        n_epochs = max(needed, 3 if device == "cpu" else n_epochs)
    return settings.changed(
        batch_size=batch,
        n_epochs=n_epochs,
        warm_start_steps=0 if given.preset == "paper" else settings.warm_start_steps,
    )


class FourTermHead(DeepEstimator):
    """A clustering head trained by conditional entropy, agreement of two views, balance and distance.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        Probability of the label.
    """

    settings_class = FourTermHeadSettings
    settings: FourTermHeadSettings
    resolved_: FourTermHeadSettings
    name = "four_term"
    _model: FourTermNetwork

    @property
    def wants_graph(self) -> bool:
        """Only the warm start "graph" reads the graph."""
        return self.settings.warm_start == "graph"

    def fit(
        self,
        embeddings: Vectors,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> Self:
        """Cluster `embeddings` (n, d); see `ClusterEstimator.fit` and `TEMI.fit` for the errors."""
        from engine.clustering.deep.checkpoints import seeded
        from engine.clustering.deep.data import Features, Normaliser
        from engine.clustering.deep.four_term.network import assign
        from engine.clustering.deep.trainer import training_device
        from engine.clustering.deep.warm_start import collapse, did_not_train

        array = check_embeddings(embeddings, self.settings.n_clusters)
        self.notes_, self.extra_ = [], {}
        device = training_device(self.settings.device, progress, self.notes_)
        settings = self.resolved_ = resolve(self.settings, len(array), device.type)
        self._note(raised_batch(self.settings.batch_size, settings.batch_size, settings.n_clusters), progress)
        graph = (
            graph_for(array, neighbors, SMOOTH_NEIGHBORS, device=device.type, progress=progress)
            if self.wants_graph
            else neighbors
        )
        self._normaliser = Normaliser("l2").fit(array)
        features = Features(array, device, self._normaliser)
        with seeded(settings.random_state, device):
            task = self._task(features)
            self._train(task, array, graph, device, progress, checkpoints)
        self._note(did_not_train(self.losses_, starting_loss=self._starting_loss, least_change=0.1), progress)
        self._model = task.model.eval().requires_grad_(False)
        classes, self.confidence_ = assign(self._model, features, settings.temperature)
        self._finish(array, classes, settings.n_clusters, graph, progress)
        self._note(collapse(self.labels_, settings.n_clusters), progress)
        return self

    def predict(self, embeddings: Vectors) -> Labels:
        """Label (m, d) unseen embeddings."""
        return self.predict_confidence(embeddings)[0]

    def predict_confidence(self, embeddings: Vectors) -> tuple[Labels, NDArray[np.float32]]:
        """Return labels (m,) and probabilities (m,)."""
        from engine.clustering.deep.four_term.network import assign

        features = self._unseen(embeddings)
        classes, confidence = assign(self._model, features, self.resolved_.temperature)
        return self._place[classes], confidence

    def _network(self, n_in: int) -> FourTermNetwork:
        return build_network(self.resolved_, n_in)

    def _task(self, features: Features) -> FourTermTask:
        from engine.clustering.deep.four_term.network import FourTermTask

        settings = self.resolved_
        return FourTermTask(
            build_network(settings, features.dimension),
            features,
            noise=settings.noise,
            temperature=settings.temperature,
        )

    def _train(
        self,
        task: FourTermTask,
        array: Vectors,
        graph: NeighborGraph | None,
        device: torch.device,
        progress: Progress,
        checkpoints: Path | None,
    ) -> None:
        import torch

        from engine.clustering.deep.checkpoints import fingerprint
        from engine.clustering.deep.four_term.network import start_from_centers
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
            centers = torch.from_numpy(mean_directions(array, self.start_labels_, settings.n_clusters)).to(device)
            start_from_centers(task.model, task.features, centers)
            if settings.warm_start_steps:
                fit_to_labels(run, self.start_labels_, task.logits_of_rows, n_steps=settings.warm_start_steps)
        outcome = run.train()
        self.losses_ = outcome.losses
        self.notes_ += outcome.notes


def build_network(settings: FourTermHeadSettings, n_in: int) -> FourTermNetwork:
    """Return the network of resolved settings."""
    from engine.clustering.deep.four_term.network import FourTermNetwork

    return FourTermNetwork(
        n_in=n_in, n_hidden=settings.hidden_dim, n_projection=settings.projection_dim, n_clusters=settings.n_clusters
    )


def plan_of(settings: FourTermHeadSettings, n: int) -> Plan:
    """Return Adam with 10% warm-up, cosine to 10%, clipped at 1."""
    from engine.clustering.deep.trainer import Plan

    steps = settings.n_epochs * steps_per_epoch(n, settings.batch_size)
    return Plan(
        n_epochs=settings.n_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        optimiser="adam",
        warmup_steps=max(1, steps // 10),
        schedule="cosine",
        final_factor=0.1,
        clip=1.0,
    )
