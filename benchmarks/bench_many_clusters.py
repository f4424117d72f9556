"""2,000 clusters of 20,000 x 32: k-means beside FAISS' own, and what labels, exports and pages cost with so many.

Processor seconds, which mean something on a shared machine too. The pages are run by Streamlit's AppTest, so the
figures are those of their scripts, without the browser.

    python -m benchmarks.bench_many_clusters [--clusters 2000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import faiss
import numpy as np

from benchmarks.clustered_vectors import timed
from engine.clustering.kmeans import KMeans
from engine.clustering.registry import find_method
from engine.core.workspace import PROGRAM, Workspace
from engine.embeddings.encoders.registry import encoder_of_vectors
from engine.export.export import prepare
from engine.export.formats import FORMATS
from engine.export.settings import ExportSettings
from engine.geometry.projection import ProjectionSettings
from engine.images.datasets import add_vectors
from engine.jobs.tasks.tables import labelled_files
from engine.labels.events import LabelHistory
from engine.runs.fit import cluster
from engine.runs.rows import embed_dataset, map_of
from engine.runs.run import new_folder

ROWS, DIMENSION = 20_000, 32


def vectors(clusters: int) -> np.ndarray:
    """Return unit rows around as many centres."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(clusters, DIMENSION))
    rows = centers[rng.integers(0, clusters, ROWS)] + 0.3 * rng.normal(size=(ROWS, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def kmeans_beside_faiss(x: np.ndarray, clusters: int) -> None:
    """Print the ratio of processor seconds and the costs, one start each."""

    def theirs() -> np.ndarray:
        options = {"min_points_per_centroid": 1, "max_points_per_centroid": ROWS}
        model = faiss.Kmeans(DIMENSION, clusters, niter=25, spherical=True, seed=0, **options)
        model.train(x)
        found: np.ndarray = model.index.search(x, 1)[0]
        return found

    def ours() -> KMeans:
        return KMeans(n_clusters=clusters, n_init=1).fit(x)

    theirs(), ours()
    rounds = [(timed(theirs), timed(ours)) for _ in range(3)]
    seconds = [(one[0], two[0]) for one, two in rounds]
    model = rounds[0][1][1]
    cost = float(np.mean(2 - 2 * np.einsum("ij,ij->i", x, model.centers_[model.labels_])))
    ratio = float(np.median([own / other for other, own in seconds]))
    print(
        f"k-means, {clusters:,} clusters of {ROWS:,} x {DIMENSION}: {ratio:.2f} times FAISS' own "
        f"({np.median([own for _, own in seconds]):.2f} s beside {np.median([other for other, _ in seconds]):.2f} s); "
        f"cost {cost:.3f} beside {float(rounds[0][0][1].mean()):.3f}"
    )


def labels_and_pages(x: np.ndarray, clusters: int, root: Path) -> None:
    """Print what the label state, each export and each page's script take."""
    os.environ["KINDRED_WORKSPACE"] = str(root / "workspace")
    workspace = Workspace.open(root / "workspace")
    np.savez(root / "vectors.npz", vectors=x)
    dataset = add_vectors(workspace, root / "vectors.npz")
    entry = encoder_of_vectors()
    rows = embed_dataset(workspace, dataset.id, entry.name, entry.settings_class())
    settings = find_method("kmeans").settings_class.parse({"n_clusters": clusters, "n_init": 1})
    run = cluster(workspace, rows, "kmeans", settings, new_folder(workspace.runs, "kmeans_many"))
    map_of(workspace, rows, ProjectionSettings(kind="pca"))
    history = LabelHistory(workspace, dataset.id)

    def state() -> object:
        return history.state(rows.contents, run.assignments, run=run.folder.name)

    names = {at: f"name {at % (clusters // 2)}" for at in range(clusters)}
    print(f"label state, first: {timed(state)[0]:.2f} s")
    print(f"naming every cluster: {timed(lambda: history.name(state(), names))[0]:.2f} s")  # type: ignore[arg-type]
    print(f"label state after it: {timed(state)[0]:.2f} s")
    seconds, table = timed(lambda: labelled_files(workspace, run, rows))
    print(f"label table: {seconds:.2f} s")
    for name, entry_of in FORMATS.items():
        if not entry_of.is_table:
            chosen = ExportSettings(format=name, split=True)
            print(f"plan of {name}, split: {timed(lambda c=chosen: prepare(table, c))[0]:.2f} s")  # type: ignore[misc]

    from streamlit.testing.v1 import AppTest

    import engine.jobs.job

    engine.jobs.job.prepare_worker = lambda workspace: None  # no process beside the one that is measured
    app = AppTest.from_file(str(PROGRAM / "app.py"), default_timeout=120)
    app.query_params["data"] = dataset.id
    app.run()
    for path in ("explore", "label", "export"):
        first, _ = timed(lambda p=path: app.switch_page(f"pages/{p}/page.py").run())  # type: ignore[misc]
        again = min(timed(app.run)[0] for _ in range(3))
        failed = f" FAILED {app.exception[0].value}" if app.exception else ""
        print(f"page {path}: first {first:.2f} s, again {again:.2f} s{failed}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=2000)
    clusters = parser.parse_args().clusters
    x = vectors(clusters)
    kmeans_beside_faiss(x, clusters)
    with tempfile.TemporaryDirectory() as root:
        labels_and_pages(x, clusters, Path(root))


if __name__ == "__main__":
    main()
