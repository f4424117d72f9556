"""Deep methods warm, cold and by their papers' settings on 10,000 photographs, with the curve of the training.

    apt-get install dataset-fashion-mnist
    python -m benchmarks.paper_quality --methods cpp temi four_term turtle cludi hadis --modes warm cold paper

The set is the test part of Fashion-MNIST: 10,000 grey product photographs of 28 x 28 pixels in ten classes, which
Debian ships below /usr/share/datasets; the vectors are the built-in photo encoder's, kept in `--vectors` for the next
call. `paper` is the preset of that name, cold; `warm` and `cold` are the preset data with and without its warm start.

Rows of the curve, at most ten for `--minutes` of processor time and never more than twenty: steps made, mean loss since
the row before, and accuracy, NMI and ARI of the labels as they stood. A training that has used its minutes, or that is
told to end (SIGTERM), ends there and is labelled as it stands; its last line says after how many of its epochs. The
schedule of the learning rate stays that of the whole training.
"""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.known_sets import encoded
from engine.clustering.deep import trainer
from engine.clustering.registry import find_method
from engine.core.labels import Labels
from engine.core.vectors import unit
from engine.evaluation.agreement import accuracy, ari, nmi
from engine.geometry.neighbors import build_graph
from engine.geometry.projection import fit_pca
from engine.images.sets.fashion_mnist import fashion_mnist

ROWS = 10
REFERENCES = ("kmeans", "umap-10+kmeans")
# HaDis trains a network of its own and makes no warm start; a thousand passes would take days on a processor.
FEW_EPOCHS = {"hadis": {"n_epochs": 16}}
# Prediction alone, which is no part of the training: 64 samples of 50 steps would take hours.
FEW_SAMPLES = {"cludi": {"n_samples": 4, "prediction_steps": 10}}


class Curve:
    """Prints rows of the curve and ends a training that has used its processor time."""

    def __init__(self, truth: NDArray[np.int64], minutes: float) -> None:
        self.truth, self.began, self.seconds = truth, time.process_time(), 60 * minutes
        self.step = self.total = self.shown = 0
        self.next_at = 0.0
        self.stopped = False
        self.losses: list[float] = []

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        if phase == "training":
            self.step, self.total = int(done), int(total)
            self.losses.append(metrics["loss"])

    def say(self, sentence: str) -> None:
        print(f"    {sentence}", flush=True)

    def end(self, *_: object) -> None:
        self.seconds = 0.0

    @property
    def spent(self) -> float:
        return time.process_time() - self.began

    def stop_requested(self) -> bool:
        self.stopped = self.spent > self.seconds
        return self.stopped

    def snapshot(self, labels: Labels) -> None:
        """Print a row, unless the last one is nearer than a tenth of the minutes and a twentieth of the steps."""
        due = self.spent >= self.next_at or self.step - self.shown >= self.total / 20
        if not due and self.step < self.total:
            return
        loss = np.mean(self.losses[self.shown :]) if self.step > self.shown else np.nan
        three = " / ".join(map("{:.3f}".format, scores(self.truth, labels)))
        print(f"    step {self.step:5d} of {self.total}  loss {loss:9.4f}  {three}", flush=True)
        self.shown, self.next_at = self.step, self.spent + self.seconds / ROWS


def scores(truth: NDArray[np.int64], labels: Labels) -> tuple[float, float, float]:
    return accuracy(truth, labels), nmi(truth, labels), ari(truth, labels)


def load(data: Path, kept: Path, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """Return the first `count` test images (n, 28, 28, 3), their vectors (n, d) and classes (n,)."""
    part = next(part for part in fashion_mnist(data)._load()[0] if part.split == "test")
    images = np.repeat(part.images[:count, :, :, None], 3, axis=3)
    if kept.exists() and len(found := np.load(kept, allow_pickle=False)) >= len(images):
        return images, found[:count], part.labels[:count]
    vectors = encoded("photo", images)
    np.save(kept, vectors)
    return images, vectors, part.labels[:count]


def build(method: str, mode: str, seed: int, changes: dict[str, str]) -> Any:  # noqa: ANN401 - any method's estimator
    """Return the estimator of a row of the table."""
    entry = find_method("kmeans" if method in REFERENCES else method)
    values: dict[str, Any] = {"n_clusters": 10, "random_state": seed}
    if method == "umap-10+kmeans":
        values["reduce"] = "umap-10"
    elif mode == "paper":
        values |= {"preset": "paper"} | FEW_EPOCHS.get(method, {}) | FEW_SAMPLES.get(method, {}) | changes
    elif mode == "cold" and method != "hadis":
        values |= {"warm_start": "none"} | changes
    elif mode == "warm" and method == "turtle":
        values |= {"warm_start": "graph"} | changes
    estimator = entry.build(entry.settings_class.parse(values))
    if method == "cpp":
        watch_cpp(estimator)
    return estimator


def watch_cpp(estimator: Any) -> None:  # noqa: ANN401 - a CPP
    """Let CPP show its labels while it trains: those of the spectral clustering that it makes at the end."""
    from engine.clustering.deep.cpp.labels import spectrum
    from engine.clustering.deep.cpp.task import encode

    make = estimator._task

    def task(*given: Any) -> Any:  # noqa: ANN401
        made = make(*given)
        settings = estimator.resolved_

        def labels(run: trainer.Trainer) -> Labels:
            codes = encode(run.model, made.features)[1]
            leading = spectrum(codes, settings.n_clusters, eta=settings.eta, random_state=settings.random_state)
            return leading.labels(settings.n_clusters, settings.random_state)

        made.labels = labels
        return made

    estimator._task = task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=["cpp", "temi", "four_term", "turtle", "cludi", "hadis"])
    parser.add_argument("--modes", nargs="+", choices=["warm", "cold", "paper"], default=["warm", "cold", "paper"])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=30, help="processor time of one training at most")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets"), help="where fashion-mnist lies")
    parser.add_argument("--vectors", type=Path, default=Path("fashion-mnist-photo.npy"))
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="changed settings of the methods")
    parser.add_argument("--axes", type=int, help="train on so many leading principal axes of the vectors")
    parser.add_argument("--no-references", action="store_true", help="only the methods named")
    given = parser.parse_args()
    changes = dict(text.split("=", 1) for text in given.set)
    trainer.SNAPSHOTS = 1_000_000  # a look after each step, as far as looking takes a tenth of the training
    images, vectors, truth = load(given.data, given.vectors, given.images)
    print(
        f"fashion-mnist, test: {vectors.shape[0]:,} x {vectors.shape[1]}, {len(np.unique(truth))} classes", flush=True
    )
    if given.axes:
        vectors = fit_pca(vectors, given.axes, normalise=True)(unit(vectors))
    graph = build_graph(vectors)
    wanted = [] if given.no_references else [(name, "") for name in REFERENCES]
    wanted += [(method, mode) for mode in given.modes for method in given.methods]
    for method, mode in wanted:
        if method == "hadis" and mode == "cold":
            continue
        began, curve = time.process_time(), Curve(truth, given.minutes)
        estimator = build(method, mode, given.seed, changes)
        signal.signal(signal.SIGTERM, curve.end)
        name = f"{method} {mode}".strip()
        if method in REFERENCES:
            estimator.fit(vectors, neighbors=graph)
        else:
            print(f"  {name}:", flush=True)
            estimator.fit(images if method == "hadis" else vectors, neighbors=graph, progress=curve)
        found = "  ".join(map("{} {:.3f}".format, ("ACC", "NMI", "ARI"), scores(truth, estimator.labels_)))
        made = ""
        if curve.total:
            per_epoch = max(1, len(truth) // estimator.resolved_.batch_size)
            done, whole = curve.step / per_epoch, curve.total // per_epoch
            made = f"{'stopped after' if curve.stopped else 'ended after'} {done:.1f} of {whole} epochs, "
        print(f"  {name:17s} {found}  {made}{(time.process_time() - began) / 60:.1f} CPU minutes", flush=True)


if __name__ == "__main__":
    main()
