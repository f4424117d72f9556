"""The figures that a GPU changes, one line of JSON each: neighbours, k-means, mixture, encoder, training steps.

    make bench-gpu                                   # or: python -m benchmarks.gpu_set [--output FILE]
    python -m benchmarks.gpu_set --small --device cpu    # the same code on a machine without a GPU, small sizes

Each line names what was measured, on which machine, with which versions, the seconds, and the ratio to an alternative:
the processor of the same machine, or for a training step the same step with `reproducible` on. Without a GPU one
sentence says so, nothing is measured and the status is 2.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clustered_vectors import clustered
from benchmarks.machine import add_device, chosen, machine, seconds, versions
from engine.clustering.device_kmeans import rounds
from engine.clustering.gaussian_mixture import GaussianMixtureSettings, Mixture
from engine.clustering.registry import find_method
from engine.core.device import accelerator
from engine.core.progress import Silent
from engine.embeddings.encoders.registry import find_encoder
from engine.geometry.neighbors import build_graph

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Sizes:
    """How much is measured: rows and columns of vectors, images, clusters, steps of a training."""

    rows: int = 50_000
    columns: int = 768
    images: int = 10_000
    clusters: int = 100
    steps: int = 200


SMALL = Sizes(rows=600, columns=16, images=64, clusters=4, steps=6)
STEPS: dict[str, dict[str, Any]] = {
    "temi": {},
    "cludi": {"n_samples": 4, "prediction_steps": 4},
    "cpp": {},
    "turtle": {},
    "hadis": {},
}


class StepTimes(Silent):
    """Hears of a training's steps, notes when each report came, and ends it after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps, self.reports = steps, list[tuple[float, float]]()

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Note a report of the training; a report has read the losses, so the device has done these steps."""
        if phase == "training":
            self.reports.append((time.perf_counter(), done))

    def stop_requested(self) -> bool:
        """Return whether enough steps were made."""
        return bool(self.reports) and self.reports[-1][1] >= self.steps

    @property
    def seconds(self) -> float:
        """Seconds of a step, over the second half of the reports."""
        half = self.reports[len(self.reports) // 2 :]
        return (half[-1][0] - half[0][0]) / (half[-1][1] - half[0][1])


def figures(sizes: Sizes, device: torch.device) -> Iterator[dict[str, Any]]:
    """Yield one figure after another."""
    x, truth = clustered(sizes.rows, sizes.columns, 2 * sizes.clusters)
    start, name = x[:: len(x) // sizes.clusters][: sizes.clusters], str(device)
    shape = f"{sizes.rows:,} x {sizes.columns}"

    def beside_cpu(what: str, work: Callable[[torch.device], object], unit: str = "seconds") -> dict[str, Any]:
        own, other = (seconds(lambda on=on: work(on), on, repeats=3) for on in (device, CPU))
        return {"what": what, unit: own, "alternative": "the processor", "ratio": other / own}

    yield beside_cpu(f"neighbour graph, {shape}", lambda on: build_graph(x, device=str(on)))
    yield beside_cpu(
        f"k-means, {shape}, K {sizes.clusters}, 25 rounds",
        lambda on: rounds(x, start, spherical=True, max_iter=25, device=str(on)),
    )
    mixtures = {}
    for on in (device, CPU):
        mixtures[on] = Mixture(x, GaussianMixtureSettings(n_clusters=sizes.clusters, device=str(on)))
        mixtures[on].start(x, (truth % sizes.clusters).astype(np.int32))
    yield beside_cpu(f"round of a Gaussian mixture, {shape}, K {sizes.clusters}", lambda on: mixtures[on].step(x))
    mixtures.clear()
    entry = find_encoder("photo")
    encoders = {on: entry.build(entry.settings_class(), device=str(on)) for on in (device, CPU)}
    side = encoders[device].side
    squares = np.random.default_rng(0).integers(0, 256, (min(256, sizes.images // 8), side, side, 3), dtype=np.uint8)
    yield beside_cpu(f"encoding {len(squares)} images, photo", lambda on: encoders[on].encode(squares))
    pictures = np.random.default_rng(0).integers(0, 256, (sizes.images, 32, 32, 3), dtype=np.uint8)
    for method, values in STEPS.items():
        found = find_method(method)
        taken = {}
        for reproducible in ("off", "on"):
            given = values | {"n_clusters": sizes.clusters, "device": name, "reproducible": reproducible}
            listener = StepTimes(sizes.steps)
            settings = found.settings_class.parse(given | {"n_epochs": 1000} if found.takes == "images" else given)
            found.build(settings).fit(pictures if found.takes == "images" else x, progress=listener)
            taken[reproducible] = listener.seconds
        what = f"training step of {found.title}, {f'{sizes.images:,} images of 32 px' if method == 'hadis' else shape}"
        yield {"what": what, "seconds": taken["off"], "alternative": "the same, reproducible"} | {
            "ratio": taken["on"] / taken["off"]
        }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_device(parser)
    parser.add_argument("--small", action="store_true", help="small sizes, which say nothing but that it runs")
    parser.add_argument("--output", type=Path, help="also append the lines to this file")
    given = parser.parse_args()
    if given.device == "auto" and accelerator() is None:
        print(
            "There is no GPU here, so nothing was measured. "
            "`python -m benchmarks.gpu_set --small --device cpu` runs the same code in small.",
            file=sys.stderr,
        )
        return 2
    device = chosen(given)
    about = {"device": str(device), "machine": machine(device), "versions": versions(), "small": given.small}
    for figure in figures(SMALL if given.small else Sizes(), device):
        line = json.dumps(figure | about)
        print(line, flush=True)
        if given.output:
            with given.output.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
