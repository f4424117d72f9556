"""Screens on 100,000 images: seconds of the script for a page switch and for a label action, beside a first visit.

The pages run without a browser (AppTest) on vectors in 50 groups; what the browser then draws is in
bench_components.py. Prints wall seconds and each as a ratio to the first visit of the same page in the same run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

APP = Path(__file__).resolve().parent.parent / "app.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KINDRED_WORKSPACE"] = folder
        measure(Path(folder), arguments.images)


def measure(folder: Path, images: int) -> None:
    from streamlit.testing.v1 import AppTest

    import engine.jobs.job
    from engine.clustering.registry import find_method
    from engine.core.workspace import Workspace
    from engine.embeddings.encoders.registry import find_encoder
    from engine.images.datasets import add_vectors
    from engine.labels.events import LabelHistory
    from engine.runs.fit import cluster
    from engine.runs.rows import embed_dataset
    from engine.runs.run import new_folder

    engine.jobs.job.prepare_worker = lambda workspace: None
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 50, images)
    vectors = (rng.normal(size=(50, 64))[groups] + 0.5 * rng.normal(size=(images, 64))).astype(np.float32)
    np.savez(folder / "vectors.npz", vectors=vectors)
    workspace = Workspace.open()
    dataset = add_vectors(workspace, folder / "vectors.npz")
    rows = embed_dataset(workspace, dataset.id, "precomputed", find_encoder("precomputed").settings_class())
    settings = find_method("kmeans").settings_class.parse({"n_clusters": 50})
    run = cluster(workspace, rows, "kmeans", settings, new_folder(workspace.runs, "kmeans_bench"))
    app = AppTest.from_file(str(APP), default_timeout=300)
    app.run()
    for page in ("explore", "label", "compare", "export"):
        first = timed(lambda page=page: app.switch_page(f"pages/{page}/page.py").run())
        assert not app.error and not app.exception, [item.value for item in (*app.error, *app.exception)]
        timed(lambda: app.switch_page("pages/embed/page.py").run())
        again = min(timed(lambda page=page: app.switch_page(f"pages/{page}/page.py").run()) for _ in range(3))
        print(f"{page:8s} first visit {first:6.2f} s, switch {again:6.2f} s ({again / first:.2f} of the first)")
    app.switch_page("pages/label/page.py").run()
    history = LabelHistory(workspace, dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)

    def act(action: object) -> float:
        return timed(lambda: (action(), app.run()))  # type: ignore[operator]

    print(f"naming a cluster and drawing the page anew: {act(lambda: history.rename(state, 0, 'first')):.2f} s")
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    print(f"merging two clusters and drawing anew: {act(lambda: history.merge(state, [1, 2])):.2f} s")


def timed(action: object) -> float:
    began = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
