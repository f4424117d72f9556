"""Hyper-parameter search for every clustering method: grid, random or Bayesian, resumable, as rows and files.

`HyperparameterSearch("temi", metric="silhouette", folder=run).search(embeddings, n_trials=30)` tries settings of
the method's own space (or a given one), keeps each trial in an Optuna study on disk and writes the best.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import Method, find_method
from engine.core.errors import InputError, KindredError, TrainingError
from engine.core.files import write_json
from engine.core.labels import encode
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.geometry.neighbors import NeighborGraph, build_graph
from engine.selection.search.space import Dimension, Space, check_space, default_space, grid_size
from engine.selection.search.study import (
    Sampler,
    Study,
    best_trial,
    finished_trials,
    importances,
    open_study,
    trial_row,
    write_study,
)
from engine.selection.search.trial import Metric, TrialListener, TrialScorer


class HyperparameterSearch:
    """Searches the settings of one method.

    Parameters
    ----------
    method : str
        A registered clustering method.
    metric : str, optional
        "accuracy", "nmi", "ari" (need labels) or "silhouette" (of clusterings with balance >= 0.3; images set
        aside as noise count 0). Default: accuracy with labels, silhouette without.
    settings : Settings, optional
        What every trial starts from; the method's defaults, with as many clusters as labels have classes.
    folder : Path, optional
        Where best_hyperparameters.json and hyperparam_search/ go; a search found there is resumed.
    random_state : int
        Seed of what is tried.

    Attributes
    ----------
    metric_ : str
        The metric of the trials.
    best_params_ : dict
        The searched settings of the best trial.
    best_score_ : float
        Its metric.
    best_settings_ : Settings
        The whole settings for training the best in full: `settings` with `best_params_`, epochs not shortened.
    trials_ : list of dict
        One row per trial: number, state, score, seconds, balance, n_clusters, noise_share, error and every
        searched setting; in the order they were run.
    combinations_ : int or None
        How many combinations the grid has, of which at most `n_trials` are tried; None for other ways of searching.
    study_ : optuna.Study
        For plots.
    """

    metric_: Metric
    best_params_: dict[str, Any]
    best_score_: float
    best_settings_: Settings
    trials_: list[dict[str, Any]]
    combinations_: int | None = None
    study_: Study

    def __init__(
        self,
        method: str,
        *,
        metric: Metric | None = None,
        settings: Settings | None = None,
        folder: Path | None = None,
        random_state: int = 0,
    ) -> None:
        if metric is not None and metric not in get_args(Metric):
            raise InputError(f"There is no metric {metric!r}.", f"Known: {', '.join(get_args(Metric))}.")
        self.method: Method = find_method(method)
        self.metric, self.settings, self.folder, self.random_state = metric, settings, folder, random_state

    def search(
        self,
        data: NDArray[Any],
        labels: Sequence[Any] | NDArray[Any] | None = None,
        *,
        vectors: NDArray[Any] | None = None,
        space: Space | None = None,
        method: Sampler = "random",
        n_trials: int = 20,
        n_epochs: int | None = 50,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
    ) -> Self:
        """Try `n_trials` settings in all, those of a resumed search included.

        Parameters
        ----------
        data : (n, d) float32, or (n, side, side, 3) uint8
            What the method takes: embeddings, or images.
        labels : (n,), optional
            True classes.
        vectors : (n, d) float32, optional
            Embeddings of the same images, for a method that takes images: a silhouette is measured on them, so that
            the trials compare.
        space : mapping, optional
            Setting -> list of choices or (low, high) range; the method's own when absent.
        method : "grid" | "random" | "bayesian"
            Grid goes over all combinations (four points of each range) in random order; Bayesian is TPE with
            pruning of deep trials whose snapshots stay below the median.
        n_epochs : int, optional
            Epochs of a deep method's trials; None leaves the method's own.
        neighbors : NeighborGraph, optional
            The shared graph; built once when the method reads one.

        Raises
        ------
        InputError
            A metric that needs labels without them, an unknown setting, a value out of bounds, not what the method
            takes, or images without `vectors` for a silhouette.
        CheckpointError
            `folder` holds a search of other data, settings or space.
        TrainingError
            Every trial failed.
        """
        if method not in get_args(Sampler):
            raise InputError(f"There is no search method {method!r}.", f"Known: {', '.join(get_args(Sampler))}.")
        if n_trials < 1:
            raise InputError("A search needs at least one trial.")
        truth = None if labels is None else encode(labels)[0]
        self.metric_ = self.metric or ("silhouette" if truth is None else "accuracy")
        takes_images = self.method.takes == "images"
        _check_data(self.method, self.metric_, data, truth, vectors)
        base = self._base_settings(truth)
        dimensions = check_space(base, space or default_space(type(base), len(data)))
        trial_base = base
        fields = set(type(base).model_fields) - {dimension.name for dimension in dimensions}
        if n_epochs is not None and "n_epochs" in fields:
            trial_base = base.changed(n_epochs=n_epochs)
        if neighbors is None and not takes_images and self.method.build(base).wants_graph:
            neighbors = build_graph(data, progress=progress)
        identity = {
            "method": self.method.name,
            "metric": self.metric_,
            "search_method": method,
            "data": _digest(data, truth),
            "settings": trial_base.model_dump_json(),
            "space": json.dumps([dimension.__dict__ for dimension in dimensions], default=str),
        }
        self.study_ = open_study(
            f"{self.method.name}_search",
            None if self.folder is None else self.folder / "hyperparam_search",
            identity,
            dimensions,
            method,
            self.random_state,
            n_trials,
        )
        if done := len(finished_trials(self.study_)):
            progress.say(f"Resumed a search of {done} finished trials.")
        total = n_trials
        if method == "grid":
            self.combinations_ = grid_size(dimensions)
            total = min(n_trials, self.combinations_)
            progress.say(grid_sentence(self.combinations_, n_trials))
        scorer = TrialScorer(
            self.metric_,
            vectors if takes_images else data,
            truth,
            prune=method == "bayesian" and self.method.kind == "deep",
        )
        self._run_trials(data, dimensions, trial_base, scorer, neighbors, total, progress)
        self._read_study(base, dimensions)
        if self.folder is not None:
            self._write(self.folder, method)
        return self

    def _base_settings(self, truth: NDArray[Any] | None) -> Settings:
        if self.settings is not None:
            return self.settings
        base = self.method.settings_class()
        if truth is not None and self.method.counts_clusters:
            classes = len(np.unique(truth[truth >= 0]))
            base = base.changed(n_clusters=max(2, classes))
        return base

    def _run_trials(
        self,
        data: NDArray[Any],
        dimensions: list[Dimension],
        base: Settings,
        scorer: TrialScorer,
        neighbors: NeighborGraph | None,
        total: int,
        progress: Progress,
    ) -> None:
        """Run trials until the study has `total` finished ones, or the person stops."""
        options: dict[str, Any] = {} if neighbors is None else {"neighbors": neighbors}

        def objective(trial: Any) -> float:  # noqa: ANN401 - an Optuna trial
            values = {dimension.name: dimension.suggest(trial) for dimension in dimensions}
            try:
                began = time.perf_counter()
                estimator = self.method.build(base.changed(**values))
                estimator.fit(data, progress=TrialListener(trial, scorer, progress), **options)
                return scorer.final(trial, estimator, time.perf_counter() - began)
            except KindredError as error:
                trial.set_user_attr("error", str(error))
                raise

        while (done := len(finished_trials(self.study_))) < total and not progress.stop_requested():
            self.study_.optimize(objective, n_trials=1, catch=(KindredError,))
            best = best_trial(self.study_)
            metrics = {} if best is None else {"best": best.value}
            progress.update(done + 1, total, phase="search", unit="trials", **metrics)

    def _read_study(self, base: Settings, dimensions: list[Dimension]) -> None:
        """Set what was learned.

        Raises
        ------
        TrainingError
            No trial is complete.
        """
        self.trials_ = [trial_row(trial, dimensions) for trial in finished_trials(self.study_)]
        best = best_trial(self.study_)
        if best is None:
            errors = [row["error"] for row in self.trials_ if row["error"]]
            raise TrainingError(
                f"None of the {len(self.trials_)} trials gave a clustering.",
                f"The first failed so: {errors[0]}" if errors else "Give the search more trials.",
            )
        self.best_params_, self.best_score_ = dict(best.params), float(best.value)
        self.best_settings_ = base.changed(**self.best_params_)

    def _write(self, folder: Path, sampler: Sampler) -> None:
        summary = {
            "method": self.method.name,
            "metric": self.metric_,
            "search_method": sampler,
            "best_score": self.best_score_,
            "best_params": self.best_params_,
            "settings": self.best_settings_.model_dump(mode="json"),
            "given": sorted(self.best_settings_.model_fields_set),
        }
        stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
        write_json(folder / "best_hyperparameters.json", summary)
        write_json(
            folder / "hyperparam_search" / f"{self.method.name}_search_final_{stamp}.json",
            summary | {"importances": self.importances(), "combinations": self.combinations_, "trials": self.trials_},
        )
        write_study(self.study_, folder / "hyperparam_search" / "optuna_study.json")

    def importances(self) -> dict[str, float]:
        """Return each searched setting's share of the score's variance, largest first; empty below five trials."""
        return importances(self.study_, self.random_state)

    def summary(self) -> str:
        """Return the search in a few lines of text: the best trial, the five best, the importances."""
        complete = [row for row in self.trials_ if row["score"] is not None]
        lines = [
            f"{self.method.title}: {len(self.trials_)} trials, {len(complete)} complete.",
            f"Best score {self.best_score_:.4f} with {_text(self.best_params_)}.",
        ]
        if self.combinations_ is not None:
            lines.insert(1, grid_sentence(self.combinations_, len(self.trials_)))
        for row in sorted(complete, key=lambda row: -row["score"])[:5]:
            lines.append(
                f"  trial {row['number']:>3}  {row['score']:.4f}  {row['seconds']:.1f} s  {_text(row['params'])}"
            )
        shares = self.importances()
        if shares:
            lines.append("Importance: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) + ".")
        return "\n".join(lines)


def grid_sentence(combinations: int, n_trials: int) -> str:
    """Return what a grid has and how much of it is tried."""
    if combinations <= n_trials:
        return f"The grid has {combinations:,} combinations; all are tried."
    left = combinations - n_trials
    return (
        f"The grid has {combinations:,} combinations; {n_trials:,} of them, drawn at random, are tried and "
        f"{left:,} are left out."
    )


def _check_data(
    method: Method, metric: Metric, data: NDArray[Any], truth: NDArray[Any] | None, vectors: NDArray[Any] | None
) -> None:
    if (data.ndim == 4) != (method.takes == "images"):
        wanted = "images, (n, side, side, 3)" if method.takes == "images" else "embeddings, (n, d)"
        raise InputError(f"{method.title} takes {wanted}; given was an array of shape {data.shape}.")
    if metric != "silhouette" and truth is None:
        raise InputError(f"The metric {metric} needs true labels.", "Use the metric silhouette.")
    if truth is not None and len(truth) != len(data):
        raise InputError(f"There are {len(truth):,} labels for {len(data):,} images.")
    if metric == "silhouette" and method.takes == "images":
        if vectors is None:
            raise InputError("A silhouette of images is measured on their embeddings.", "Give them as `vectors`.")
        if len(vectors) != len(data):
            raise InputError(f"There are {len(vectors):,} embeddings for {len(data):,} images.")


def _digest(data: NDArray[Any], truth: NDArray[Any] | None) -> str:
    """Name the content of the data by 64 of its rows and all of its truth."""
    digest = hashlib.blake2b(repr(data.shape).encode(), digest_size=8)
    rows = np.unique(np.linspace(0, len(data) - 1, 64).astype(np.int64))
    digest.update(np.ascontiguousarray(data[rows]).tobytes())
    digest.update(b"" if truth is None else np.ascontiguousarray(truth).tobytes())
    return digest.hexdigest()


def _text(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()
    )
