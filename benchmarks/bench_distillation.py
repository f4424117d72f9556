"""The images that each method of distillation names, compared in true accuracy: digits and photographs.

    python -m benchmarks.bench_distillation --sets "sign_digits photo" "clothing_341 photo" digits \
        --labels truth kmeans clean --images-per-class 1 10

A classifier learns from the images (1,000 updates) and is measured on test images that nothing was learned from: mean
and standard deviation over `--splits` splits, by what a person says they are. The labels that are distilled: "truth",
as a person would give them; "kmeans", clusters; "clean", those clusters without the images that have another cluster
among their ten nearest. "rows" is the accuracy from the rows that a method makes, which need not be images; "agreement"
is how many training labels the classifier of the images gets right, by which the command chooses. The sets are those
of deep_quality: "photo" is by the built-in encoder.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.deep_quality import load
from engine.core.ids import pack
from engine.core.vectors import unit
from engine.distillation.distil import distil
from engine.distillation.settings import TITLES, DistilSettings
from engine.geometry.neighbors import build_graph
from engine.images.splits import stratified_split

NEAREST = 10


def given_labels(kind: str, vectors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the labels that are distilled, -1 where there is none."""
    if kind == "truth":
        return truth
    from sklearn.cluster import KMeans

    found = KMeans(len(np.unique(truth)), n_init=10, random_state=0).fit_predict(unit(vectors))
    if kind == "clean":
        near = build_graph(vectors).indices[:, :NEAREST]
        found = np.where((found[near] == found[:, None]).all(axis=1), found, -1)
    return found


def split(truth: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows, a fifth of each class."""
    order = np.random.default_rng(seed).permutation(len(truth))
    return stratified_split(pack(int(one).to_bytes(16, "big") for one in order), truth, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images-per-class", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--labels", choices=["truth", "kmeans", "clean"], nargs="+", default=["kmeans"])
    parser.add_argument("--sets", nargs="+", default=["digits", "clothing_341"])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--preset", choices=list(DistilSettings.presets), default="balanced")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    for name in given.sets:
        found = load(name, given.data)
        if found is None:
            continue
        vectors, truth = found
        for kind in given.labels:
            labels = given_labels(kind, vectors, truth)
            for count in given.images_per_class:
                compare(name, kind, count, vectors, labels, truth, given)


def compare(
    name: str,
    kind: str,
    count: int,
    vectors: np.ndarray,
    labels: np.ndarray,
    truth: np.ndarray,
    given: argparse.Namespace,
) -> None:
    """Print the accuracies of all methods on one set."""
    entries: dict[str, list[tuple[float, float, float]]] = {}
    full, chosen, began = [], [], time.process_time()
    for seed in range(given.splits):
        train, test = split(truth, seed)
        settings = DistilSettings(preset=given.preset, images_per_class=count, seeds=3, random_state=seed)
        results = distil(vectors, labels, truth=truth, train=train, test=test, settings=settings).results
        full.append(results["full"]["mean"])
        chosen.append(results["chosen"])
        for method, entry in (results["distilled"] | results["baselines"]).items():
            near = entry["nearest_images"]
            entries.setdefault(method, []).append((near["mean"], near["agreement"], entry["mean"]))
    print(
        f"{name} {vectors.shape} labels={kind} ({np.mean(labels >= 0):.0%} of the images), {count} per class: "
        f"full {np.mean(full):.3f}, kept {', '.join(chosen)}, {(time.process_time() - began) / given.splits:.0f} CPU s"
    )
    for method, values in sorted(entries.items(), key=lambda item: -np.mean([one[0] for one in item[1]])):
        mean, spread = np.mean(values, axis=0), np.std(values, axis=0)
        print(
            f"    {TITLES[method]:26s} images {mean[0]:.3f} ({spread[0]:.3f})  agreement {mean[1]:.3f}  "
            f"rows {mean[2]:.3f} ({spread[2]:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
