"""CLUDI: deep clustering by self-supervised diffusion, where each image's soft cluster is denoised from noise.

Several assignments are sampled for every image; their mean is the clustering and their spread an honest
uncertainty. Frozen embeddings flow in, labels and that spread flow out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.clustering.deep.cludi.settings import PER_CLUSTER, CLUDISettings
from engine.clustering.deep.estimator import DeepEstimator, Inference
from engine.geometry.neighbors import NeighborGraph

if TYPE_CHECKING:
    from engine.clustering.deep.cludi.network import CludiNetwork
    from engine.clustering.deep.cludi.task import CludiTask
    from engine.clustering.deep.data import Features


class CLUDI(DeepEstimator):
    """CLUDI deep clustering.

    Attributes
    ----------
    labels_ : (n,) int32
        0..K-1 in falling size, no noise.
    confidence_ : (n,) float32
        Mean probability of the label over the sampled assignments.
    extra_ : dict
        "uncertainty": (n,) float32 in [0, 1], the mean total-variation distance of a sampled assignment from
        the mean of all.

    References
    ----------
    Uziel, Chelly, Freifeld, Pakman, "Clustering via Self-Supervised Diffusion", ICML 2025, arXiv:2507.04283.
    """

    settings_class = CLUDISettings
    settings: CLUDISettings
    resolved_: CLUDISettings
    citation = (
        "@inproceedings{uziel2025clustering, title={Clustering via Self-Supervised Diffusion}, author={Uziel, Roy and "
        "Chelly, Irit and Freifeld, Oren and Pakman, Ari}, booktitle={ICML}, year={2025}}"
    )
    name = "cludi"
    _model: CludiNetwork

    def _network(self, n_in: int) -> CludiNetwork:
        from engine.clustering.deep.cludi.network import CludiNetwork

        settings = self.resolved_
        return CludiNetwork(
            n_in,
            settings.n_clusters,
            embedding_dim=settings.embedding_dim,
            width=settings.width or None,
            dropout=settings.dropout,
        )

    def _task(self, features: Features, graph: NeighborGraph | None) -> CludiTask:
        from engine.clustering.deep.cludi.task import CludiTask

        return CludiTask(self._network(features.dimension), features, self.resolved_)

    def _infer(self, features: Features) -> Inference:
        """Sample assignments, the same draws for every call."""
        from engine.clustering.deep.checkpoints import seeded
        from engine.clustering.deep.cludi.task import diffusion_of, sample_probabilities

        settings = self.resolved_
        diffusion = diffusion_of(settings, features.device)
        with seeded(settings.random_state, features.device, settings.reproducible):
            found = [
                (mean.cpu().numpy(), spread.cpu().numpy())
                for mean, spread in sample_probabilities(
                    self._model, diffusion, features, copies=settings.n_samples, n_steps=settings.prediction_steps
                )
            ]
        probabilities = np.concatenate([mean for mean, _ in found])
        spread = np.concatenate([part for _, part in found])
        return Inference(
            probabilities.argmax(axis=1).astype(np.int32), probabilities.max(axis=1), {"uncertainty": spread}
        )

    def _batch_sentence(self, n: int) -> str | None:
        settings = self.resolved_
        if settings.batch_size >= PER_CLUSTER * settings.n_clusters:
            return None
        return (
            f"A batch of {settings.batch_size:,} shows each of {settings.n_clusters:,} clusters fewer than "
            f"{PER_CLUSTER} times; {min(PER_CLUSTER * settings.n_clusters, n // 2):,} or more would be safer."
        )
