"""The template of deep methods on embeddings: resolve settings, warm start, train, label, tell; saved models.

A method writes `_network`, `_task` and `_infer`. No torch at import, so that settings of deep methods stay light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.clustering.deep.diagnosis import collapse, did_not_train, worse_than_start
from engine.clustering.deep.forecast import forecast
from engine.clustering.deep.presets import WarmStartSettings, not_kept, raised_batch
from engine.clustering.deep.start_labels import starting_labels
from engine.core.errors import CheckpointError, InputError
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.core.vectors import Vectors, check_embeddings
from engine.geometry.neighbors import NeighborGraph, build_graph

if TYPE_CHECKING:
    from torch import nn

    from engine.clustering.deep.data import Features, Normaliser
    from engine.clustering.deep.embedding_task import EmbeddingTask


@dataclass(frozen=True)
class Inference:
    """What a trained network says of rows: classes (n,) int32, confidence (n,) float32, further columns by name."""

    classes: Labels
    confidence: NDArray[np.float32]
    extra: dict[str, NDArray[Any]] = field(default_factory=dict)


class DeepEstimator(ClusterEstimator):
    """Base of deep estimators on embeddings.

    Attributes
    ----------
    losses_ : (steps,) float32
        The loss of each optimiser step.
    start_labels_ : (n,) int32 or None
        The clustering that the warm start fitted.
    trained_labels_ : (n,) int32
        What the trained network said, also where `labels_` are those of the start.
    judge : function or None
        Set by the caller before `fit`: told the labels of the start and those of the trained network, it returns a
        sentence where the training made things worse. The start's network is handed back then.
    """

    name: ClassVar[str]
    generalisation: Callable[[Labels], float] | None = None
    """Set by the caller before `fit`: how well a clustering of its rows can be learned; chooses among several heads."""
    least_change: ClassVar[float] = 0.25
    """The drop of the loss that counts as training, as a share of its start."""

    settings: WarmStartSettings
    resolved_: WarmStartSettings
    losses_: NDArray[np.float32]
    start_labels_: Labels | None = None
    trained_labels_: Labels
    judge: Callable[[Labels, Labels], str | None] | None = None
    _given: Labels | None = None
    _model: Any
    _normaliser: Normaliser

    @property
    def wants_graph(self) -> bool:
        """Whether `fit` reads the neighbour graph: for partners or for the warm start."""
        return self.settings.graph_neighbors > 0

    def start_from(self, labels: Labels) -> Self:
        """Give the labels that `warm_start="run"` starts from, before `fit` and also before it resumes.

        Parameters
        ----------
        labels : (n,) int
            One for each row given to `fit`, in their order; -1 for rows that the run did not label or set aside.
            The numbers need not be without gaps. At most `n_clusters` different ones: `fit` checks it.
        """
        self._given = np.asarray(labels, dtype=np.int32)
        return self

    def _fit(
        self, array: Vectors, neighbors: NeighborGraph | None, progress: Progress, checkpoints: Path | None
    ) -> tuple[Labels, NDArray[np.float32]]:
        """Train; see `ClusterEstimator.fit`.

        Raises
        ------
        InputError
            Fewer than two images per cluster, a batch too small for K, a warm start without its labels.
        CheckpointError
            `checkpoints` holds those of another configuration, or only damaged ones.
        TrainingError
            A loss term became NaN; the last good checkpoint stays.
        """
        from engine.clustering.deep.checkpoints import fingerprint, seeded
        from engine.clustering.deep.data import Features, Normaliser
        from engine.clustering.deep.trainer import Trainer, training_device

        device = training_device(self.settings.device, progress, self.notes_)
        settings = self.resolved_ = self.settings.resolved(len(array), device.type)
        progress.say(forecast(self.settings, settings, len(array), array.shape[1], device.type))
        self._note(not_kept(self.settings, settings, len(array)), progress)
        self._note(self._batch_sentence(len(array)), progress)
        graph = neighbors
        if settings.graph_neighbors:
            graph = graph_for(array, neighbors, settings.graph_neighbors, device=device.type, progress=progress)
        self._normaliser = Normaliser(*settings.input_scaling).fit(array)
        with seeded(settings.random_state, device, settings.reproducible):
            task = self._task(Features(array, device, self._normaliser), graph)
            run = Trainer(
                task,
                task.plan(len(array)),
                n=len(array),
                method=self.name,
                settings=settings,
                device=device,
                data=fingerprint(array),
                seed=settings.random_state,
                progress=progress,
                checkpoints=checkpoints,
            )
            run.measure_start()
            start = self.start_labels_ = starting_labels(
                settings.warm_start,
                array,
                graph,
                n_clusters=settings.n_clusters,
                random_state=settings.random_state,
                given=self._given,
            )
            if start is not None and not run.resumed:
                task.warm_start(run, start, array)
                run.keep_start()
            result = run.train()
        self.losses_ = result.losses
        self.notes_ += result.notes
        self._model = (run.teacher or run.model).eval().requires_grad_(False)
        inference = self._label(task, progress)
        self.trained_labels_ = inference.classes
        self._note(self._untrained(inference.classes, run.starting_loss), progress)
        if start is not None and self.judge is not None:
            worse = self.judge(start, inference.classes)
            if worse is not None and run.start is not None:
                self._model.load_state_dict(run.start)
                inference = self._label(task, progress)
                worse += " The clustering that training started from is handed back."
            self._note(worse, progress)
        elif start is not None and graph is not None:
            self._note(worse_than_start(start, inference.classes, graph.indices), progress)
        self.extra_ = dict(inference.extra)
        self._note(collapse(inference.classes, settings.n_clusters), progress)
        return inference.classes, inference.confidence

    def predict(self, X: NDArray[Any]) -> Labels:  # noqa: N803
        """Label (m, d) embeddings that were not seen in `fit`.

        Raises
        ------
        InputError
            Before `fit`, NaN, or another number of columns than in `fit`.
        """
        return self.predict_confidence(X)[0]

    def predict_confidence(self, X: NDArray[Any]) -> tuple[Labels, Vectors]:  # noqa: N803
        """Return labels (m,) of unseen embeddings and the method's own confidence (m,) in [0, 1]."""
        inference = self._infer(self._unseen(X))
        return self._place[inference.classes], inference.confidence

    # ------------------------------------------------------------------------------------- a method's own part

    def _network(self, n_in: int) -> nn.Module:
        """Return an untrained network of the resolved settings for inputs of `n_in` columns."""
        raise NotImplementedError

    def _task(self, features: Features, graph: NeighborGraph | None) -> EmbeddingTask:
        """Return the training of a fresh network on `features`; `graph` is there where `graph_neighbors` asks."""
        raise NotImplementedError

    def _infer(self, features: Features) -> Inference:
        """Return what the trained network says of any rows."""
        raise NotImplementedError

    def _label(self, task: EmbeddingTask, progress: Progress) -> Inference:
        """Return what the trained network says of the training rows."""
        return self._infer(task.features)

    def _batch_sentence(self, n: int) -> str | None:
        """Return what to tell about the batch size."""
        if "batch_size" in self.settings.model_fields_set:
            return None
        return raised_batch(self.settings.batch_size, self.resolved_.batch_size, self.resolved_.n_clusters)

    def _untrained(self, classes: Labels, starting_loss: float | None) -> str | None:
        """Return a sentence when the training came to nothing."""
        return did_not_train(self.losses_, starting_loss=starting_loss, least_change=self.least_change)

    # -------------------------------------------------------------------------------------------- saved models

    def save(self, path: Path) -> None:
        """Write what `load` needs to predict, atomically.

        Raises
        ------
        InputError
            Before `fit`.
        StorageError
            Disk full or no permission.
        """
        from engine.clustering.deep.checkpoints import FORMAT, save_tensors

        self._check_trained()
        state = {
            "format": FORMAT,
            "method": self.name,
            "settings": self.settings.model_dump_json(exclude_unset=True),
            "resolved": self.resolved_.model_dump_json(),
            "model": self._model.state_dict(),
            "normaliser": self._normaliser.state(),
            **self._rule_state(),
        }
        save_tensors(path, state)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Rebuild an estimator that predicts, on the CPU.

        Raises
        ------
        CheckpointError
            Missing, damaged, or of another method.
        """
        from engine.clustering.deep.checkpoints import load_tensors
        from engine.clustering.deep.data import Normaliser

        state = load_tensors(path)
        if state.get("method") != cls.name:
            raise CheckpointError(f"{path.name} does not hold a {cls.__name__} model.")
        loaded = cls(cls.settings_class.model_validate_json(state["settings"]))
        loaded.resolved_ = type(loaded.settings).model_validate_json(state["resolved"])
        loaded._normaliser = Normaliser.load(state["normaliser"])
        loaded._load_rule(state)
        loaded._model = loaded._network(loaded._normaliser.width(loaded._normaliser.columns))
        loaded._model.load_state_dict(state["model"])
        loaded._model.eval().requires_grad_(False)
        return loaded

    def _rule_state(self) -> dict[str, Any]:
        """Return what prediction needs beside the network."""
        return {"place": self._place.tolist()}

    def _load_rule(self, state: dict[str, Any]) -> None:
        """Restore what `_rule_state` returned."""
        self._place = np.asarray(state["place"], dtype=np.int32)

    def _check_trained(self) -> None:
        if not hasattr(self, "_model"):
            raise InputError(f"{type(self).__name__} has not been trained yet.", "Call fit first.")

    def _unseen(self, embeddings: NDArray[Any]) -> Features:
        """Return unseen embeddings as the network's inputs, normalised like those of `fit`.

        Raises
        ------
        InputError
            Before `fit`; NaN; rows of another length than those of `fit`.
        """
        from engine.clustering.deep.data import Features

        self._check_trained()
        array = check_embeddings(embeddings)
        if array.shape[1] != self._normaliser.columns:
            raise InputError(
                f"These embeddings have {array.shape[1]:,} columns, those of fit had {self._normaliser.columns:,}.",
                "Embed the images with the encoder that the training used.",
            )
        return Features(array, next(self._model.parameters()).device, self._normaliser)

    def _note(self, sentence: str | None, progress: Progress) -> None:
        """Tell the person and keep the sentence with the result; None is nothing to tell."""
        if sentence:
            progress.say(sentence)
            self.notes_.append(sentence)


def graph_for(
    embeddings: NDArray[Any], neighbors: NeighborGraph | None, k: int, *, device: str, progress: Progress
) -> NeighborGraph:
    """Return the given graph when it has k neighbours, else build one."""
    if neighbors is not None and neighbors.k >= min(k, len(embeddings) - 1):
        return neighbors
    return build_graph(embeddings, k=k, device="cpu" if device == "cpu" else "auto", progress=progress)
