"""What `DeepEstimator` asks of a method's training on a table of embeddings, beside what the trainer asks."""

from __future__ import annotations

from engine.clustering.deep.data import Features
from engine.clustering.deep.plan import TrainingPlan
from engine.clustering.deep.trainer import Trainer, TrainingTask
from engine.core.labels import Labels
from engine.core.vectors import Vectors


class EmbeddingTask(TrainingTask):
    """A training on embeddings.

    Attributes
    ----------
    features : Features
        The (n, d) training rows as the network's inputs.
    """

    features: Features

    def plan(self, n: int) -> TrainingPlan:
        """Return how to train on `n` rows."""
        raise NotImplementedError

    def warm_start(self, run: Trainer, labels: Labels, embeddings: Vectors) -> None:
        """Fit the network to a first clustering.

        Parameters
        ----------
        labels : (n,) int32
            -1 rows are left out.
        embeddings : (n, d) float32
            The training rows as they were given, not normalised.
        """
        raise NotImplementedError
