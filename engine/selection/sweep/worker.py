"""One worker of the sweep: reads tasks as JSON lines, clusters and scores, answers with JSON lines.

Tasks: `reduce` makes and keeps a space, `candidate` clusters and scores, `stability` clusters two subsamples.
The data are memory maps in the working folder, so workers share them. Run as a module, by the pool alone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.clustering.base import ClusterEstimator
from engine.clustering.registry import find_method
from engine.core.errors import KindredError
from engine.core.files import load_array, save_array, write_json
from engine.evaluation.scores import (
    ari,
    balance,
    compact,
    largest_share,
    noise_share,
    shuffled_floor,
    silhouette,
    sizes,
)
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.reduce import reduce_embeddings
from engine.selection.sweep.grid import Candidate


class Bench:
    """The data of one working folder, opened when first needed.

    Parameters
    ----------
    folder : Path
        Holds <part>/embeddings.npy, indices.npy, similarities.npy, and reductions/.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: dict[str, tuple[Any, NeighborGraph]] = {}
        self._trees: dict[tuple[Any, ...], ClusterEstimator] = {}

    def data(self, part: str) -> tuple[Any, NeighborGraph]:
        """Return the unit embeddings and graph of one part ("all", "sample", "half-0", ...)."""
        if part not in self._opened:
            self._opened.clear()
            self._trees.clear()
            folder = self.folder / part
            graph = NeighborGraph(load_array(folder / "indices.npy"), load_array(folder / "similarities.npy"))
            self._opened[part] = load_array(folder / "embeddings.npy"), graph
        return self._opened[part]

    def fit(self, candidate: Candidate, part: str) -> ClusterEstimator:
        """Fit a candidate; HDBSCAN candidates that differ only in the cut share one tree."""
        embeddings, graph = self.data(part)
        settings = candidate.settings
        cut = {"min_cluster_size", "cluster_selection_method", "cluster_selection_epsilon", "max_cluster_share"}
        shared = (candidate.algorithm, part, *(item for item in candidate.parameters if item[0] not in cut))
        known = self._trees.get(shared) if candidate.algorithm == "hdbscan" else None
        if known is not None and hasattr(known, "recut"):
            values = {name: value for name, value in settings.model_dump().items() if name in cut}
            known.recut(values.pop("min_cluster_size"), **values)
            return known
        estimator = find_method(candidate.algorithm).build(settings)
        estimator.cache = self.folder / "reductions"
        estimator.fit(embeddings, neighbors=graph if estimator.wants_graph else None)
        if candidate.algorithm == "hdbscan":
            self._trees[shared] = estimator
        return estimator


def make_space(bench: Bench, task: dict[str, Any]) -> dict[str, Any]:
    """Make the reduced space of one part and keep it."""
    embeddings, graph = bench.data(task["part"])
    reduce_embeddings(
        embeddings, task["how"], graph=graph, random_state=task["random_state"], cache=bench.folder / "reductions"
    )
    return {}


def try_candidate(bench: Bench, task: dict[str, Any]) -> dict[str, Any]:
    """Cluster, score, write labels and scores under the candidate's key."""
    candidate = Candidate.of(task["algorithm"], **task["parameters"])
    began = time.perf_counter()
    estimator = bench.fit(candidate, task["part"])
    seconds = time.perf_counter() - began
    embeddings, _ = bench.data(task["part"])
    result = score(embeddings, estimator.labels_, shuffles=task["shuffles"]) | {
        "algorithm": candidate.algorithm,
        "parameters": dict(candidate.parameters),
        "seconds": seconds,
        "notes": estimator.notes_,
    }
    path = bench.folder / "candidates" / task["key"]
    save_array(path.with_suffix(".npy"), estimator.labels_)
    write_json(path.with_suffix(".json"), result)
    return result


def score(embeddings: Any, labels: np.ndarray[Any, Any], *, shuffles: int) -> dict[str, Any]:  # noqa: ANN401
    """Return what ranking needs of one clustering."""
    labels = compact(labels)
    own = silhouette(embeddings, labels)
    n_clusters = len(sizes(labels))
    floor = shuffled_floor(embeddings, labels, value=own, shuffles=shuffles).level if n_clusters > 1 else None
    counts = np.sort(sizes(labels))[::-1]
    return {
        "silhouette": own,
        "floor": floor,
        "balance": balance(labels),
        "noise_share": noise_share(labels),
        "n_clusters": n_clusters,
        "largest_share": largest_share(labels),
        "sizes": counts[:1000],
    }


def try_stability(bench: Bench, task: dict[str, Any]) -> dict[str, Any]:
    """Cluster two overlapping subsamples and compare them on the images in both."""
    candidate = Candidate.of(task["algorithm"], **task["parameters"])
    found, rows = [], []
    for half in task["halves"]:
        found.append(compact(bench.fit(candidate, half).labels_))
        rows.append(np.asarray(load_array(bench.folder / half / "rows.npy")))
    _, first, second = np.intersect1d(rows[0], rows[1], assume_unique=True, return_indices=True)
    left, right = found[0][first], found[1][second]
    return {"stability": ari(left - min(0, int(left.min())), right)}


KINDS = {"reduce": make_space, "candidate": try_candidate, "stability": try_stability}


def _follow_parent() -> None:
    """End with the process that started this one, however that ended."""
    parent = int(os.environ.get("KINDRED_PARENT", "0"))
    while os.getppid() == parent or not parent:
        time.sleep(1)
    os._exit(1)


def main(folder: Path) -> None:
    """Answer tasks until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_follow_parent, daemon=True).start()
    import faiss
    import scipy.linalg
    import scipy.sparse.csgraph  # noqa: F401 - imported before a task's time runs

    faiss.omp_set_num_threads(1)
    bench = Bench(folder)
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = KINDS[task["kind"]](bench, task)
            answer.pop("sizes", None)
        except KindredError as error:
            answer = {"reason": str(error)}
        except MemoryError:
            answer = {"reason": "There was not enough memory."}
        answers.write(json.dumps(_plain(answer)) + "\n")
        answers.flush()


def _plain(answer: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON is any
    from engine.core.files import plain

    return plain(answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
