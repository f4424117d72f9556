"""One trial of a hyper-parameter search: how it is scored, what is heard of it, and when it is given up."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.evaluation.agreement import accuracy, ari, nmi
from engine.evaluation.scores import balance, noise_share, silhouette

Metric = Literal["accuracy", "nmi", "ari", "silhouette"]
LEAST_BALANCE = 0.3
SAMPLE = 5000
WORST = -1.0


class Judge:
    """Scores clusterings of one table by the metric.

    Parameters
    ----------
    metric : str
        "silhouette" is `WORST` below a balance of `LEAST_BALANCE`, and images set aside as noise count 0 in it.
    data : (n, d) float32 or (n, side, side, 3) uint8
        What is clustered.
    truth : (n,) int, optional
        -1 where unknown.
    prune : bool
        Whether snapshots may end a trial.
    """

    def __init__(self, metric: Metric, data: NDArray[Any], truth: NDArray[Any] | None, *, prune: bool) -> None:
        self.metric, self.data, self.truth, self.prune = metric, data, truth, prune

    def score(self, labels: Labels, vectors: NDArray[Any] | None, *, sample: int | None = None) -> float:
        """Return the metric of (n,) labels, higher is better; `vectors` (n, d) are what a silhouette is measured on."""
        if self.metric == "silhouette":
            if vectors is None:
                raise InputError("This method gives no embeddings to measure a silhouette on.", "Give true labels.")
            if balance(labels) < LEAST_BALANCE:
                return WORST
            return silhouette(vectors, labels, sample=sample) * (1 - noise_share(labels))
        assert self.truth is not None
        return float({"accuracy": accuracy, "nmi": nmi, "ari": ari}[self.metric](self.truth, labels))

    def vectors(self, estimator: ClusterEstimator | None) -> NDArray[Any] | None:
        """Return the space to measure in: the embeddings, or what a method on images learned."""
        return self.data if self.data.ndim == 2 else getattr(estimator, "embeddings_", None)

    def final(self, trial: Any, estimator: ClusterEstimator, seconds: float) -> float:  # noqa: ANN401 - Optuna
        """Return the trial's score and keep what its row shows."""
        labels = estimator.labels_
        trial.set_user_attr("seconds", seconds)
        trial.set_user_attr("balance", balance(labels))
        trial.set_user_attr("n_clusters", len(np.unique(labels[labels >= 0])))
        trial.set_user_attr("noise_share", noise_share(labels))
        trial.set_user_attr("notes", list(estimator.notes_))
        return self.score(labels, self.vectors(estimator))


class TrialListener:
    """Hears one trial: passes snapshots on, reports them to Optuna and ends a trial that is to be pruned."""

    def __init__(self, trial: Any, judge: Judge, parent: Progress) -> None:  # noqa: ANN401 - an Optuna trial
        self.trial, self.judge, self.parent, self.seen = trial, judge, parent, 0

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Ignore: the search reports trials."""

    def say(self, sentence: str) -> None:
        """Ignore: each trial's notes are kept in its row."""

    def snapshot(self, labels: Labels) -> None:
        """Report the score; raise Optuna's TrialPruned where the trial is not worth its end."""
        self.parent.snapshot(labels)
        vectors = self.judge.vectors(None)
        if not self.judge.prune or (self.judge.metric == "silhouette" and vectors is None):
            return
        import optuna

        self.trial.report(self.judge.score(labels, vectors, sample=SAMPLE), self.seen)
        self.seen += 1
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def stop_requested(self) -> bool:
        """Pass the person's wish on."""
        return self.parent.stop_requested()
