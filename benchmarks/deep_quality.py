"""Accuracy, NMI and ARI of deep methods by their default presets beside k-means and umap-10 + k-means, over seeds.

    python -m benchmarks.deep_quality --methods temi four_term --sets digits --seeds 5

Prints one line per method and set: the mean and the range over the seeds, the random floor, the wall time, and the
processor time with its multiple of the first line's; and for a method that starts from a clustering a second line: the
ARI of the start and of the end, the generalisation score of both, and the share of the labels that training changed.
The npz sets (vectors, labels) and the photographs, which the built-in encoder embeds, are looked for in `--data`; a set
that is not there is left out and said. `--uneven 20`: the largest class has 20 times as many rows as the smallest.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.known_sets import class_folders, encoded, uneven_rows
from engine.clustering.registry import find_method
from engine.embeddings.encoders.registry import find_encoder
from engine.evaluation.agreement import accuracy, ari, nmi, random_accuracy
from engine.evaluation.generalisation import LinearProbe
from engine.geometry.neighbors import build_graph

NPZ = {"sign_digits": "sign_digits_mobilenetv2.npz", "clothing_341": "clothing_341_mobilenetv2.npz"}
PHOTOGRAPHS = {"sign_digits photo": "sign_digits/Dataset", "clothing_341 photo": "clothing_341"}
REFERENCES = ("kmeans", "umap-10+kmeans")


def load(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    if name == "digits":
        from sklearn.datasets import load_digits

        pixels, truth = load_digits(return_X_y=True)
        return (pixels / 16).astype(np.float32), truth
    if name in PHOTOGRAPHS:
        return embedded(folder / PHOTOGRAPHS[name])
    path = folder / NPZ[name]
    if not path.exists():
        print(f"{name}: {path.name} is not in {folder}, left out")
        return None
    stored = np.load(path, allow_pickle=False)
    return stored["vectors"].astype(np.float32), np.unique(stored["labels"], return_inverse=True)[1]


def embedded(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return vectors of the built-in encoder for a folder of class folders."""
    if not folder.is_dir():
        print(f"{folder.name} is not there, left out")
        return None
    images, truth = class_folders(folder, find_encoder("photo").encoder_class().side)
    return encoded("photo", images), truth


def settings_of(name: str, n_clusters: int, seed: int, changes: dict[str, str]) -> tuple[str, object]:
    """Return (registered method, settings) of a name in the table."""
    method = "kmeans" if name in REFERENCES else name
    values: dict[str, object] = {"n_clusters": n_clusters, "random_state": seed}
    if name == "umap-10+kmeans":
        values["reduce"] = "umap-10"
    if name not in REFERENCES:
        values |= changes
    return method, find_method(method).settings_class.parse(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=["spectral", "temi", "four_term", "cludi", "cpp", "turtle"])
    parser.add_argument("--sets", nargs="+", default=["digits", *NPZ, *PHOTOGRAPHS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="changed settings of the deep methods"
    )
    parser.add_argument("--clusters", type=int, help="K, when not the number of classes")
    parser.add_argument("--uneven", type=float, help="the largest class this many times the smallest")
    parser.add_argument("--verbose", action="store_true", help="a line for each seed")
    parser.add_argument("--no-references", action="store_true", help="only the methods named")
    arguments = parser.parse_args()
    changes = dict(text.split("=", 1) for text in arguments.set)
    for name in arguments.sets:
        loaded = load(name, arguments.data)
        if loaded is None:
            continue
        vectors, truth = loaded
        if arguments.uneven is not None:
            kept = uneven_rows(truth, ratio=arguments.uneven)
            vectors, truth = vectors[kept], truth[kept]
        classes = len(np.unique(truth))
        print(f"\n{name}: {vectors.shape[0]:,} x {vectors.shape[1]}, {classes} classes")
        graph, probe = build_graph(vectors), LinearProbe(vectors)
        unit_time = None
        for method in (*(() if arguments.no_references else REFERENCES), *arguments.methods):
            rows, seconds, work, trained = [], [], [], []
            for seed in range(arguments.seeds):
                registered, settings = settings_of(method, arguments.clusters or classes, seed, changes)
                began, busy = time.perf_counter(), time.process_time()
                estimator = find_method(registered).build(settings).fit(vectors, neighbors=graph)
                labels = estimator.labels_
                seconds.append(time.perf_counter() - began)
                work.append(time.process_time() - busy)
                rows.append((accuracy(truth, labels), nmi(truth, labels), ari(truth, labels)))
                start = getattr(estimator, "start_labels_", None)
                if start is not None:
                    learned = [probe.measure(one).score for one in (start, labels)]
                    trained.append((ari(truth, start), rows[-1][2], *learned, 1 - accuracy(start, labels)))
                if arguments.verbose:
                    print(
                        f"    {method} seed {seed}: {rows[-1][0]:.3f} {rows[-1][1]:.3f} {rows[-1][2]:.3f}", flush=True
                    )
            unit_time = unit_time or float(np.median(work))
            table = np.array(rows)
            parts = [
                f"{label} {table[:, i].mean():.3f} [{table[:, i].min():.3f}, {table[:, i].max():.3f}]"
                for i, label in enumerate(("ACC", "NMI", "ARI"))
            ]
            print(
                f"  {method:15s} {'  '.join(parts)}  floor {random_accuracy(truth, arguments.clusters or classes):.3f}"
                f"  median {np.median(seconds):.1f} s, {np.median(work):.1f} CPU s "
                f"({np.median(work) / unit_time:.0f}x the first)",
                flush=True,
            )
            if trained:
                mean = np.mean(trained, axis=0)
                print(
                    f"  {'':15s} ARI {mean[0]:.3f} -> {mean[1]:.3f}  generalisation {mean[2]:.3f} -> {mean[3]:.3f}  "
                    f"{mean[4]:.1%} of the labels changed",
                    flush=True,
                )


if __name__ == "__main__":
    main()
