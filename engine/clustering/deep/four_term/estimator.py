"""The four-term head: one small network on frozen embeddings, started from cluster centres; a relative of TEMI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.clustering.deep.estimator import DeepEstimator, Inference
from engine.clustering.deep.four_term.settings import FourTermHeadSettings
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    from engine.clustering.deep.data import Features
    from engine.clustering.deep.four_term.network import FourTermNetwork
    from engine.clustering.deep.four_term.task import FourTermTask


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
    least_change = 0.1
    _model: FourTermNetwork

    def _network(self, n_in: int) -> FourTermNetwork:
        from engine.clustering.deep.four_term.network import FourTermNetwork

        settings = self.resolved_
        return FourTermNetwork(
            n_in=n_in,
            n_hidden=settings.hidden_dim,
            n_projection=settings.projection_dim,
            n_clusters=settings.n_clusters,
        )

    def _task(self, features: Features, graph: NeighborGraph | None) -> FourTermTask:
        from engine.clustering.deep.four_term.task import FourTermTask

        return FourTermTask(self._network(features.dimension), features, self.resolved_)

    def _infer(self, features: Features) -> Inference:
        from engine.clustering.deep.four_term.task import label_rows

        return Inference(*label_rows(self._model, features, self.resolved_.temperature))
