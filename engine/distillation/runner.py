"""The seeds of a distillation: run every method on each, then measure all sets in the same way.

Needs torch; `distil` imports it when work begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.core.device import choose_device
from engine.core.progress import Progress
from engine.core.vectors import Vectors
from engine.distillation import baselines
from engine.distillation.evaluate import Evaluator, summary
from engine.distillation.gradient_matching import match_gradients
from engine.distillation.heads import Head, expert_schedule, expert_trajectories, seed_of
from engine.distillation.matching import StepListener, SyntheticSets
from engine.distillation.prepare import Indices, Prepared
from engine.distillation.ridge import ridge_selection
from engine.distillation.selmatch import alpha_beta, difficulty, select_window
from engine.distillation.settings import BASELINES, TITLES, DistilSettings
from engine.distillation.trajectory_matching import match_trajectories

EXPERT_BYTES = 512 * 2**20


@dataclass(frozen=True)
class SeedResult:
    """What one method made with one seed.

    Attributes
    ----------
    start, rows : (m, d) float32
        The rows at the beginning and at the end.
    labels : (m,) int64
        Their clusters 0..K-1.
    frozen : (m,) bool
        Rows that had to stay as they were.
    losses : (steps,) float32
    """

    start: Vectors
    rows: Vectors
    labels: Indices
    frozen: NDArray[np.bool_]
    losses: Vectors


def affordable_experts(ready: Prepared, settings: DistilSettings, seeds: int, notes: list[str]) -> int:
    """Return how many experts' snapshots of all seeds fit into half a gigabyte, at least two."""
    width, classes = ready.rows.shape[1], len(ready.clusters)
    parameters = width * classes if settings.hidden == 0 else settings.hidden * (width + classes)
    fit = EXPERT_BYTES // (4 * parameters * (settings.expert_epochs + 1) * seeds)
    count = max(2, min(settings.n_experts, fit)) if settings.n_experts > 1 else 1
    if count < settings.n_experts:
        notes.append(f"{count} experts instead of {settings.n_experts}: more would not fit into memory.")
    return count


def run_methods(
    ready: Prepared, settings: DistilSettings, progress: Progress, notes: list[str]
) -> tuple[dict[str, list[SeedResult]], list[int]]:
    """Run each method with all seeds side by side; a person's stop takes effect between two methods."""
    device = choose_device(settings.device)
    rows, labels = torch.from_numpy(ready.rows).to(device), torch.from_numpy(ready.labels).to(device)
    seeds = [settings.random_state + i for i in range(settings.seeds if settings.evaluate else 1)]
    matching = [name for name in settings.methods if name != "ridge"]
    experts: dict[int, Head] = {}
    if matching:
        count = affordable_experts(ready, settings, len(seeds), notes)
        progress.update(0, 1, phase="Training experts", unit="")
        experts = {
            hidden: expert_trajectories(
                rows,
                labels,
                len(ready.clusters),
                count=count,
                epochs=settings.expert_epochs,
                hidden=hidden,
                seeds=seeds,
            )
            for hidden in sorted({_expert_width(name, settings) for name in matching})
        }
    by_method: dict[str, list[SeedResult]] = {}
    for name in settings.methods:
        if by_method and progress.stop_requested():
            notes.append(f"Stopped after {len(by_method)} of {len(settings.methods)} methods.")
            break
        if name == "ridge":
            by_method[name] = [_select(ready, settings, progress)] * len(seeds)
            continue
        path = experts[_expert_width(name, settings)]
        by_method[name] = _run_method(name, rows, labels, path, settings, seeds, _listener(progress, TITLES[name]))
    return by_method, seeds


def _select(ready: Prepared, settings: DistilSettings, progress: Progress) -> SeedResult:
    """Return the images that ridge selection chooses: one choice, for all seeds of the classifiers."""
    rows = ridge_selection(
        ready.rows,
        ready.labels,
        settings.images_per_class,
        ridge=settings.ridge,
        starts=settings.starts,
        seed=settings.random_state,
        listener=lambda done, total: progress.update(done, total, phase=TITLES["ridge"], unit="tries"),
    )
    return _real_rows(ready.rows[rows], ready.labels[rows])


def _real_rows(rows: Vectors, labels: Indices) -> SeedResult:
    """Return rows that nothing moves."""
    return SeedResult(rows, rows, labels, np.ones(len(rows), bool), np.zeros(0, np.float32))


def _expert_width(name: str, settings: DistilSettings) -> int:
    """Return the width of the experts' hidden layer: gradient matching has linear experts only."""
    return 0 if name == "lgm" else settings.hidden


def _listener(progress: Progress, phase: str) -> StepListener:
    def listen(done: int, total: int, loss: float) -> None:
        if done % 10 == 0 or done == total:
            progress.update(done, total, phase=phase, unit="steps", loss=loss)

    return listen


def _run_method(
    name: str,
    rows: torch.Tensor,
    labels: torch.Tensor,
    path: Head,
    settings: DistilSettings,
    seeds: Sequence[int],
    listener: StepListener,
) -> list[SeedResult]:
    """Return what one method made, for each seed."""
    chosen, free = _starting_rows(name, rows, labels, path, settings, seeds)
    frozen = ~np.isin(np.arange(chosen.shape[1]), free)
    own = labels.cpu().numpy()[chosen[0]]  # class by class, so the same for every seed
    start, start_labels = rows[torch.from_numpy(chosen)], torch.from_numpy(own).to(rows.device)
    common: dict[str, Any] = {
        "seeds": seeds,
        "epochs": settings.distill_epochs,
        "step": settings.distill_lr,
        "listener": listener,
    }
    if frozen.all():
        made = SyntheticSets(start, np.zeros((len(seeds), 0), np.float32))
    elif name == "lgm":
        made = match_gradients(start, start_labels, rows, labels, path, **common)
    else:
        made = match_trajectories(
            start,
            start_labels,
            path,
            inner_steps=settings.inner_epochs,
            match_epochs=settings.match_epochs,
            expert_steps=expert_schedule(len(rows))[1],
            free=torch.from_numpy(free),
            **common,
        )
    begin, end = start.cpu().numpy(), made.rows.cpu().numpy()
    return [SeedResult(begin[i], end[i], own, frozen, made.losses[i]) for i in range(len(seeds))]


def _starting_rows(
    name: str,
    rows: torch.Tensor,
    labels: torch.Tensor,
    path: Head,
    settings: DistilSettings,
    seeds: Sequence[int],
) -> tuple[Indices, Indices]:
    """Return the real rows that each seed starts from, (S, m), and the positions that may move, (f,)."""
    own, count = labels.cpu().numpy(), settings.images_per_class
    if name != "selmatch":
        chosen = np.stack([baselines.random_rows(own, count, seed=seed) for seed in seeds])
        return chosen, np.arange(chosen.shape[1])
    alpha, beta = alpha_beta(count, settings.alpha, settings.beta)
    experts = path[0].shape[1] // len(seeds)
    windows = [
        select_window(
            difficulty(seed_of(path, i, experts), rows, labels), own, images_per_class=count, alpha=alpha, beta=beta
        )
        for i in range(len(seeds))
    ]
    return np.stack([window.chosen for window in windows]), windows[0].free


def score_everything(
    ready: Prepared,
    settings: DistilSettings,
    made: Mapping[str, Sequence[SeedResult]],
    seeds: Sequence[int],
    nearest: Mapping[str, Sequence[Indices]],
) -> dict[str, Any]:
    """Measure full data, every set of rows and the images nearest to them with the same classifier recipe.

    Parameters
    ----------
    nearest : dict of str to sequence of (m,) int64
        Of each method and seed, the rows of `ready.rows` that are nearest.

    Returns
    -------
    dict
        The "full", "distilled" and "baselines" parts of results.json.
    """
    evaluator = Evaluator(
        ready.rows,
        ready.labels,
        ready.test_rows,
        ready.test_truth,
        ready.mapping,
        settings.evaluation_updates,
        settings.hidden,
        choose_device(settings.device),
    )
    full = summary(evaluator.score(ready.rows, ready.labels, seeds)[0])
    sets: dict[str, tuple[Vectors, Indices]] = {}
    for name, runs in made.items():
        labels = np.stack([run.labels for run in runs])
        sets[name] = np.stack([run.rows for run in runs]), labels
        sets[f"{name} images"] = np.stack([ready.rows[rows] for rows in nearest[name]]), labels
    kept = {f"{name} images": np.stack(rows) for name, rows in nearest.items()}
    scored = {name: _entry(*scores, full["mean"]) for name, scores in evaluator.score_sets(sets, seeds, kept).items()}
    entries = {name: scored[name] | {"nearest_images": scored[f"{name} images"]} for name in made}
    return {
        "full": full,
        "distilled": {name: entry for name, entry in entries.items() if name not in BASELINES},
        "baselines": {name: entry for name, entry in entries.items() if name in BASELINES},
    }


def _entry(accuracy: NDArray[np.float64], agrees: NDArray[np.float64], full: float) -> dict[str, Any]:
    retention = float(accuracy.mean()) / full if full > 0 else float("nan")
    return summary(accuracy) | {"retention": retention, "agreement": float(agrees.mean())}


def simple_sets(ready: Prepared, per_class: int, seeds: Sequence[int]) -> dict[str, list[SeedResult]]:
    """Return what each baseline makes with each seed."""
    rows, labels = ready.rows, ready.labels

    herded = baselines.herding(rows, labels, per_class)
    means = _real_rows(*baselines.centroids(rows, labels, per_class))
    random = [baselines.random_rows(labels, per_class, seed=seed) for seed in seeds]
    return {
        "random": [_real_rows(rows[picked], labels[picked]) for picked in random],
        "centroid": [means] * len(seeds),
        "kmeans": [_real_rows(*baselines.kmeans_centers(rows, labels, per_class, seed=seed)) for seed in seeds],
        "herding": [_real_rows(rows[herded], labels[herded])] * len(seeds),
    }
