"""Whether the chances of labels that spread are true: on known sets, with a few images labelled at random.

    python -m benchmarks.spread_quality

Prints for each set and number of labelled images: how many of the rest are proposed the right label; the mean distance
of chance and truth over ten bins (expected calibration error), for the walks' share and for the checked chance; and how
many images are offered at a chance of 90% or more, and how many of those are right. Means over the seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.deep_quality import NPZ, PHOTOGRAPHS, load
from engine.geometry.neighbors import build_graph
from engine.labels.calibration import calibrate
from engine.labels.propagation import propagate

BINS = 10


def calibration_error(chance: np.ndarray, right: np.ndarray) -> float:
    """Return the mean over bins of |mean chance - share right|, weighted by the bins' sizes."""
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    inside = [bins == number for number in range(BINS) if (bins == number).any()]
    return float(sum(part.mean() * abs(chance[part].mean() - right[part].mean()) for part in inside))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--labelled", type=int, nargs="+", default=[40, 120, 400])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    for name in ("digits", *NPZ, *PHOTOGRAPHS):
        found = load(name, arguments.data)
        if found is None:
            continue
        vectors, truth = found
        graph = build_graph((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
        for count in arguments.labelled:
            if count > len(truth) // 2:
                continue
            rows = []
            for seed in range(arguments.seeds):
                picked = np.random.default_rng(seed).choice(len(truth), count, replace=False)
                labels = np.full(len(truth), -1)
                labels[picked] = truth[picked]
                spread = propagate(graph, labels)
                curve = calibrate(graph, labels, presumed=np.full(len(truth), -1))
                rest = ~spread.given & (spread.labels >= 0)
                right, share = (spread.labels == truth)[rest], spread.confidence[rest]
                chance = share if curve is None else curve(spread.margin[rest])
                sure = chance >= 0.9
                rows.append(
                    (
                        right.mean(),
                        calibration_error(share, right),
                        calibration_error(chance, right),
                        (share >= 0.9).mean(),
                        sure.mean(),
                        right[sure].mean() if sure.any() else np.nan,
                    )
                )
            proposed, before, after, offered_before, offered, hits = np.nanmean(rows, axis=0)
            print(
                f"{name:20} {count:4} labelled: {proposed:6.1%} right; error {before:.3f} -> {after:.3f}; "
                f"offered at 90% {offered_before:6.1%} -> {offered:6.1%}, of which {hits:6.1%} right",
                flush=True,
            )


if __name__ == "__main__":
    main()
