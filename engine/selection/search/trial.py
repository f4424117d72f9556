"""One trial of a hyper-parameter search: its score, its progress, and when it is pruned."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.evaluation.agreement import accuracy, ari, nmi
from engine.evaluation.scores import balance, noise_share, silhouette

Metric = Literal["accuracy", "nmi", "ari", "silhouette"]
LEAST_BALANCE = 0.3
SAMPLE = 5000
WORST = -1.0


class TrialScorer:
    """Scores the clusterings of trials by the metric.

    Parameters
    ----------
    metric : str
        "silhouette" is `WORST` below a balance of `LEAST_BALANCE`, and images set aside as noise count 0 in it.
    vectors : (n, d) float32 or None
        What a silhouette is measured on, the same for all trials; other metrics do without.
    truth : (n,) int, optional
        -1 where unknown.
    prune : bool
        Whether snapshots may end a trial.
    """

    def __init__(
        self, metric: Metric, vectors: NDArray[Any] | None, truth: NDArray[Any] | None, *, prune: bool
    ) -> None:
        self.metric, self.vectors, self.truth, self.prune = metric, vectors, truth, prune

    def score(self, labels: Labels, *, sample: int | None = None) -> float:
        """Return the metric of (n,) labels, higher is better; a silhouette of `sample` random images where given."""
        if self.metric == "silhouette":
            assert self.vectors is not None
            if balance(labels) < LEAST_BALANCE:
                return WORST
            return silhouette(self.vectors, labels, sample=sample) * (1 - noise_share(labels))
        assert self.truth is not None
        return float({"accuracy": accuracy, "nmi": nmi, "ari": ari}[self.metric](self.truth, labels))

    def final(self, trial: Any, estimator: ClusterEstimator, seconds: float) -> float:  # noqa: ANN401 - Optuna
        """Return the trial's score and keep what its row shows."""
        labels = estimator.labels_
        trial.set_user_attr("resolved", estimator.resolved_.model_dump(mode="json"))
        trial.set_user_attr("seconds", seconds)
        trial.set_user_attr("balance", balance(labels))
        trial.set_user_attr("n_clusters", len(np.unique(labels[labels >= 0])))
        trial.set_user_attr("noise_share", noise_share(labels))
        trial.set_user_attr("notes", list(estimator.notes_))
        return self.score(labels)


class TrialListener:
    """Listens to one trial: passes snapshots on, reports them to Optuna and ends a trial that is to be pruned."""

    def __init__(self, trial: Any, scorer: TrialScorer, parent: Progress) -> None:  # noqa: ANN401 - an Optuna trial
        self.trial, self.scorer, self.parent, self.snapshots = trial, scorer, parent, 0

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Ignore: the search reports trials."""

    def say(self, sentence: str) -> None:
        """Ignore: each trial's notes are kept in its row."""

    def snapshot(self, labels: Labels) -> None:
        """Report the score; raise Optuna's TrialPruned where the trial is not worth its end."""
        self.parent.snapshot(labels)
        if not self.scorer.prune:
            return
        import optuna

        self.trial.report(self.scorer.score(labels, sample=SAMPLE), self.snapshots)
        self.snapshots += 1
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def stop_requested(self) -> bool:
        """Pass the person's wish on."""
        return self.parent.stop_requested()
