"""CPP: deep clustering by the principle of rate reduction; the number of clusters is chosen after training.

A network learns features in which each group fills a subspace of its own, together with a doubly stochastic
membership between images. Spectral clustering of that membership gives labels for any K.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.cpp.labels import (
    CodingCurve,
    IncrementalCoding,
    coding_curve,
    rate_reduction,
    spectrum,
    votes,
)
from engine.clustering.deep.estimator import DeepEstimator, graph_for
from engine.clustering.deep.presets import (
    DeepSettings,
    batch_for,
    check_enough,
    steps_per_epoch,
    unchanged,
    warm_start_for,
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

    from engine.clustering.deep.cpp.network import CppNetwork
    from engine.clustering.deep.cpp.task import CppTask
    from engine.clustering.deep.data import Features
    from engine.clustering.deep.trainer import Plan, Trainer

# What the preset "data" puts in the place of published values; chosen by measurement on several sets and seeds.
FOR_DATA = {"normalise": "principal", "learning_rate": 1e-3, "cluster_rate": 1e-3}
FOR_CPU = {"width": 512, "feature_dim": 64, "batch_size": 512, "min_steps": 60}
LEAST_EPOCHS = 3
LEAST_REDUCTION = 0.02


class CPPSettings(DeepSettings):
    """Settings of CPP; the defaults are the published ones for CIFAR-10, `preset` fits them to the data."""

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
    warm_start_steps: int = setting(150, "Cross-entropy steps of the warm start.", ge=1, le=10_000, advanced=True)
    warm_start_rate: float = setting(1e-3, "Step size of the warm start.", ge=1e-6, le=1e-1, log=True, advanced=True)


def resolve(settings: CPPSettings, n: int, device: str) -> CPPSettings:
    """Return the settings as they will be used for `n` images on "cpu", "cuda" or "mps".

    With the preset "data", values left at the published default are fitted to the data; a warm start takes the
    place of the warm-up, which is otherwise at most a tenth of the run.

    Raises
    ------
    InputError
        Fewer than two images per cluster; K larger than the batch; with "paper", a batch beyond n or a run that
        would end inside its own warm-up.
    """
    check_enough(n, settings.n_clusters)
    given = settings
    if given.preset == "data":
        wanted = FOR_DATA | (FOR_CPU if device == "cpu" else {})
        settings = settings.changed(**{name: value for name, value in wanted.items() if unchanged(given, name)})
    batch = batch_for(given.preset, settings.batch_size, n, n_clusters=settings.n_clusters)
    per_epoch, n_epochs, warmup = steps_per_epoch(n, batch), settings.n_epochs, settings.warmup_steps
    if given.preset == "paper":
        if n_epochs * per_epoch <= warmup:
            raise InputError(
                f"{n_epochs} epochs of {n:,} images make {n_epochs * per_epoch} steps: training would end inside its "
                f"warm-up of {warmup}.",
                f'Choose the preset "data", or at least {-(-(warmup + settings.min_steps) // per_epoch)} epochs.',
            )
        return settings.changed(batch_size=batch)
    warmup = 0 if settings.warm_start != "none" and unchanged(given, "warmup_steps") else warmup
    if unchanged(given, "n_epochs"):
        needed = -(-(settings.min_steps + warmup) // per_epoch)
        n_epochs = max(needed, LEAST_EPOCHS if device == "cpu" else n_epochs)
    warmup = min(warmup, n_epochs * per_epoch // 10)
    return settings.changed(
        batch_size=batch, n_epochs=n_epochs, warmup_steps=warmup, warm_start_steps=warm_start_for(given)
    )


class CPP(DeepEstimator):
    """CPP deep clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        The share of an image's membership that lies in its own cluster.
    subspaces_, codes_ : (n, d) float32
        Z and C: unit rows of the subspace head and the cluster head.

    References
    ----------
    Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image Clustering via the Principle of Rate Reduction in the Age of
    Pretrained Models", ICLR 2024, arXiv:2306.05272.
    """

    settings_class = CPPSettings
    settings: CPPSettings
    resolved_: CPPSettings
    citation = (
        "@inproceedings{chu2024image, title={Image Clustering via the Principle of Rate Reduction in the Age of "
        "Pretrained Models}, author={Chu, Tianzhe and Tong, Shengbang and Ding, Tianjiao and Dai, Xili and Haeffele, "
        "Benjamin David and Vidal, Rene and Ma, Yi}, booktitle={ICLR}, year={2024}}"
    )
    subspaces_: Vectors
    codes_: Vectors
    name = "cpp"
    _model: CppNetwork
    _rule: IncrementalCoding

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
            A loss term became NaN or a coding rate singular; the last good checkpoint stays.
        """
        from engine.clustering.deep.checkpoints import seeded
        from engine.clustering.deep.data import Features, Normaliser
        from engine.clustering.deep.trainer import training_device
        from engine.clustering.deep.warm_start import collapse

        array = check_embeddings(embeddings, self.settings.n_clusters)
        self.notes_, self.extra_ = [], {}
        device = training_device(self.settings.device, progress, self.notes_)
        settings = self.resolved_ = resolve(self.settings, len(array), device.type)
        graph = None
        if settings.warm_start != "none":
            graph = graph_for(array, neighbors, SMOOTH_NEIGHBORS, device=device.type, progress=progress)
        self._normaliser = Normaliser(settings.normalise, settings.n_components).fit(array)
        features = Features(array, device, self._normaliser)
        with seeded(settings.random_state, device):
            task = build_task(settings, features)
            self._train(task, array, graph, device, progress, checkpoints)
        self._model = task.model.eval().requires_grad_(False)
        self.subspaces_, self.codes_ = task.encode(features)
        classes = self._cut(progress)
        self._finish(array, classes, settings.n_clusters, graph, progress)
        self._set_rule()
        gain = rate_reduction(self.subspaces_, self.labels_, epsilon2=settings.epsilon2)
        if gain < LEAST_REDUCTION:
            self._note(
                f"It did not train: the clusters save {gain:.0%} of the coding rate. Train longer, raise the learning "
                "rate or use a warm start; the labels are not to be trusted.",
                progress,
            )
        self._note(collapse(self.labels_, settings.n_clusters), progress)
        return self

    def predict(self, embeddings: Vectors) -> Labels:
        """Label (m, d) unseen embeddings: the cluster whose subspace codes them with the fewest further nats."""
        return self.predict_confidence(embeddings)[0]

    def predict_confidence(self, embeddings: Vectors) -> tuple[Labels, NDArray[np.float32]]:
        """Return labels (m,) and probabilities (m,) from the incremental coding lengths."""
        features = self._unseen(embeddings)
        return self._rule(build_task(self.resolved_, features, self._model).encode(features)[1])

    def coding_curve(self, ks: Sequence[int] | NDArray[np.int64], *, progress: Progress = SILENT) -> CodingCurve:
        """Return the coding length over numbers of clusters, from one spectral decomposition, without training again.

        A network that was warm-started with K clusters leans towards K; `warm_start="none"` does not.

        Raises
        ------
        InputError
            A K below 2 or above half of the images.
        """
        wanted = np.unique(np.asarray(ks, dtype=np.int64))
        if len(wanted) == 0 or wanted[0] < 2 or wanted[-1] > len(self.codes_) // 2:
            raise InputError(
                f"The numbers of clusters to compare must lie between 2 and {len(self.codes_) // 2:,}.",
                "Choose another range.",
            )
        settings = self.resolved_
        progress.update(0, 1, phase="coding length")
        found = spectrum(self.codes_, int(wanted[-1]), eta=settings.eta, random_state=settings.random_state)
        curve = coding_curve(
            self.subspaces_, found, wanted, epsilon2=settings.epsilon2, random_state=settings.random_state
        )
        progress.update(1, 1, phase="coding length")
        return curve

    def _network(self, n_in: int) -> CppNetwork:
        return build_network(self.resolved_, n_in)

    def _rule_state(self) -> dict[str, Any]:
        import torch

        kept = {"labels": self.labels_, "subspaces": self.subspaces_, "codes": self.codes_}
        return {name: torch.from_numpy(array) for name, array in kept.items()}

    def _load_rule(self, state: dict[str, Any]) -> None:
        self.labels_, self.subspaces_, self.codes_ = (state[name].numpy() for name in ("labels", "subspaces", "codes"))
        self._set_rule()

    def _set_rule(self) -> None:
        settings = self.resolved_
        self._rule = IncrementalCoding(self.codes_, self.labels_, settings.n_clusters, epsilon2=settings.epsilon2)

    def _cut(self, progress: Progress) -> Labels:
        """Cluster the learned membership spectrally; set `confidence_`."""
        settings = self.resolved_
        progress.update(0, 1, phase="spectral clustering")
        found = spectrum(self.codes_, settings.n_clusters, eta=settings.eta, random_state=settings.random_state)
        self._note(found.note, progress)
        classes = found.labels(settings.n_clusters, settings.random_state)
        shares = votes(self.codes_, classes, settings.n_clusters, eta=settings.eta, landmarks=found.landmarks)
        self.confidence_ = shares[np.arange(len(classes)), classes]
        progress.update(1, 1, phase="spectral clustering")
        return classes

    def _train(
        self,
        task: CppTask,
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
            plan_of(settings),
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
                task.start_logits,
                n_steps=settings.warm_start_steps,
                learning_rate=settings.warm_start_rate,
            )
        outcome = run.train()
        self.losses_ = outcome.losses
        self.notes_ += outcome.notes
        return run


def build_network(settings: CPPSettings, dimension: int) -> CppNetwork:
    """Return the network of resolved settings for inputs of `dimension` columns."""
    from engine.clustering.deep.cpp.network import CppNetwork

    return CppNetwork(dimension, width=settings.width, feature_dim=settings.feature_dim)


def build_task(settings: CPPSettings, features: Features, network: CppNetwork | None = None) -> CppTask:
    """Return the trainer's task of resolved settings on `features`."""
    from engine.clustering.deep.cpp.task import CppTask

    return CppTask(network or build_network(settings, features.dimension), features, settings)


def plan_of(settings: CPPSettings) -> Plan:
    """Return the training plan of resolved settings: two SGD groups, no schedule, no teacher."""
    from engine.clustering.deep.trainer import Group, Plan

    return Plan(
        n_epochs=settings.n_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        groups=(
            Group("cluster.*", settings.cluster_decay, settings.cluster_rate),
            Group("*", settings.weight_decay),
        ),
        optimiser="sgd",
        momentum=0.9,
    )
