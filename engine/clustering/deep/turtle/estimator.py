"""TURTLE: labels that linear classifiers agree on, in one space of embeddings or in several of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.estimator import DeepEstimator, Inference, graph_for
from engine.clustering.deep.presets import steps_per_epoch
from engine.clustering.deep.turtle.settings import TURTLESettings
from engine.clustering.sweep_scope import SweepScope
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors, check_embeddings
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    from engine.clustering.deep.data import Features
    from engine.clustering.deep.turtle.network import TaskEncoders
    from engine.clustering.deep.turtle.scaling import SpaceScaling
    from engine.clustering.deep.turtle.task import TurtleTask


# The mean probability of the labels, above chance, that counts as training: random weights reach .3 with 3 clusters.
LEAST_SURE = 0.35
SWEEP_STEPS = 600

Spaces = NDArray[Any] | Sequence[NDArray[Any]]


class TURTLE(DeepEstimator):
    """TURTLE deep clustering.

    `fit` and `predict` take one (n, d) table of embeddings, or a list of several tables of the same n images.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        The chosen head's probability of the label, averaged over the spaces.
    extra_ : dict
        "members": (n, heads) int16, the labels of all heads, which a consensus can be made of.
    head_ : int
        The chosen head: the clusters that a classifier learns best where the caller set `generalisation`, else the
        lowest outer loss over the last steps.
    widths_ : tuple of int
        Columns of each space.

    References
    ----------
    Gadetsky, Jiang, Brbic, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024, arXiv:2406.07236.
    """

    settings_class = TURTLESettings
    settings: TURTLESettings
    resolved_: TURTLESettings
    citation = (
        "@inproceedings{gadetsky2024let, title={Let Go of Your Labels with Unsupervised Transfer}, "
        "author={Gadetsky, Artyom and Jiang, Yulun and Brbic, Maria}, booktitle={ICML}, year={2024}}"
    )
    name = "turtle"
    head_: int
    widths_: tuple[int, ...]
    _surest: float
    _scalings: list[SpaceScaling]
    _model: TaskEncoders

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> list[TURTLESettings]:
        """Return one candidate, of at most a tenth of the published steps."""
        batch = TURTLESettings.model_fields["batch_size"].default
        return [
            TURTLESettings(n_clusters=scope.k0, n_epochs=max(1, SWEEP_STEPS // steps_per_epoch(scope.count, batch)))
        ]

    def fit(
        self,
        X: Spaces,  # noqa: N803 - scikit-learn's name
        y: object = None,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> Self:
        """Cluster the rows of one table of embeddings or of several; see `ClusterEstimator.fit`.

        Parameters
        ----------
        X : (n, d) array, or a list of (n, d_s) arrays
            Of several, row i of each belongs to the same image.

        Raises
        ------
        InputError
            Tables of different lengths; what `ClusterEstimator.fit` refuses.
        """
        spaces = tables(X)
        self.widths_ = tuple(space.shape[1] for space in spaces)
        return super().fit(beside(spaces), y, neighbors=neighbors, progress=progress, checkpoints=checkpoints)

    def predict(self, X: Spaces) -> Labels:  # noqa: N803
        """Label unseen images by all the spaces of `fit`, in its order.

        Raises
        ------
        InputError
            Before `fit`; NaN; other spaces than in `fit`.
        """
        return self.predict_confidence(X)[0]

    def predict_confidence(self, X: Spaces) -> tuple[Labels, Vectors]:  # noqa: N803
        """Return labels (m,) of unseen images and the probability (m,) of each, averaged over the spaces."""
        self._check_trained()
        spaces = tables(X)
        found = tuple(space.shape[1] for space in spaces)
        if found != self.widths_:
            raise InputError(
                f"These embeddings have {', '.join(map(str, found))} columns, those of fit had "
                f"{', '.join(map(str, self.widths_))}.",
                "Give the embeddings of the same encoders, in the same order.",
            )
        scaled = [scaling(space) for scaling, space in zip(self._scalings, spaces, strict=True)]
        return super().predict_confidence(beside(scaled))

    def _fit(
        self, array: Vectors, neighbors: NeighborGraph | None, progress: Progress, checkpoints: Path | None
    ) -> tuple[Labels, NDArray[np.float32]]:
        from engine.clustering.deep.turtle.scaling import SpaceScaling

        settings = self.settings.resolved(len(array), "cpu")
        self._scalings, parts, first = [], [], None
        for number, space in enumerate(self._columns(array)):
            graph = None
            if settings.n_neighbors:
                known = neighbors if number == 0 else None
                graph = graph_for(space, known, settings.n_neighbors, device="cpu", progress=progress)
            first = graph if number == 0 else first
            scaling, scaled = SpaceScaling.fit(space, graph, settings)
            self._scalings.append(scaling)
            parts.append(scaled)
        return super()._fit(beside(parts), first or neighbors, progress, checkpoints)

    def _columns(self, array: Vectors) -> list[Vectors]:
        """Return the columns of each space."""
        return np.split(array, np.cumsum(self.widths_)[:-1], axis=1)

    def _network(self, n_in: int) -> TaskEncoders:
        from engine.clustering.deep.turtle.network import TaskEncoders

        settings = self.resolved_
        widths = [scaling.width(width) for scaling, width in zip(self._scalings, self.widths_, strict=True)]
        return TaskEncoders(widths=widths, n_heads=settings.n_heads, n_clusters=settings.n_clusters)

    def _task(self, features: Features, graph: NeighborGraph | None) -> TurtleTask:
        from engine.clustering.deep.turtle.task import TurtleTask

        return TurtleTask(self._network(features.dimension), features, self.resolved_)

    def _label(self, task: TurtleTask, progress: Progress) -> Inference:  # type: ignore[override]
        from engine.clustering.deep.turtle.task import label_heads

        self.head_ = task.best_head()
        if self.generalisation is not None:
            labels = label_heads(self._model, task.features)[0].numpy().astype(np.int32)
            self.head_ = int(np.argmax([self.generalisation(head) for head in labels]))
        found = self._infer(task.features)
        self._surest = float(found.confidence.mean())
        return found

    def _untrained(self, classes: Labels, starting_loss: float | None) -> str | None:
        chance = 1 / self.resolved_.n_clusters
        sure = (self._surest - chance) / (1 - chance)
        if sure >= LEAST_SURE:
            return None
        return (
            f"It did not train: an image's label has a probability of {self._surest:.2f} on average, by chance "
            f"{chance:.2f}. Train longer or raise the learning rate; the labels are not to be trusted."
        )

    def _infer(self, features: Features) -> Inference:
        from engine.clustering.deep.turtle.task import label_heads

        labels, confidence = label_heads(self._model, features)
        every = labels.numpy().T.astype(np.int16)
        return Inference(every[:, self.head_].astype(np.int32), confidence[self.head_].numpy(), {"members": every})

    def _rule_state(self) -> dict[str, Any]:
        scalings = [scaling.state() for scaling in self._scalings]
        return super()._rule_state() | {"head": self.head_, "widths": list(self.widths_), "scalings": scalings}

    def _load_rule(self, state: dict[str, Any]) -> None:
        from engine.clustering.deep.turtle.scaling import SpaceScaling

        super()._load_rule(state)
        self.head_, self.widths_ = state["head"], tuple(state["widths"])
        self._scalings = [SpaceScaling.load(kept) for kept in state["scalings"]]


def tables(given: Spaces) -> list[Vectors]:
    """Return the spaces as (n, d_s) float32 tables.

    Raises
    ------
    InputError
        None; a table that no method can use; tables of different lengths.
    """
    spaces = [check_embeddings(space) for space in ([given] if isinstance(given, np.ndarray) else given)]
    if not spaces:
        raise InputError("There is no space to cluster in.", "Give the embeddings of at least one encoder.")
    if len({len(space) for space in spaces}) > 1:
        raise InputError(
            f"The spaces hold different numbers of images: {', '.join(f'{len(space):,}' for space in spaces)}.",
            "Give the embeddings of the same images in each space.",
        )
    return spaces


def beside(spaces: Sequence[Vectors]) -> Vectors:
    """Return the tables with their columns side by side; a single one as it is."""
    return spaces[0] if len(spaces) == 1 else np.concatenate(spaces, axis=1)
