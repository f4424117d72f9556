"""TEMI: clustering heads on frozen embeddings, trained on neighbour pairs by a weighted mutual information."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from engine.clustering.deep.estimator import DeepEstimator, Inference
from engine.clustering.deep.temi.settings import TEMISettings
from engine.core.progress import Progress
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    from engine.clustering.deep.data import Features
    from engine.clustering.deep.temi.network import StackedHeads
    from engine.clustering.deep.temi.task import TemiTask


class TEMI(DeepEstimator):
    """TEMI deep clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        The chosen head's probability of the label.
    extra_ : dict
        "confidence_mean": (n,) float32, the mean over heads of each head's own probability. "members": (n, heads)
        int16, the labels of all heads, which a consensus can be made of.
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

    def _network(self, n_in: int) -> StackedHeads:
        from engine.clustering.deep.temi.network import StackedHeads

        settings = self.resolved_
        return StackedHeads(
            n_heads=settings.n_heads,
            n_in=n_in,
            n_hidden=settings.hidden_dim,
            n_bottleneck=settings.bottleneck_dim,
            n_clusters=settings.n_clusters,
        )

    def _task(self, features: Features, graph: NeighborGraph | None) -> TemiTask:
        from engine.clustering.deep.temi.partners import partners_of
        from engine.clustering.deep.temi.task import TemiTask

        assert graph is not None
        settings = self.resolved_
        partners, counts = partners_of(graph, settings.n_neighbors, settings.partners)
        chosen = None if settings.partners == "fixed" else counts
        return TemiTask(self._network(features.dimension), features, partners, settings, chosen)

    def _label(self, task: TemiTask, progress: Progress) -> Inference:  # type: ignore[override]
        self.head_ = int(task.head_losses().argmin())
        return self._infer(task.features)

    def _infer(self, features: Features) -> Inference:
        from engine.clustering.deep.temi.task import label_by_head

        labelled = label_by_head(self._model, features, self.head_, self.resolved_.temperature)
        extra: dict[str, NDArray[Any]] = {"confidence_mean": labelled.mean_confidence, "members": labelled.every}
        return Inference(labelled.labels, labelled.confidence, extra)

    def _rule_state(self) -> dict[str, Any]:
        return super()._rule_state() | {"head": self.head_}

    def _load_rule(self, state: dict[str, Any]) -> None:
        super()._load_rule(state)
        self.head_ = state["head"]
