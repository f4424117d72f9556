"""What the estimators of deep methods share around their trainer: the order of labels, the sentences, saved models.

No torch at import, so that settings models of deep methods stay light.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.clustering.deep.start_labels import neighbor_agreement
from engine.core.errors import CheckpointError, InputError
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.core.vectors import Vectors, check_embeddings
from engine.geometry.centers import mean_directions
from engine.geometry.neighbors import NeighborGraph, build_graph

if TYPE_CHECKING:
    from torch import nn

    from engine.clustering.deep.data import Features, Normaliser


class DeepEstimator(ClusterEstimator):
    """Base of deep estimators.

    Attributes
    ----------
    losses_ : (steps,) float32
        The loss of each optimiser step.
    start_labels_ : (n,) int32 or None
        The clustering that the warm start fitted.
    """

    kind: ClassVar[str] = "deep"
    name: ClassVar[str]
    losses_: NDArray[np.float32]
    start_labels_: Labels | None = None
    _starting_loss: float | None = None
    _given: Labels | None = None
    _place: NDArray[np.int32]
    _model: Any
    _normaliser: Normaliser

    def start_from(self, labels: Labels) -> Self:
        """Give the labels of a run for `warm_start="run"`; (n,) in the order of the embeddings."""
        self._given = np.asarray(labels, dtype=np.int32)
        return self

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

        self._check_fitted()
        state = {
            "format": FORMAT,
            "method": self.name,
            "settings": self.settings.model_dump_json(),
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
        found = cls(cls.settings_class.model_validate_json(state["settings"]))
        found.resolved_ = cls.settings_class.model_validate_json(state["resolved"])
        found._normaliser = Normaliser.load(state["normaliser"])
        found._model = found._network(found._normaliser.width(found._normaliser.columns))
        found._model.load_state_dict(state["model"])
        found._model.eval().requires_grad_(False)
        found._load_rule(state)
        return found

    def _network(self, n_in: int) -> nn.Module:
        """Return an untrained network of the resolved settings for inputs of `n_in` columns."""
        raise NotImplementedError

    def _rule_state(self) -> dict[str, Any]:
        """Return what prediction needs beside the network."""
        return {"place": self._place.tolist()}

    def _load_rule(self, state: dict[str, Any]) -> None:
        """Restore what `_rule_state` returned."""
        self._place = np.asarray(state["place"], dtype=np.int32)

    def _check_fitted(self) -> None:
        if not hasattr(self, "_model"):
            raise InputError(f"{type(self).__name__} has not been trained yet.", "Call fit first.")

    def _unseen(self, embeddings: Vectors) -> Features:
        """Return unseen embeddings as the network's inputs, normalised like those of `fit`.

        Raises
        ------
        InputError
            Before `fit`; NaN; rows of another length than those of `fit`.
        """
        from engine.clustering.deep.data import Features

        self._check_fitted()
        array = check_embeddings(embeddings)
        if array.shape[1] != self._normaliser.columns:
            raise InputError(
                f"These embeddings have {array.shape[1]:,} columns, those of fit had {self._normaliser.columns:,}.",
                "Embed the images with the encoder that the training used.",
            )
        return Features(array, next(self._model.parameters()).device, self._normaliser)

    def _finish(
        self, embeddings: Vectors, classes: Labels, n_clusters: int, graph: NeighborGraph | None, progress: Progress
    ) -> None:
        """Set `labels_` (0..K-1 in falling size), `centers_` and the sentences about the result."""
        counts = np.bincount(classes, minlength=n_clusters)
        order = np.argsort(-counts, kind="stable")
        self._place = np.empty(n_clusters, dtype=np.int32)
        self._place[order] = np.arange(n_clusters, dtype=np.int32)
        self.labels_ = self._place[classes]
        self.centers_ = mean_directions(embeddings, self.labels_, int((counts > 0).sum()))
        if self.start_labels_ is not None and graph is not None:
            self._compare_with_start(self.start_labels_, graph, progress)

    def _note(self, sentence: str | None, progress: Progress) -> None:
        """Tell the person and keep the sentence with the result; None is nothing to tell."""
        if sentence:
            progress.say(sentence)
            self.notes_.append(sentence)

    def _compare_with_start(self, start: Labels, graph: NeighborGraph, progress: Progress) -> None:
        before = neighbor_agreement(start, graph.indices)
        after = neighbor_agreement(self.labels_, graph.indices)
        if after < before - 0.01:
            self._note(
                f"Training ended below its own start: neighbours agree {after:.2f} now, {before:.2f} at the start. "
                "Lower the learning rate or keep the clustering that it started from.",
                progress,
            )


def graph_for(
    embeddings: NDArray[Any], neighbors: NeighborGraph | None, k: int, *, device: str, progress: Progress
) -> NeighborGraph:
    """Return the given graph when it has k neighbours, else build one."""
    if neighbors is not None and neighbors.k >= min(k, len(embeddings) - 1):
        return neighbors
    return build_graph(embeddings, k=k, device="cpu" if device == "cpu" else "auto", progress=progress)
