"""What the estimators of deep methods share around their trainer: the order of labels, the start, the sentences.

No torch at import, so that settings models of deep methods stay light.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator, Labels, Vectors
from engine.clustering.kmeans import mean_directions
from engine.clustering.training_labels import neighbor_agreement
from engine.neighbors import NeighborGraph, build_graph
from engine.progress import Progress


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
    losses_: NDArray[np.float32]
    start_labels_: Labels | None = None
    _starting_loss: float | None = None
    _given: Labels | None = None
    _place: NDArray[np.int32]

    def start_from(self, labels: Labels) -> Self:
        """Give the labels of a run for `warm_start="run"`; (n,) in the order of the embeddings."""
        self._given = np.asarray(labels, dtype=np.int32)
        return self

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
