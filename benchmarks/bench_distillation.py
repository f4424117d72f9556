"""Dataset distillation against its baselines: digits pixels and, where it lies, real features of photographs.

    python -m benchmarks.bench_distillation [--images-per-class 1 10] [--labels kmeans|truth]

Prints test accuracy over five seeds, compression, retention and seconds; pseudo-labels come from k-means
unless --labels truth. The sets are those of deep_quality: "clothing_341 photo" is by the built-in encoder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.deep_quality import load
from engine.core.vectors import unit
from engine.distillation.distil import distil
from engine.distillation.settings import DistilSettings


def pseudo_labels(vectors: np.ndarray, classes: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    return KMeans(classes, n_init=10, random_state=0).fit_predict(unit(vectors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images-per-class", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--labels", choices=["kmeans", "truth"], default="kmeans")
    parser.add_argument("--sets", nargs="+", default=["digits", "clothing_341"])
    parser.add_argument("--distill-epochs", type=int, default=100)
    parser.add_argument("--distill-lr", type=float, default=0.1)
    parser.add_argument("--inner-epochs", type=int, default=10)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    for name in given.sets:
        found = load(name, given.data)
        if found is None:
            continue
        vectors, truth = found
        labels = truth if given.labels == "truth" else pseudo_labels(vectors, len(np.unique(truth)))
        for count in given.images_per_class:
            settings = DistilSettings(
                images_per_class=count,
                distill_epochs=given.distill_epochs,
                distill_lr=given.distill_lr,
                inner_epochs=given.inner_epochs,
            )
            out = distil(vectors, labels, truth=truth, settings=settings)
            r = out.results
            print(
                f"{name} {vectors.shape} labels={given.labels} ipc={count}: full {r['full']['mean']:.3f} "
                f"({r['full']['std']:.3f}), compression {r['compression']:.1f}, chosen {r['chosen']}, "
                f"retention {r['retention']:.3f}, {r['seconds']:.1f} s"
            )
            for kind in ("distilled", "baselines"):
                for method, own in r[kind].items():
                    near = own.get("nearest_images")
                    extra = f", nearest real images {near['mean']:.3f} ({near['std']:.3f})" if near else ""
                    print(
                        f"    {kind:9} {method:10} {own['mean']:.3f} ({own['std']:.3f}) "
                        f"retention {own['retention']:.3f} agreement {own['agreement']:.3f}{extra}"
                    )
            for method, made in out.sets.items():
                first, last = made.losses[:20].mean(), made.losses[-20:].mean()
                print(f"    {method}: matching loss {first:.3f} -> {last:.3f}, moved {made.moved:.2f}")
            print(*(f"    note: {note}" for note in out.notes), sep="\n")


if __name__ == "__main__":
    main()
