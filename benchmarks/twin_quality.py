"""How often two clusters hold the same thing: the nearest ones, and those that "Same thing?" asks about.

    python -m benchmarks.twin_quality --data FOLDER

k-means with 6 to 40 clusters on vectors whose classes are known; two clusters hold the same thing where most images of
both are of one class.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.known_sets import known_sets
from engine.clustering.kmeans import KMeans, KMeansSettings
from engine.core.workspace import Workspace
from engine.geometry.prototypes import prototypes
from engine.labels.around import twins_of
from engine.labels.simulate.desk import scratch_history

SETS = ("digits pixels, 10", *(f"{name}, 10" for name in ("sign_digits mobilenet", "sign_digits photo")))
SETS += tuple(f"{name}, 10" for name in ("clothing_341 mobilenet", "clothing_341 photo"))


def main() -> None:
    """Print for each set how many clusters have a twin, and how many of those hold the same thing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    known = known_sets(parser.parse_args().data)
    print("set                        clusters  nearest the same   asked  of them the same")
    for name in (name for name in SETS if name in known):
        found = np.array(_asked(*known[name]()), bool)
        nearest, asked = found[:, 0], found[:, 1]
        print(f"{name:26s} {len(found):8d}  {nearest.mean():16.2f}  {asked.sum():6d}  {nearest[asked].mean():16.2f}")


def _asked(vectors: np.ndarray, truth: np.ndarray) -> list[tuple[bool, bool]]:
    """Return of each cluster whether the nearest other one holds the same thing, and whether it is asked about."""
    rows: list[tuple[bool, bool]] = []
    contents = np.array([f"{row:016d}" for row in range(len(vectors))], "S16")
    for n_clusters in (6, 8, 10, 12, 16, 20, 30, 40):
        for seed in (0, 1):
            base = KMeans(KMeansSettings(n_clusters=n_clusters, random_state=seed)).fit(vectors).labels_
            found = prototypes(vectors, base)
            with tempfile.TemporaryDirectory() as folder:
                state = scratch_history(Workspace.open(Path(folder))).state(contents, base)
            twins = twins_of(state, found, state.clusters)
            near = found.centers @ found.centers.T
            np.fill_diagonal(near, -np.inf)
            most = [int(np.bincount(truth[base == cluster]).argmax()) for cluster in found.clusters]
            rows += [
                (most[at] == most[int(near[at].argmax())], int(cluster) in twins)
                for at, cluster in enumerate(found.clusters)
            ]
    return rows


if __name__ == "__main__":
    main()
