"""How long a distillation will take on this machine: a few steps of each part are made and timed, and multiplied.

Numbers of images, columns and classes flow in with the settings; seconds flow out. Needs torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from engine.core.device import choose_device
from engine.core.vectors import Vectors
from engine.distillation.gradient_matching import REAL_ROWS, match_gradients
from engine.distillation.heads import Head, expert_schedule, gradient, initial_heads, train_classifiers
from engine.distillation.ridge import ridge_rows, tries
from engine.distillation.settings import BASELINES, DistilSettings
from engine.distillation.trajectory_matching import match_trajectories
from engine.geometry.projection import fit_pca

STEPS = 3
SAMPLE = 1000
# Passes that a try of ridge selection makes, most often, until nothing changes.
USUAL_PASSES = 4


def seconds_needed(settings: DistilSettings, n: int, columns: int, classes: int) -> float:
    """Return about how long `distil` takes with `n` training images of `columns` numbers in `classes` classes."""
    settings = settings.resolved()
    return _Probe(settings, n, columns, max(classes, 2)).total()


class _Probe:
    """Random rows of the shapes of a distillation, and the seconds that its parts take on them."""

    def __init__(self, settings: DistilSettings, n: int, columns: int, classes: int) -> None:
        self.settings, self.n, self.columns, self.classes = settings, n, columns, classes
        self.device = choose_device(settings.device)
        self.seeds = list(range(settings.seeds if settings.evaluate else 1))
        self.width = min(settings.n_components, columns, n)
        self.generator = np.random.default_rng(0)
        few = min(n, REAL_ROWS)
        self.rows, self.labels = self._random(few, self.width), np.arange(few) % classes
        self.kept = min(settings.images_per_class * classes, few)
        self.real = torch.from_numpy(self.rows).to(self.device)
        self.own = torch.from_numpy(self.labels).to(self.device)

    def total(self) -> float:
        """Return the seconds of all parts."""
        some = min(self.n, SAMPLE)
        sample = self._random(some, self.columns)
        found = timed(lambda: fit_pca(sample, self.width)) * self.n / some
        if "ridge" in self.settings.methods:
            found += self._ridge()
        matching = [name for name in self.settings.methods if name != "ridge"]
        if matching:
            found += self._experts() + sum(self._matching(name) for name in matching)
        return found + (self._measuring(len(self.settings.methods) + len(BASELINES)) if self.settings.evaluate else 0)

    def _random(self, count: int, width: int) -> Vectors:
        rows: Vectors = self.generator.normal(scale=width**-0.5, size=(count, width)).astype(np.float32)
        return rows

    def _ridge(self) -> float:
        """Time the choice of one image of each class."""
        one = timed(lambda: ridge_rows(self.rows, self.labels, 1, ridge=self.settings.ridge, seed=0, passes=0))
        larger = min(self.n / len(self.rows), 2)
        made = tries(self.settings.starts, self.kept)
        return one * larger * self.settings.images_per_class * made * (1 + USUAL_PASSES)

    def _heads(self, count: int, hidden: int) -> Head:
        return initial_heads(count, self.width, self.classes, hidden=hidden, seed=0, device=self.device)

    def _experts(self) -> float:
        """Time steps of the experts of all seeds."""
        size, steps = expert_schedule(self.n)
        heads = self._heads(self.settings.n_experts * len(self.seeds), self.settings.hidden)
        picked = torch.randint(len(self.real), (len(heads[0]), size)).to(self.device)

        def step() -> None:
            gradient(heads, self.real[picked], self.own[picked], keep_graph=False)

        return repeated(step) * self.settings.expert_epochs * steps

    def _matching(self, name: str) -> float:
        """Time outer steps of a matching method, for all seeds."""
        hidden = 0 if name == "lgm" else self.settings.hidden
        epochs, heads = 2 * self.settings.match_epochs + 1, STEPS * len(self.seeds)
        path = tuple(part.unflatten(0, (epochs, heads)) for part in self._heads(epochs * heads, hidden))
        start = self.real[: self.kept].expand(len(self.seeds), -1, -1)
        labels, step = self.own[: self.kept], self.settings.distill_lr

        def work() -> None:
            if name == "lgm":
                match_gradients(start, labels, self.real, self.own, path, seeds=self.seeds, epochs=1, step=step)
                return
            match_trajectories(
                start,
                labels,
                path,
                seeds=self.seeds,
                epochs=1,
                step=step,
                inner_steps=self.settings.inner_epochs,
                match_epochs=self.settings.match_epochs,
                expert_steps=1,
            )

        return repeated(work) / STEPS * self.settings.distill_epochs * self.settings.n_experts

    def _measuring(self, sets: int) -> float:
        """Time updates of the classifiers on all images and on the rows and images of every set."""
        stacked = self.real[: self.kept].expand(2 * sets * len(self.seeds), -1, -1).contiguous()
        labels = self.own[: self.kept].expand(len(stacked), -1)

        def work() -> None:
            for rows, own in ((self.real, self.own), (stacked, labels)):
                train_classifiers(
                    rows,
                    own,
                    self.classes,
                    seeds=self.seeds * (2 * sets if rows.ndim == 3 else 1),
                    updates=STEPS,
                    hidden=self.settings.hidden,
                )

        return repeated(work) / STEPS * self.settings.evaluation_updates


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def repeated(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes once it is warm."""
    work()
    return timed(work)
