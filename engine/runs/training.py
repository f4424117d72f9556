"""What a training did to the clustering it started from: scores of both, how many labels changed, which one is kept.

Vectors and labels flow in; a judge for the estimator, figures for results.json and lines for a person flow out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.labels import Labels
from engine.evaluation.agreement import accuracy
from engine.evaluation.generalisation import LinearProbe
from engine.evaluation.scores import scores

# Twice the largest standard error of a difference of two shares of 2,000 images is .03.
LEAST_MARGIN = 0.03
FIGURES = {
    "generalisation": "generalisation",
    "silhouette": "silhouette",
    "accuracy": "accuracy",
    "nmi": "NMI",
    "ari": "ARI",
}
ROWS = {
    "start": "start of the training",
    "end": "end of the training",
    "kmeans": "k-means",
    "umap_kmeans": "UMAP-10 + k-means",
}


class StartJudge:
    """Says whether a training made a clustering worse than its start, by how well a classifier learns either.

    Parameters
    ----------
    vectors : (n, d) float
        The embeddings that both cluster.
    """

    def __init__(self, vectors: NDArray[Any]) -> None:
        self.vectors = vectors

    @cached_property
    def probe(self) -> LinearProbe:
        """The classifier, factorised once for all clusterings."""
        return LinearProbe(self.vectors)

    def score(self, labels: Labels) -> float:
        """Return how well a classifier learns a clustering, 0 for chance and 1 at best."""
        return self.probe.measure(labels).score

    def __call__(self, start: Labels, end: Labels) -> str | None:
        """Return a sentence where the end scores below the start by more than the score's standard error, else None.

        The error is that of a difference of two shares of the same images as if these were drawn apart, which is
        too large: a training is sent back only where the difference is beyond doubt.
        """
        before, after = self.probe.measure(start), self.probe.measure(end)
        shares = np.array([before.accuracy, after.accuracy])
        error = float(np.sqrt(np.sum(shares * (1 - shares)) / len(self.probe.rows)))
        room = max(1 - before.shuffled, 1 - after.shuffled, 1e-9)
        if after.score >= before.score - max(error / room, 1e-3):
            return None
        return (
            f"Training made the clustering worse: a classifier learns it with a score of {after.score:.3f}, "
            f"its start with {before.score:.3f}."
        )


def training_figures(
    judge: StartJudge, start: Labels | None, end: Labels, kept: Labels, truth: Labels | None
) -> dict[str, Any]:
    """Return {"start": figures or None, "end": figures, "changed": share or None, "handed_back": bool}.

    Parameters
    ----------
    start, end, kept : (n,) int32
        What training started from, what it made, and what the run holds, in any numbering.
    """
    found: dict[str, Any] = {"start": None, "end": figures_with(judge, end, truth), "changed": None}
    if start is not None:
        found["start"] = figures_with(judge, start, truth)
        found["changed"] = 1 - accuracy(start, end)
    return found | {"handed_back": accuracy(end, kept) < 1}


def figures_with(judge: StartJudge, labels: Labels, truth: Labels | None) -> dict[str, Any]:
    """Return a clustering's figures with its generalisation score and the floor of shuffled labels."""
    learned = judge.probe.measure(labels)
    return scores(judge.vectors, labels, truth) | {
        "generalisation": learned.score,
        "generalisation_shuffled": learned.shuffled,
    }


def below_kmeans(results: Mapping[str, Any]) -> str | None:
    """Return a sentence where a training from nothing ended below plain k-means by what no sampling error explains.

    The loss alone does not tell: a cold CLUDI's falls by two thirds while its groups are still a mixture.
    """
    end = results["training"]["end"]["generalisation"]
    reference = results["references"]["kmeans"].get("generalisation")
    if results["training"]["start"] is not None or reference is None or end >= reference - LEAST_MARGIN:
        return None
    return (
        f"It has not left its plateau: a classifier learns this clustering with a score of {end:.2f} and k-means with "
        f"{reference:.2f}. Train longer, or use a warm start."
    )


def training_table(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for start, end and each reference in a run's results.json: what it is, and its figures."""
    training = results.get("training") or {}
    parts = {name: training.get(name) for name in ("start", "end")} | dict(results.get("references") or {})
    return [
        {"what": ROWS.get(name, name)} | {title: part.get(key) for key, title in FIGURES.items()}
        for name, part in parts.items()
        if part
    ]


def training_lines(results: Mapping[str, Any]) -> list[str]:
    """Return the table as lines of text, and how many labels the training changed."""
    lines = []
    for row in training_table(results):
        known = [f"{name} {value:.3f}" for name, value in row.items() if isinstance(value, float)]
        lines.append(f"{row['what']}: {', '.join(known)}")
    changed = (results.get("training") or {}).get("changed")
    if changed is not None:
        lines.append(f"Training changed the cluster of {changed:.1%} of the images.")
    return lines
