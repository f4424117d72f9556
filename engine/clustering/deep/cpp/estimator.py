"""CPP: deep clustering by the principle of rate reduction; the number of clusters is chosen after training.

A network learns features in which each group fills a subspace of its own, together with a doubly stochastic
membership between images. Spectral clustering of that membership gives labels for any K.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
from engine.clustering.deep.cpp.settings import CPPSettings
from engine.clustering.deep.estimator import DeepEstimator, Inference
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    from engine.clustering.deep.cpp.network import CppNetwork
    from engine.clustering.deep.cpp.task import CppTask
    from engine.clustering.deep.data import Features

# Share of the coding rate that the clusters of a trained network save at least.
LEAST_REDUCTION = 0.02


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
        leading = spectrum(self.codes_, int(wanted[-1]), eta=settings.eta, random_state=settings.random_state)
        curve = coding_curve(
            self.subspaces_, leading, wanted, epsilon2=settings.epsilon2, random_state=settings.random_state
        )
        progress.update(1, 1, phase="coding length")
        return curve

    def _network(self, n_in: int) -> CppNetwork:
        from engine.clustering.deep.cpp.network import CppNetwork

        return CppNetwork(n_in, width=self.resolved_.width, feature_dim=self.resolved_.feature_dim)

    def _task(self, features: Features, graph: NeighborGraph | None) -> CppTask:
        from engine.clustering.deep.cpp.task import CppTask

        return CppTask(self._network(features.dimension), features, self.resolved_)

    def _label(self, task: CppTask, progress: Progress) -> Inference:  # type: ignore[override]
        """Cluster the learned membership spectrally."""
        from engine.clustering.deep.cpp.task import encode

        settings = self.resolved_
        self.subspaces_, self.codes_ = encode(self._model, task.features)
        progress.update(0, 1, phase="spectral clustering")
        leading = spectrum(self.codes_, settings.n_clusters, eta=settings.eta, random_state=settings.random_state)
        self._note(leading.note, progress)
        classes = leading.labels(settings.n_clusters, settings.random_state)
        shares = votes(self.codes_, classes, settings.n_clusters, eta=settings.eta, landmarks=leading.landmarks)
        progress.update(1, 1, phase="spectral clustering")
        return Inference(classes, shares[np.arange(len(classes)), classes])

    def _untrained(self, classes: Labels, starting_loss: float | None) -> str | None:
        gain = rate_reduction(self.subspaces_, classes, epsilon2=self.resolved_.epsilon2)
        if gain >= LEAST_REDUCTION:
            return None
        return (
            f"It did not train: the clusters save {gain:.0%} of the coding rate. Train longer, raise the learning "
            "rate or use a warm start; the labels are not to be trusted."
        )

    def _infer(self, features: Features) -> Inference:
        """Give each row to the cluster whose subspace codes it with the fewest further nats."""
        from engine.clustering.deep.cpp.task import encode

        return Inference(*self._rule(encode(self._model, features)[1]))

    def _set_labels(
        self, array: Vectors, classes: NDArray[np.integer[Any]], confidence: NDArray[np.floating[Any]]
    ) -> None:
        super()._set_labels(array, classes, confidence)
        self._set_rule()

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
        self._place = np.arange(settings.n_clusters, dtype=np.int32)  # the rule speaks of labels, not of classes
