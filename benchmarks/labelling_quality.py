"""Simulated persons label sets of known truth from clusterings of several seeds: their clicks, beside baselines.

    python -m benchmarks.labelling_quality digits FILE.npz FOLDER ... [--methods kmeans] [--clusters 20] [--seeds 3]
                                           [--error-rates 0 .02 .05]

A FILE or FOLDER holds vectors and labels, as `python -m engine run --save-features` writes them; digits are those of
scikit-learn as 64 pixels. Medians over the seeds, each with another clustering and another person.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np

from engine.clustering.registry import find_method
from engine.core.files import content_id
from engine.core.vectors import Vectors, unit
from engine.geometry.neighbors import build_graph
from engine.images.vectors import read_features
from engine.labels.simulate.ways import GUIDED, Labelling, SimulateSettings, simulate


def main() -> None:
    """Print a line for each set, method, error rate and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--methods", nargs="+", default=["kmeans"])
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--error-rates", type=float, nargs="+", default=[0.0])
    asked = parser.parse_args()
    print(
        "set, method, error rate, way: clicks to 90% at 95%, right per click then, end (clicks precision recall), looks"
    )
    for name in asked.sets:
        vectors, truth = load(name)
        contents = np.array([content_id(str(row).encode()) for row in range(len(vectors))], "S16")
        graph = build_graph(vectors)
        for rate in asked.error_rates:
            for number, method in enumerate(asked.methods):
                found: list[Labelling] = []
                began = time.process_time()
                for seed in range(asked.seeds):
                    entry = find_method(method)
                    known = {"n_clusters": asked.clusters, "random_state": seed}
                    values = {one: value for one, value in known.items() if one in entry.settings_class.model_fields}
                    base = entry.build(entry.settings_class.parse(values)).fit(vectors).labels_.astype(np.int32)
                    settings = SimulateSettings(error_rate=rate, baselines=number == 0)
                    found += simulate(contents, vectors, graph, base, truth, settings=settings, first_seed=seed)
                for way in dict.fromkeys(one.way for one in found):
                    label = method if way == GUIDED else "-"
                    print(f"{Path(name).stem} {label} {rate:g} {line(way, [one for one in found if one.way == way])}")
                print(f"    {time.process_time() - began:.0f} processor seconds", flush=True)


def load(name: str) -> tuple[Vectors, list[str | None]]:
    """Return unit vectors and truth of a set."""
    if name == "digits":
        from sklearn.datasets import load_digits

        pixels, classes = load_digits(return_X_y=True)
        return unit(pixels.astype(np.float32)), [f"digit {one}" for one in classes]
    found = read_features(Path(name))
    if found.labels is None:
        raise SystemExit(f"{name} holds no labels.")
    return unit(found.vectors), list(found.labels)


def line(way: str, found: list[Labelling]) -> str:
    """Return medians of several labellings as text, the range of the clicks in brackets."""
    reached = sorted(one.curve.clicks_to() or 10**9 for one in found)
    middle = int(median(reached))
    rates = [one.curve.right_per_click() for one in found]
    ends = [one.curve.points[-1] for one in found]
    end = f"{median(p.clicks for p in ends):.0f} {median(p.precision for p in ends):.3f}"
    recall = median(one.curve.recall(p) for one, p in zip(found, ends, strict=True))
    shown = ", ".join("never" if one == 10**9 else f"{one:,}" for one in (reached[0], reached[-1]))
    words = "never" if middle >= 10**9 // 2 else f"{middle:,}"
    return (
        f"{way}: {words} [{shown}], {median(rates):.2f} per click, end {end} {recall:.3f}, "
        f"{median(one.count.looks for one in found):,.0f} looks, "
        f"{median(one.count.decisions for one in found):,.0f} answers"
    )


if __name__ == "__main__":
    main()
