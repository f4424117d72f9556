"""A vote of several clusterings beside its members, on sets whose classes are known; is its confidence honest?

`python -m benchmarks.bench_consensus --data FOLDER`. For each set and seed: six ways to cluster into as many clusters
as there are classes, their vote, and the member with the best generalisation score, which is what a ranking without
truth would take. Then the reliability of the confidence in ten bins, over all sets, and settled images beside all. With
`--sweep`: the fast sweep's winner with and without its last candidate, all of them together.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.known_sets import known_sets
from engine.clustering.registry import find_method
from engine.evaluation.agreement import ari, match
from engine.evaluation.consensus import NAME, combine, consensus, vote_weights
from engine.evaluation.generalisation import LinearProbe
from engine.geometry.neighbors import build_graph
from engine.selection.sweep.runner import Sweep
from engine.selection.sweep.settings import SweepSettings

SETS = (
    "digits pixels, 10",
    "digits descriptor, 10",
    "sign_digits mobilenet, 10",
    "sign_digits photo, 10",
    "clothing_341 mobilenet, 10",
    "clothing_341 photo, 10",
    "clothing_341 photo, 6",
)
WAYS = (
    ("kmeans", {"n_init": 1}),
    ("kmeans", {"reduce": "umap-10"}),
    ("gaussian_mixture", {}),
    ("agglomerative", {}),
    ("agglomerative", {"reduce": "umap-10"}),
    ("spectral", {}),
)


def right(truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each image whether its cluster, matched one to one to the classes, is its class."""
    name = match(truth, labels)
    return np.array([name.get(int(label), -1) for label in labels]) == truth


def votes(sets: dict[str, Callable], seeds: int, cache: Path) -> None:
    """Print the table of votes, then the reliability of their confidence."""
    sure, hits = [], []
    print(f"{'set':28} {'mean':>6} {'best':>6} {'ranked':>6} {'vote':>6}   accuracy all, settled (share)")
    for name in SETS:
        if name not in sets:
            continue
        x, truth = sets[name]()
        graph, probe, figures = build_graph(x), LinearProbe(x), []
        for seed in range(seeds):
            members = []
            for way, values in WAYS:
                fields = find_method(way).settings_class.model_fields
                wanted = {"n_clusters": int(truth.max()) + 1, "random_state": seed} | values
                known = {key: value for key, value in wanted.items() if key in fields}
                estimator = find_method(way).build(find_method(way).settings_class.parse(known))
                estimator.cache = cache
                members.append(estimator.fit(x, neighbors=graph if estimator.wants_graph else None).labels_)
            learned = [probe.measure(labels).score for labels in members]
            found = combine(members, weights=vote_weights(learned), graph=graph)
            settled, correct = consensus(members, graph).groups >= 0, right(truth, found.labels)
            aris = [ari(truth, labels) for labels in members]
            inside = correct[settled].mean() if settled.any() else np.nan
            figures.append(
                [
                    np.mean(aris),
                    max(aris),
                    aris[int(np.argmax(learned))],
                    ari(truth, found.labels),
                    correct.mean(),
                    inside,
                    settled.mean(),
                ]
            )
            sure.append(found.confidence)
            hits.append(correct)
        mean, best, ranked, vote, everything, inside, share = np.nanmean(figures, axis=0)
        print(
            f"{name:28} {mean:6.3f} {best:6.3f} {ranked:6.3f} {vote:6.3f}   "
            f"{everything:.3f}, {inside:.3f} ({share:.0%})"
            + ("" if vote > ranked else "   the vote adds nothing to the ranking")
            + ("" if inside >= everything + 0.05 else "   settled is not 5 points more accurate"),
            flush=True,
        )
    confidence, correct = np.concatenate(sure), np.concatenate(hits)
    print("\nconfidence   images   accuracy")
    place = np.minimum((confidence * 10).astype(int), 9)
    for low in range(10):
        inside = place == low
        if inside.any():
            print(f"{low / 10:.1f} to {low / 10 + 0.1:.1f}  {inside.sum():>7,}      {correct[inside].mean():.3f}")


def sweeps(sets: dict[str, Callable], seeds: int) -> None:
    """Print the fast sweep's winner with and without the vote of all."""
    print(f"\n{'set':28} {'best':>6} {'winner':>6} {'without':>7} {'vote':>6}   rank of the vote")
    for name in SETS:
        if name not in sets:
            continue
        x, truth = sets[name]()
        figures, ranks = [], []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                result = Sweep(SweepSettings(mode="fast", random_state=seed)).run(x, output_dir=Path(folder))
                rows = {row.rank: ari(truth, np.load(row.labels)) for row in result.ranked if row.labels}
                vote = next((row for row in result.ranked if row.algorithm == NAME), None)
                first = next(row.rank for row in result.ranked if row.algorithm != NAME)
                best = max(rows[row.rank] for row in result.ranked if row.algorithm != NAME)
                figures.append([best, rows[1], rows[first], rows[vote.rank] if vote else np.nan])
                ranks.append(str(vote.rank) if vote else "-")
                told = " ".join(result.why)
        best, winner, without, vote_ari = np.nanmean(figures, axis=0)
        print(
            f"{name:28} {best:6.3f} {winner:6.3f} {without:7.3f} {vote_ari:6.3f}   {', '.join(ranks)}   {told}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with the *_mobilenetv2.npz and the photographs"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sweep", action="store_true", help="also sweep each set")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = known_sets(given.data)
    with tempfile.TemporaryDirectory() as cache:
        votes(sets, given.seeds, Path(cache))
    if given.sweep:
        sweeps(sets, given.seeds)


if __name__ == "__main__":
    main()
