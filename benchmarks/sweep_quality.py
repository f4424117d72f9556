"""The sweep's winner beside the best of the same grid with plain libraries, ranked the same way.

Sets: scikit-learn's digits (pixels) and any NPZ with `vectors` and `labels` named on the command line. For each:
silhouette, stability and ARI to the truth of both winners, and the best ARI among all candidates (what the
ranking leaves on the table).
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture

from benchmarks.clustered_vectors import PLAIN_METHODS
from engine.core.files import save_array
from engine.core.labels import encode
from engine.core.vectors import unit
from engine.evaluation.agreement import ari
from engine.evaluation.stability import stability
from engine.geometry.neighbors import build_graph
from engine.selection.sweep.grid import Candidate, candidates
from engine.selection.sweep.ranking import LeaderboardRow, final_order, first_order, leaderboard_row, without_repeats
from engine.selection.sweep.runner import WEIGHED, Sweep
from engine.selection.sweep.settings import SweepSettings
from engine.selection.sweep.worker import score


def plain_labels(candidate: Candidate, data: dict[str, np.ndarray]) -> np.ndarray:
    """Cluster with scikit-learn or hdbscan as the candidate says."""
    import hdbscan

    values = dict(candidate.settings.model_dump())
    x = data["none" if values["reduce"] == "none" else "umap"]
    if candidate.algorithm == "kmeans":
        return KMeans(values["n_clusters"], n_init=values["n_init"], random_state=0).fit_predict(x)
    if candidate.algorithm == "gaussian_mixture":
        return GaussianMixture(values["n_clusters"], covariance_type="diag", max_iter=20, random_state=0).fit_predict(x)
    if candidate.algorithm == "dbscan":
        from sklearn.neighbors import NearestNeighbors

        tenth = NearestNeighbors(n_neighbors=11).fit(x).kneighbors(x)[0][:, -1]
        return DBSCAN(
            eps=max(1e-4, float(np.quantile(tenth, values["eps_quantile"]))), min_samples=values["min_samples"]
        ).fit_predict(x)
    return hdbscan.HDBSCAN(
        min_cluster_size=values["min_cluster_size"], min_samples=values["min_samples"], core_dist_n_jobs=1
    ).fit_predict(x)


def spaces(x: np.ndarray) -> dict[str, np.ndarray]:
    import umap

    layout = umap.UMAP(n_components=10, min_dist=0.0, metric="cosine", random_state=0).fit_transform(x)
    return {"none": unit(x), "umap": layout}


def plain_board(x: np.ndarray, folder: Path, settings: SweepSettings) -> list[LeaderboardRow]:
    """Rank the plain grid by the sweep's own rules."""
    whole, rows, graph = spaces(x), [], build_graph(x, k=10)
    wanted = settings.wanted_clusters(len(x))
    grid = candidates(len(x), "fast", wanted=wanted, algorithms=settings.algorithms)
    for number, candidate in enumerate(grid):
        labels = plain_labels(candidate, whole).astype(np.int32)
        path = folder / f"{number}.npy"
        save_array(path, labels)
        found: dict[str, Any] = score(x, labels, neighbors=graph.indices, shuffles=5)
        found |= {"algorithm": candidate.algorithm, "parameters": dict(candidate.parameters), "seconds": 0.0}
        rows.append(leaderboard_row(found, path, settings))
    ranked = first_order(without_repeats(rows), settings.ranking, settings.max_largest_share)
    halves: dict[bytes, dict[str, np.ndarray]] = {}

    def on_half(candidate: Candidate, chosen: np.ndarray) -> np.ndarray:
        key = chosen.tobytes()
        if key not in halves:
            halves[key] = spaces(x[chosen])
        return plain_labels(candidate, halves[key])

    from dataclasses import replace

    for number, row in enumerate(ranked[:WEIGHED]):
        candidate = Candidate.of(row.algorithm, **row.parameters)
        value = stability(lambda chosen, c=candidate: on_half(c, chosen), len(x))
        ranked[number] = replace(row, stability=value)
    return final_order(
        ranked, settings.ranking, near_tie=settings.near_tie, max_largest_share=settings.max_largest_share
    )


def told(name: str, row: LeaderboardRow, truth: np.ndarray, labels: np.ndarray, best: float) -> str:
    agreement = ari(truth, labels)
    return (
        f"{name:14} {row.title}: composite {row.composite:.3f}, silhouette {row.silhouette:.3f}, "
        f"stability {row.stability:.3f}, largest {row.largest_share:.2f}, ARI {agreement:.3f} "
        f"(best candidate {best:.3f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--no-plain", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    data = load_digits()
    sets = {"digits pixels": (data.data.astype(np.float32), data.target)}
    for file in given.files:
        with np.load(file, allow_pickle=False) as kept:
            sets[file.stem] = kept["vectors"].astype(np.float32), encode(kept["labels"])[0]
    settings = SweepSettings(algorithms=PLAIN_METHODS)
    for name, (x, truth) in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            result = Sweep(settings).run(x, output_dir=Path(folder))
            print(f"-- {name}: {x.shape}, {len(result.ranked)} of {result.summary['candidates']} ranked")
            aris = [ari(truth, result.labels(row)) for row in result.ranked]
            print(told("sweep", result.ranked[0], truth, result.labels(result.ranked[0]), max(aris)), flush=True)
            if not given.no_plain:
                board = plain_board(x, Path(folder), settings)
                aris = [ari(truth, np.load(row.labels)) for row in board]
                print(told("plain grid", board[0], truth, np.load(board[0].labels), max(aris)), flush=True)


if __name__ == "__main__":
    main()
