"""The seeds of a distillation: run every method on each, then measure all sets in the same way.

Needs torch; `distil` imports it when work begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.clustering.base import Vectors
from engine.device import choose_device
from engine.distillation import baselines
from engine.distillation.evaluate import Judge, summary
from engine.distillation.gradient_matching import match_gradients
from engine.distillation.heads import Head, expert_trajectories
from engine.distillation.prepare import Prepared, Rows
from engine.distillation.selmatch import difficulty, resolve, select_window
from engine.distillation.settings import TITLES, DistilSettings
from engine.distillation.trajectory_matching import Listener, match_trajectories
from engine.progress import Progress

EXPERT_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Run:
    """One method with one seed: start and end of its rows, (m, d), and their clusters 0..K-1."""

    start: Vectors
    rows: Vectors
    labels: Rows
    frozen: NDArray[np.bool_]
    losses: list[float]


def affordable_experts(ready: Prepared, settings: DistilSettings, notes: list[str]) -> int:
    """Return how many experts' snapshots fit into half a gigabyte, at least two."""
    width, classes = ready.rows.shape[1], len(ready.clusters)
    parameters = width * classes if settings.hidden == 0 else settings.hidden * (width + classes)
    fit = EXPERT_BYTES // (4 * parameters * (settings.expert_epochs + 1))
    count = max(2, min(settings.n_experts, fit)) if settings.n_experts > 1 else 1
    if count < settings.n_experts:
        notes.append(f"{count} experts instead of {settings.n_experts}: more would not fit into memory.")
    return count


def run_methods(
    ready: Prepared, settings: DistilSettings, progress: Progress, notes: list[str]
) -> tuple[dict[str, list[Run]], list[int]]:
    """Run each method with each seed, seeds outermost, so that stopping early still leaves whole seeds."""
    device = choose_device(settings.device)
    rows, labels = torch.from_numpy(ready.rows).to(device), torch.from_numpy(ready.labels).to(device)
    count = affordable_experts(ready, settings, notes)
    wanted = [settings.random_state + i for i in range(settings.seeds if settings.evaluate else 1)]
    made: dict[str, list[Run]] = {name: [] for name in settings.methods}
    seeds: list[int] = []
    for seed in wanted:
        if seeds and progress.stop_requested():
            notes.append(f"Stopped after {len(seeds)} of {len(wanted)} seeds.")
            break
        progress.update(len(seeds), len(wanted), phase="Training experts", unit="seeds")
        experts = {
            hidden: expert_trajectories(
                rows, labels, len(ready.clusters), count=count, epochs=settings.expert_epochs, hidden=hidden, seed=seed
            )
            for hidden in sorted({0 if name == "lgm" else settings.hidden for name in settings.methods})
        }
        for name in settings.methods:
            path = experts[0 if name == "lgm" else settings.hidden]
            listener = _listener(progress, TITLES[name], len(seeds), len(wanted))
            made[name].append(_run(name, rows, labels, path, settings, seed, listener))
        seeds.append(seed)
    return made, seeds


def _listener(progress: Progress, phase: str, seed: int, seeds: int) -> Listener:
    def listen(done: int, total: int, loss: float) -> None:
        if done % 10 == 0 or done == total:
            progress.update(seed * total + done, seeds * total, phase=phase, unit="steps", loss=loss)

    return listen


def _run(
    name: str,
    rows: torch.Tensor,
    labels: torch.Tensor,
    path: Sequence[Head],
    settings: DistilSettings,
    seed: int,
    listener: Listener,
) -> Run:
    own = labels.cpu().numpy()
    free: torch.Tensor | None = None
    frozen = np.zeros(0, dtype=bool)
    if name == "selmatch":
        alpha, beta = resolve(settings.images_per_class, settings.alpha, settings.beta)
        window = select_window(
            difficulty(path, rows, labels), own, images_per_class=settings.images_per_class, alpha=alpha, beta=beta
        )
        chosen, free = window.chosen, torch.from_numpy(window.free)
        frozen = ~np.isin(np.arange(len(chosen)), window.free)
    else:
        chosen = baselines.random_rows(own, settings.images_per_class, seed=seed)
        frozen = np.zeros(len(chosen), dtype=bool)
    start, start_labels = rows[torch.from_numpy(chosen)], labels[torch.from_numpy(chosen)]
    if name == "lgm":
        made = match_gradients(
            start, start_labels, rows, labels, path,
            epochs=settings.distill_epochs, step=settings.distill_lr, seed=seed, listener=listener,
        )  # fmt: skip
    elif free is not None and len(free) == 0:
        return Run(start.cpu().numpy(), start.cpu().numpy(), own[chosen], frozen, [])
    else:
        n = len(rows)
        made = match_trajectories(
            start, start_labels, path,
            epochs=settings.distill_epochs, step=settings.distill_lr, inner_steps=settings.inner_epochs,
            match_epochs=settings.match_epochs, expert_steps=min(math.ceil(n / max(16, min(256, n // 32))), 200),
            seed=seed, free=free, listener=listener,
        )  # fmt: skip
    return Run(start.cpu().numpy(), made.rows.cpu().numpy(), own[chosen], frozen, made.losses)


def score_everything(
    ready: Prepared,
    settings: DistilSettings,
    made: Mapping[str, Sequence[Run]],
    seeds: Sequence[int],
    nearest: Mapping[str, Rows],
    notes: list[str],
) -> tuple[dict[str, Any], str]:
    """Measure full data, every method and every baseline with the same classifier recipe.

    Returns
    -------
    (results, chosen)
        The "full", "distilled" and "baselines" parts of results.json, and the method with the best
        agreement on the training split.
    """
    judge = Judge(
        ready.rows, ready.labels, ready.test_rows, ready.test_truth, ready.mapping,
        settings.evaluation_updates, settings.hidden, choose_device(settings.device),
    )  # fmt: skip
    full = summary(judge.score(ready.rows, ready.labels, seeds)[0])
    distilled: dict[str, dict[str, Any]] = {}
    agreement: dict[str, float] = {}
    for name, runs in made.items():
        accuracy, agrees = judge.score(np.stack([r.rows for r in runs]), np.stack([r.labels for r in runs]), seeds)
        agreement[name] = float(agrees.mean())
        near = np.searchsorted(ready.train, nearest[name])
        distilled[name] = _entry(accuracy, agrees, full["mean"]) | {
            "nearest_images": summary(judge.score(ready.rows[near], runs[0].labels, seeds)[0])
        }
    scored: dict[str, dict[str, Any]] = {}
    for name, build in _baselines(ready, settings.images_per_class, seeds).items():
        accuracy, agrees = judge.score(*build(), seeds)
        scored[name] = _entry(accuracy, agrees, full["mean"])
    chosen = max(agreement, key=lambda name: agreement[name])
    best = max(scored, key=lambda name: scored[name]["agreement"])
    if scored[best]["agreement"] >= agreement[chosen]:
        notes.append(
            f"{TITLES[best]} needs no training and agrees with the pseudo-labels at least as well "
            f"({scored[best]['agreement']:.3f} against {agreement[chosen]:.3f})."
        )
    return {"full": full, "distilled": distilled, "baselines": scored}, chosen


def _entry(accuracy: NDArray[np.float64], agrees: NDArray[np.float64], full: float) -> dict[str, Any]:
    retention = float(accuracy.mean()) / full if full > 0 else float("nan")
    return summary(accuracy) | {"retention": retention, "agreement": float(agrees.mean())}


def _baselines(ready: Prepared, per_class: int, seeds: Sequence[int]) -> dict[str, Callable[[], tuple[Vectors, Rows]]]:
    """Return each baseline as a function that builds ((n, d) or (S, n, d) rows, labels)."""
    rows, labels = ready.rows, ready.labels

    def chosen(picked: Rows) -> tuple[Vectors, Rows]:
        return rows[picked], labels[picked]

    def per_seed() -> tuple[Vectors, Rows]:
        built = [baselines.kmeans_centers(rows, labels, per_class, seed=seed) for seed in seeds]
        return np.stack([b[0] for b in built]), np.stack([b[1] for b in built])

    return {
        "random": lambda: chosen(np.stack([baselines.random_rows(labels, per_class, seed=s) for s in seeds])),
        "centroid": lambda: baselines.centroids(rows, labels),
        "kmeans": per_seed,
        "herding": lambda: chosen(baselines.herding(rows, labels, per_class)),
    }
