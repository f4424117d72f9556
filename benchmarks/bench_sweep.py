"""The fast sweep on 48,642 x 512 clustered vectors beside the same grid with scikit-learn, hdbscan and umap-learn.

The plain side is measured candidate by candidate on a subset and extrapolated: k-means and the mixture linear in
n, hdbscan in the original space and the silhouette quadratic, hdbscan, DBSCAN and UMAP in few dimensions linear
(which favours the plain side). Memory: the workers' own plus this process's growth over its imports, over the
embeddings' size; the mapped file that workers share is counted once. Times are processor seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import DBSCAN, KMeans
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

from benchmarks.clustered_vectors import PLAIN_METHODS, clustered
from engine.core.processes import own_memory_mb
from engine.core.progress import Silent
from engine.evaluation.agreement import ari
from engine.selection.sweep.grid import Candidate, candidates
from engine.selection.sweep.runner import Sweep
from engine.selection.sweep.settings import SweepSettings


def cpu() -> float:
    """Return processor seconds of this process and of its finished children."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return processor seconds (they mean something on a shared machine too) and the result."""
    began = cpu()
    result = work()
    return cpu() - began, result


def imports_mb() -> float:
    """Return the MiB of a worker that has imported and compiled everything and holds no data."""
    code = (
        "import os, numpy as np; from engine.clustering.registry import find_method; "
        "from engine.selection.sweep import worker;"
        "from engine.core.processes import own_memory_mb; "
        "x = np.random.default_rng(0).random((60, 512), 'float32');"
        "[m.build(m.settings_class.parse(v)).fit(x) for m, v in ((find_method('kmeans'), {'reduce': 'umap-10'}),"
        "(find_method('gaussian_mixture'), {}))]; print(own_memory_mb(os.getpid()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def plain(candidate: Candidate, x: np.ndarray, space: np.ndarray) -> tuple[float, bool]:
    """Return the plain library's seconds on this subset, and whether they grow with n squared."""
    import hdbscan

    values = dict(candidate.settings.model_dump())
    data = x if values["reduce"] == "none" else space
    if candidate.algorithm == "kmeans":
        return timed(lambda: KMeans(values["n_clusters"], n_init=values["n_init"], random_state=0).fit(data))[0], False
    if candidate.algorithm == "gaussian_mixture":
        model = GaussianMixture(values["n_clusters"], covariance_type="diag", max_iter=20, random_state=0)
        return timed(lambda: model.fit(data))[0], False
    if candidate.algorithm == "dbscan":
        return timed(lambda: DBSCAN(eps=0.5, min_samples=values["min_samples"]).fit(data))[0], False
    tree = hdbscan.HDBSCAN(
        min_cluster_size=values["min_cluster_size"], min_samples=values["min_samples"], core_dist_n_jobs=1
    )
    return timed(lambda: tree.fit(data))[0], values["reduce"] == "none"


def plain_grid(x: np.ndarray, subset: int) -> tuple[float, float]:
    """Return the extrapolated seconds of clustering and of scoring the whole grid with plain libraries."""
    import umap

    some = x[:subset]
    factor = len(x) / subset
    umap.UMAP(n_components=10, min_dist=0.0, metric="cosine", random_state=0).fit(x[:500])
    seconds, space = timed(
        lambda: umap.UMAP(n_components=10, min_dist=0.0, metric="cosine", random_state=0, n_epochs=200).fit_transform(
            some
        )
    )
    total = seconds * factor
    grid = candidates(len(x), "fast", algorithms=PLAIN_METHODS)
    for candidate in grid:
        seconds, quadratic = plain(candidate, some, space)
        total += seconds * (factor**2 if quadratic else factor)
    labels = KMeans(50, n_init=1, random_state=0).fit_predict(some)
    seconds, _ = timed(lambda: silhouette_score(some, labels, metric="cosine"))
    return total, seconds * factor**2 * len(grid)


class Watcher(Silent):
    """Prints phases and keeps the peak of this process's own memory."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        self.peak = 0.0

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        self.phases.setdefault(phase, time.perf_counter())
        self.peak = max(self.peak, own_memory_mb(os.getpid()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=48_642)
    parser.add_argument("--subset", type=int, default=5_000)
    parser.add_argument("--no-plain", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import faiss  # noqa: F401 - memory is measured above the imports
    import scipy.linalg  # noqa: F401

    x, truth = clustered(given.images)
    size = x.nbytes / 2**20
    made = own_memory_mb(os.getpid())
    watcher = Watcher()
    sweep = Sweep(SweepSettings(algorithms=PLAIN_METHODS))
    with tempfile.TemporaryDirectory() as folder:
        wall = time.perf_counter()
        seconds, result = timed(lambda: sweep.run(x, output_dir=Path(folder), progress=watcher))
        wall = time.perf_counter() - wall
        print(
            f"fast sweep, {given.images:,} x 512: {seconds:.0f} processor seconds, {wall:.0f} s by the clock "
            f"({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}), {result.summary['candidates']} candidates, "
            f"{len(result.ranked)} ranked, {len(result.failed)} failed"
        )
        for row in result.ranked[:5]:
            agreement = ari(truth, result.labels(row))
            print(
                f"  {row.rank} {row.title}: composite {row.composite:.3f}, silhouette {row.silhouette:.3f}, "
                f"stability {row.stability}, ARI to the planted groups {agreement:.3f}"
            )
        for row in result.failed:
            print("  failed:", row.title, row.reason)
    parts = sorted(watcher.phases.items(), key=lambda item: item[1])
    print("  began: " + ", ".join(f"{name} {when - parts[0][1]:.0f} s" for name, when in parts))
    base = imports_mb()
    workers = max(0.0, sweep.peak_mb - 2 * base)
    own = max(0.0, watcher.peak - made)
    print(
        f"memory: two workers {sweep.peak_mb:,.0f} MiB of their own, of which imports {2 * base:,.0f}; this process "
        f"+{own:,.0f}; with the given embeddings and their mapped copy "
        f"{(2 * size + workers + own) / size:.2f} x the embeddings' {size:,.0f} MiB"
    )
    if not given.no_plain:
        clustering, scoring = plain_grid(x, given.subset)
        print(
            f"plain libraries, extrapolated from {given.subset:,}: clustering {clustering:,.0f} s "
            f"({clustering / seconds:.1f} x), scoring {scoring:,.0f} s; together "
            f"{(clustering + scoring) / seconds:.1f} x ours"
        )


if __name__ == "__main__":
    main()
