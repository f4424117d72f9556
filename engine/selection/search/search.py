"""Hyper-parameter search for every clustering method: grid, random or Bayesian, resumable, as rows and files.

`HyperparameterSearch("temi", metric="silhouette", folder=run).search(embeddings, n_trials=30)` tries settings of
the method's own space (or a given one), keeps each trial in an Optuna study on disk and writes the best.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import Method, find_method
from engine.core.errors import CheckpointError, InputError, KindredError, TrainingError
from engine.core.files import told_when_full, write_json
from engine.core.labels import encode
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.geometry.neighbors import NeighborGraph, build_graph
from engine.selection.search.space import Dimension, Space, default_space, dimensions, grid_of
from engine.selection.search.trial import Judge, Metric, TrialListener

How = Literal["grid", "random", "bayesian"]


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
        Seed of the draws.

    Attributes
    ----------
    best_params_ : dict
        The searched settings of the best trial.
    best_score_ : float
        Its metric.
    best_settings_ : Settings
        The whole settings for training the best in full: `settings` with `best_params_`, epochs not shortened.
    trials_ : list of dict
        One row per trial: number, state, score, seconds, balance, n_clusters, noise_share, error and every
        searched setting; in the order they were run.
    study_ : optuna.Study
        For plots.
    """

    best_params_: dict[str, Any]
    best_score_: float
    best_settings_: Settings
    trials_: list[dict[str, Any]]

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
        embeddings: NDArray[Any],
        labels: Sequence[Any] | NDArray[Any] | None = None,
        *,
        space: Space | None = None,
        method: How = "random",
        n_trials: int = 20,
        n_epochs: int | None = 50,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
    ) -> Self:
        """Try `n_trials` settings in all, those of a resumed search included.

        Parameters
        ----------
        embeddings : (n, d) float32
            Or (n, side, side, 3) uint8 images for a method that takes images.
        labels : (n,), optional
            True classes.
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
            A metric that needs labels without them, an unknown setting, a value out of bounds.
        CheckpointError
            `folder` holds a search of other data, settings or space.
        TrainingError
            Every trial failed.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if method not in get_args(How):
            raise InputError(f"There is no search method {method!r}.", f"Known: {', '.join(get_args(How))}.")
        if n_trials < 1:
            raise InputError("A search needs at least one trial.")
        truth = None if labels is None else encode(labels)[0]
        metric: Metric = self.metric or ("silhouette" if truth is None else "accuracy")
        _check_metric(metric, truth, embeddings)
        base = self._base(truth)
        found = dimensions(type(base), base, space or default_space(type(base), len(embeddings)))
        if n_epochs is not None and "n_epochs" in type(base).model_fields and "n_epochs" not in [d.name for d in found]:
            trial_base = base.changed(n_epochs=n_epochs)
        else:
            trial_base = base
        if neighbors is None and self.method.takes == "vectors" and self.method.build(base).wants_graph:
            neighbors = build_graph(embeddings, progress=progress)
        identity = {
            "method": self.method.name,
            "metric": metric,
            "search_method": method,
            "data": _digest(embeddings, truth),
            "settings": trial_base.model_dump_json(),
            "space": json.dumps([d.__dict__ for d in found], default=str),
        }
        self.study_ = self._study(identity, found, method, n_trials, progress)
        judge = Judge(metric, embeddings, truth, prune=method == "bayesian" and self.method.kind == "deep")
        self._run(found, trial_base, judge, neighbors, n_trials, progress)
        self._conclude(base, found, identity)
        return self

    def _base(self, truth: NDArray[Any] | None) -> Settings:
        if self.settings is not None:
            return self.settings
        base = self.method.settings_class()
        if truth is not None and "n_clusters" in type(base).model_fields:
            classes = len(np.unique(truth[truth >= 0]))
            base = base.changed(n_clusters=max(2, classes))
        return base

    def _study(
        self, identity: dict[str, str], found: list[Dimension], how: How, n_trials: int, progress: Progress
    ) -> Any:  # noqa: ANN401 - Optuna has no types here
        """Open or create the study and settle trials that a crash left running."""
        import optuna

        storage = None
        if self.folder is not None:
            folder = self.folder / "hyperparam_search"
            with told_when_full(folder):
                folder.mkdir(parents=True, exist_ok=True)
            storage = f"sqlite:///{(folder / 'study.sqlite').resolve()}"
        study = optuna.create_study(
            storage=storage, study_name=f"{self.method.name}_search", direction="maximize", load_if_exists=True
        )
        _refuse_other(study, identity)
        for trial in study.trials:
            if trial.state == optuna.trial.TrialState.RUNNING:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        seed = self.random_state + 7919 * len(study.trials)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=4)
        if how == "grid":
            combinations = grid_of(found)
            if len(combinations) > n_trials:
                progress.say(f"The grid has {len(combinations):,} combinations; {n_trials:,} of them are tried.")
            self._enqueue(study, combinations)
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        elif how == "random":
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        else:
            study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8)
        if study.trials:
            progress.say(f"Resumed a search of {_finished(study)} finished trials.")
        self._grid_size = len(grid_of(found)) if how == "grid" else None
        return study

    def _enqueue(self, study: Any, combinations: list[dict[str, Any]]) -> None:  # noqa: ANN401 - an Optuna study
        """Queue the combinations that were not tried, in an order that only the seed decides."""
        order = np.random.default_rng(self.random_state).permutation(len(combinations))
        for place in order:
            study.enqueue_trial(combinations[place], skip_if_exists=True)

    def _run(
        self,
        found: list[Dimension],
        base: Settings,
        judge: Judge,
        neighbors: NeighborGraph | None,
        n_trials: int,
        progress: Progress,
    ) -> None:
        total = n_trials if self._grid_size is None else min(n_trials, self._grid_size)

        def objective(trial: Any) -> float:  # noqa: ANN401 - an Optuna trial
            values = {dimension.name: dimension.suggest(trial) for dimension in found}
            try:
                began = time.perf_counter()
                estimator = self.method.build(base.changed(**values))
                listener = TrialListener(trial, judge, progress)
                options: dict[str, Any] = {} if neighbors is None else {"neighbors": neighbors}
                estimator.fit(judge.data, progress=listener, **options)
                return judge.final(trial, estimator, time.perf_counter() - began)
            except KindredError as error:
                trial.set_user_attr("error", str(error))
                raise

        while (done := _finished(self.study_)) < total and not progress.stop_requested():
            self.study_.optimize(objective, n_trials=1, catch=(KindredError,))
            best = _best(self.study_)
            progress.update(
                done + 1, total, phase="search", unit="trials", **({} if best is None else {"best": best.value})
            )

    def _conclude(self, base: Settings, found: list[Dimension], identity: dict[str, str]) -> None:
        self.trials_ = [_row(trial, found) for trial in self.study_.trials if trial.state.is_finished()]
        best = _best(self.study_)
        if best is None:
            errors = [row["error"] for row in self.trials_ if row["error"]]
            raise TrainingError(
                f"None of the {len(self.trials_)} trials gave a clustering.",
                f"The first failed so: {errors[0]}" if errors else "Give the search more trials.",
            )
        self.best_params_, self.best_score_ = dict(best.params), float(best.value)
        self.best_settings_ = base.changed(**self.best_params_)
        if self.folder is not None:
            self._write(identity)

    def _write(self, identity: dict[str, str]) -> None:
        assert self.folder is not None
        summary = {
            "method": self.method.name,
            "metric": identity["metric"],
            "search_method": identity["search_method"],
            "best_score": self.best_score_,
            "best_params": self.best_params_,
            "settings": self.best_settings_.model_dump(mode="json"),
        }
        stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
        write_json(self.folder / "best_hyperparameters.json", summary)
        write_json(
            self.folder / "hyperparam_search" / f"{self.method.name}_search_final_{stamp}.json",
            summary | {"importances": self.importances(), "trials": self.trials_},
        )

    def importances(self) -> dict[str, float]:
        """Return each searched setting's share of the score's variance, largest first; empty below five trials."""
        import optuna

        complete = [trial for trial in self.study_.trials if trial.state == optuna.trial.TrialState.COMPLETE]
        if len(complete) < 5 or len({trial.value for trial in complete}) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.random_state)
        shares = optuna.importance.get_param_importances(self.study_, evaluator=evaluator)
        return {name: float(value) for name, value in shares.items()}

    def summary(self) -> str:
        """Return the search in a few lines of text: the best trial, the five best, the importances."""
        done = [row for row in self.trials_ if row["score"] is not None]
        lines = [
            f"{self.method.title}: {len(self.trials_)} trials, {len(done)} complete.",
            f"Best score {self.best_score_:.4f} with {_text(self.best_params_)}.",
        ]
        for row in sorted(done, key=lambda row: -row["score"])[:5]:
            lines.append(
                f"  trial {row['number']:>3}  {row['score']:.4f}  {row['seconds']:.1f} s  {_text(row['params'])}"
            )
        shares = self.importances()
        if shares:
            lines.append("Importance: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) + ".")
        return "\n".join(lines)

    def print_summary(self) -> None:
        """Write `summary` to standard output."""
        sys.stdout.write(self.summary() + "\n")

    _grid_size: int | None
    study_: Any


def _check_metric(metric: Metric, truth: NDArray[Any] | None, embeddings: NDArray[Any]) -> None:
    if metric != "silhouette" and truth is None:
        raise InputError(f"The metric {metric} needs true labels.", "Use the metric silhouette.")
    if truth is not None and len(truth) != len(embeddings):
        raise InputError(f"There are {len(truth):,} labels for {len(embeddings):,} images.")


def _digest(data: NDArray[Any], truth: NDArray[Any] | None) -> str:
    digest = hashlib.blake2b(repr(data.shape).encode(), digest_size=8)
    rows = np.unique(np.linspace(0, len(data) - 1, 64).astype(np.int64))
    digest.update(np.ascontiguousarray(data[rows]).tobytes())
    digest.update(b"" if truth is None else np.ascontiguousarray(truth).tobytes())
    return digest.hexdigest()


def _refuse_other(study: Any, identity: Mapping[str, str]) -> None:  # noqa: ANN401 - an Optuna study
    stored = study.user_attrs
    for name, now in identity.items():
        if stored.get(name, now) != now:
            raise CheckpointError(
                f"The search in this folder is another one: its {name} differs.",
                "Choose another folder, or repeat the search with its own options.",
            )
    for name, now in identity.items():
        if name not in stored:
            study.set_user_attr(name, now)


def _finished(study: Any) -> int:  # noqa: ANN401 - an Optuna study
    return sum(trial.state.is_finished() for trial in study.trials)


def _best(study: Any) -> Any:  # noqa: ANN401 - an Optuna study and trial
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)


def _row(trial: Any, found: list[Dimension]) -> dict[str, Any]:  # noqa: ANN401 - an Optuna trial
    notes = trial.user_attrs
    params = {dimension.name: trial.params.get(dimension.name) for dimension in found}
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": trial.value if trial.state.name == "COMPLETE" else None,
        "seconds": notes.get("seconds", trial.duration.total_seconds() if trial.duration else 0.0),
        "balance": notes.get("balance"),
        "n_clusters": notes.get("n_clusters"),
        "noise_share": notes.get("noise_share"),
        "error": notes.get("error", ""),
        "params": params,
    }


def _text(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()
    )
