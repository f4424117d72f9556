"""The Optuna study of a search: created or opened again, checked, and read as rows.

A study in a folder is an SQLite file. It remembers what was searched (method, metric, data, settings, space), and
another search in the same folder is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from engine.core.errors import CheckpointError
from engine.core.files import storage_errors, write_json
from engine.selection.search.space import Dimension, grid_of

Sampler = Literal["grid", "random", "bayesian"]
Study = Any
"""An Optuna study; the library has no types."""


def open_study(
    name: str,
    folder: Path | None,
    identity: Mapping[str, str],
    dimensions: list[Dimension],
    sampler: Sampler,
    random_state: int,
    n_trials: int,
) -> Study:
    """Create the study, or open the one that `folder` holds.

    Trials that a crash left running become failed. For a grid the first `n_trials` combinations that were not tried
    are queued, in an order that only `random_state` decides.

    Parameters
    ----------
    identity : mapping
        What is searched; must equal that of the study in `folder`.

    Raises
    ------
    CheckpointError
        `folder` holds another search.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None
    if folder is not None:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        storage = f"sqlite:///{(folder / 'study.sqlite').resolve()}"
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    _check_identity(study, identity)
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.RUNNING:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    seed = random_state + 7919 * len(study.trials)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=4)
    if sampler == "bayesian":
        study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8)
    else:
        study.sampler = optuna.samplers.RandomSampler(seed=seed)
    if sampler == "grid":
        for combination in grid_of(dimensions, most=n_trials, random_state=random_state):
            study.enqueue_trial(combination, skip_if_exists=True)
    return study


def _check_identity(study: Study, identity: Mapping[str, str]) -> None:
    stored = study.user_attrs
    for name, value in identity.items():
        if stored.get(name, value) != value:
            raise CheckpointError(
                f"The search in this folder is another one: its {name} differs.",
                "Choose another folder, or repeat the search with its own options.",
            )
    for name, value in identity.items():
        if name not in stored:
            study.set_user_attr(name, value)


def finished_trials(study: Study) -> list[Any]:
    """Return the trials that are complete, pruned or failed."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def best_trial(study: Study) -> Any:  # noqa: ANN401 - an Optuna trial
    """Return the complete trial with the highest score, the earliest of equals; None where there is none."""
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)


def trial_row(trial: Any, dimensions: list[Dimension]) -> dict[str, Any]:  # noqa: ANN401 - an Optuna trial
    """Return what a table shows of a finished trial, its settings as they ran; score None: not complete."""
    kept = trial.user_attrs
    resolved = kept.get("resolved", {})
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": trial.value if trial.state.name == "COMPLETE" else None,
        "seconds": kept.get("seconds", trial.duration.total_seconds() if trial.duration else 0.0),
        "balance": kept.get("balance"),
        "n_clusters": kept.get("n_clusters"),
        "noise_share": kept.get("noise_share"),
        "error": kept.get("error", ""),
        "params": {
            dimension.name: resolved.get(dimension.name, trial.params.get(dimension.name)) for dimension in dimensions
        },
    }


def importances(study: Study, random_state: int) -> dict[str, float]:
    """Return each searched setting's share of the score's variance, largest first; empty below five trials."""
    import optuna

    complete = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if len(complete) < 5 or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=random_state)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in shares.items()}


def write_study(study: Study, path: Path) -> None:
    """Write a study as JSON, for those who read it without Optuna: what was searched and every trial as it ran."""
    write_json(
        path,
        {
            "study_name": study.study_name,
            "direction": study.direction.name.lower(),
            "searched": dict(study.user_attrs),
            "trials": [
                {
                    "number": trial.number,
                    "state": trial.state.name.lower(),
                    "value": trial.value,
                    "params": trial.params,
                    "distributions": {name: str(kind) for name, kind in trial.distributions.items()},
                    "intermediate_values": {str(step): value for step, value in trial.intermediate_values.items()},
                    "attributes": trial.user_attrs,
                    "started": None if trial.datetime_start is None else trial.datetime_start.isoformat(),
                    "completed": None if trial.datetime_complete is None else trial.datetime_complete.isoformat(),
                }
                for trial in finished_trials(study)
            ],
        },
    )
