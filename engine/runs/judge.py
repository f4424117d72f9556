"""The verdict of one clustering outside a sweep: what is missing for it is measured on a sample.

Flows in: vectors, labels, and the method that made them. Flows out: the word with its reasons, and the figures behind
it. The same figures as a sweep's, on at most some thousand images, so that a run waits seconds for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import METHODS, Method
from engine.core.errors import KindredError, StorageError
from engine.core.files import read_json, write_json
from engine.core.labels import Labels, compact
from engine.core.settings import Settings
from engine.core.vectors import Vectors, unit
from engine.evaluation.agreement import ari_between
from engine.evaluation.generalisation import generalisation
from engine.evaluation.mixed import two_kinds
from engine.evaluation.scores import shuffled_floor, silhouette
from engine.evaluation.stability import stability
from engine.evaluation.verdict import Verdict, verdict, verdict_of, with_missing, with_two_kinds
from engine.geometry.neighbors import build_graph
from engine.runs.rows import Rows, align
from engine.runs.run import Run

FEWEST, SAMPLE, MOST, PER_CLUSTER = 20, 2_000, 6_000, 40
RIVALS: dict[str, dict[str, Any]] = {"kmeans": {}, "agglomerative": {}, "gaussian_mixture": {"max_iter": 20}}
"""The methods that are asked for as many clusters, with the settings that a sweep gives them."""
_SHUFFLES = 10
_FILE = "judgement.json"  # of a run that was judged after it was made


@dataclass(frozen=True)
class Judgement:
    """A verdict with the figures behind it.

    Attributes
    ----------
    verdict : Verdict
    stability, generalisation, agreement : float or None
        As in `engine.evaluation.verdict.verdict`; None where it was not measured.
    two_kinds : tuple of int
        Clusters that look like two kinds.
    images : int
        How many it was measured on.
    seconds : float
    """

    verdict: Verdict
    stability: float | None = None
    generalisation: float | None = None
    agreement: float | None = None
    two_kinds: tuple[int, ...] = ()
    images: int = 0
    seconds: float = field(default=0.0, compare=False)

    def as_results(self) -> dict[str, Any]:
        """Return what results.json keeps."""
        return {
            "verdict": self.verdict.as_dict(),
            "stability": self.stability,
            "generalisation": self.generalisation,
            "agreement": self.agreement,
            "two_kinds": list(self.two_kinds),
            "judged_images": self.images,
        }


def judge(
    vectors: Vectors, labels: Labels, method: Method | None, settings: Settings | None, *, random_state: int = 0
) -> Judgement:
    """Judge one clustering.

    Parameters
    ----------
    vectors : (n, d) float
        What was clustered, or another embedding of the same images where the method takes images.
    labels : (n,) int32
        -1 is noise.
    method, settings
        What made the labels: it clusters two subsamples again where that takes seconds. None for a vote of several.
    """
    began = time.perf_counter()
    found = _judge(vectors, np.asarray(labels), method, settings, random_state)
    return replace(found, seconds=time.perf_counter() - began)


def _judge(
    vectors: Vectors, labels: Labels, method: Method | None, settings: Settings | None, random_state: int
) -> Judgement:
    n_clusters = len(np.unique(labels[labels >= 0]))
    if n_clusters < 2 or len(labels) < FEWEST:
        reason = "there is no more than one group." if n_clusters < 2 else f"{len(labels)} images are too few for that."
        return Judgement(with_missing(None, (reason,)), images=len(labels))
    size = min(len(labels), int(np.clip(PER_CLUSTER * n_clusters, SAMPLE, MOST)))
    rows = np.sort(np.random.default_rng(random_state).choice(len(labels), size, replace=False))
    points, own = unit(np.asarray(vectors[rows], np.float32)), compact(labels[rows])
    score = silhouette(points, own)
    structured = score > shuffled_floor(points, own, value=score, shuffles=_SHUFFLES).level
    learned = generalisation(points, own).score
    steady, missing = _stability(points, method, settings, size / len(labels), random_state)
    agreement = _agreement(points, own, method, settings, random_state)
    if agreement is None:
        missing = (*missing, "No other method was found to compare with.")
    word = verdict(structured=structured, stability=steady, generalisation=learned, agreement=agreement)
    mixed = tuple(int(labels[rows][own == cluster][0]) for cluster in two_kinds(points, own))
    told = with_two_kinds(with_missing(word, missing), mixed, n_clusters)
    return Judgement(told, steady, learned, agreement, mixed, size)


def _stability(
    points: Vectors, method: Method | None, settings: Settings | None, ratio: float, random_state: int
) -> tuple[float | None, tuple[str, ...]]:
    """Return the stability on a sample, `ratio` of the images, or None and the sentence that says why it is missing."""
    if method is None or settings is None:
        return None, ("How surely the groups come back is not known: no single method made them.",)
    if method.kind == "deep":
        return None, (f"How surely the groups come back is not known: {method.title} would train twice more for it.",)
    if method.reduction(settings).startswith("umap"):
        return None, ("How surely the groups come back is not known: UMAP would be drawn twice more for it.",)
    try:
        return stability(_fitter(points, method, _scaled(settings, ratio)), len(points), random_state=random_state), ()
    except KindredError as error:
        return None, (f"How surely the groups come back is not known: {error.sentence}",)


def _agreement(
    points: Vectors, own: Labels, method: Method | None, settings: Settings | None, random_state: int
) -> float | None:
    """Return the mean ARI with the rivals at as many clusters; None where none could be fitted."""
    n_clusters, found = int(own.max()) + 1, []
    every = np.arange(len(points))
    for name, usual in RIVALS.items():
        rival = METHODS[name]
        if method is rival and settings is not None and method.reduction(settings) == "none":
            continue
        try:
            wanted = rival.settings_class.parse(
                usual | {"n_clusters": n_clusters, "reduce": "none", "random_state": random_state}
            )
            found.append(ari_between(own, _fitter(points, rival, wanted)(every)))
        except KindredError:
            continue  # such as more clusters than it can make
    return float(np.mean(found)) if found else None


def _fitter(points: Vectors, method: Method, settings: Settings) -> Callable[[NDArray[np.int64]], Labels]:
    """Return a function that clusters some of the rows."""

    def labels_of(rows: NDArray[np.int64]) -> Labels:
        estimator = method.build(settings)
        chosen = points[rows]
        estimator.fit(chosen, neighbors=build_graph(chosen) if estimator.wants_graph else None)
        return estimator.labels_

    return labels_of


def _scaled(settings: Settings, ratio: float) -> Settings:
    """Return the settings for a sample of `ratio` of the images: least sizes of a cluster shrink with it."""
    least = settings.model_dump().get("min_cluster_size")
    if not isinstance(least, int) or ratio >= 1:
        return settings
    return settings.model_copy(update={"min_cluster_size": max(3, round(least * ratio))})


def kept_verdict(run: Run) -> Verdict | None:
    """Return the verdict that a run's folder holds; None for a run that was never judged."""
    found = verdict_of(run.results)
    path = run.folder / _FILE
    if found is not None or not path.exists():
        return found
    try:
        return verdict_of(read_json(path))
    except StorageError:
        return None


def kept_figures(run: Run) -> dict[str, float]:
    """Return silhouette, stability, agreement and what a sweep ranked by (evidence), as far as they are kept."""
    figures = run.results["train"]
    known: dict[str, Any] = {"silhouette": figures.get("silhouette") if figures.get("n_clusters", 0) > 1 else None}
    judged: Any = run.results
    if verdict_of(judged) is None:
        with suppress(StorageError):
            judged = read_json(run.folder / _FILE) if (run.folder / _FILE).exists() else {}
    known |= {name: judged.get(name) for name in ("stability", "agreement")}
    known["evidence"] = run.results.get("evidence")
    return {name: float(value) for name, value in known.items() if isinstance(value, int | float)}


def judge_run(run: Run, rows: Rows) -> Verdict:
    """Return the verdict of a finished run; measured now, and kept in its folder, where it was never judged.

    Raises
    ------
    InputError
        The run's settings are no longer known to its method.
    """
    known = kept_verdict(run)
    if known is not None:
        return known
    method = METHODS.get(run.method)
    kept = run.config.get("resolved") or run.config.get("settings", {})
    settings = None if method is None else method.settings_class.parse(kept)
    labels, _ = align(run, rows)
    found = judge(rows.vectors[rows.train], labels[rows.train], method, settings)
    with suppress(StorageError):  # such as a colleague's folder
        write_json(run.folder / _FILE, found.as_results())
    return found.verdict
