"""One worker of the sweep: reads tasks as JSON lines, clusters and scores, answers with JSON lines.

Tasks: `reduction` makes and keeps a reduced space, `candidate` clusters and scores, `fit` and `score` do one of the two
each, where a GPU clusters and a processor scores, `stability` clusters two subsamples. The data are memory maps in the
working folder, so workers share them. The pool runs this module.
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
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.clustering.deep.estimator import DeepEstimator
from engine.clustering.registry import find_method
from engine.core.device import use_threads
from engine.core.errors import KindredError
from engine.core.files import plain, read_json, save_array, write_json
from engine.core.labels import compact
from engine.core.progress import SILENT, Progress, Silent
from engine.evaluation.agreement import sizes
from engine.evaluation.generalisation import LinearProbe
from engine.evaluation.neighborhoods import neighbor_agreement
from engine.evaluation.scores import balance, largest_share, noise_share, shuffled_floor, silhouette
from engine.evaluation.stability import common_ari
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.reduce import reduce_embeddings
from engine.selection.sweep.data import REDUCTIONS, half_labels, open_part, part_rows
from engine.selection.sweep.grid import Candidate


class WorkingFolder:
    """The data of one sweep's working folder, opened when first needed, and the fits on them.

    Parameters
    ----------
    folder : Path
        Holds the parts, see `engine.selection.sweep.data`, reductions/ and candidates/.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: dict[str, tuple[Any, NeighborGraph]] = {}
        self._trees: dict[tuple[Any, ...], ClusterEstimator] = {}
        self._probe: tuple[str, LinearProbe] | None = None

    def data(self, part: str) -> tuple[Any, NeighborGraph]:
        """Return the unit embeddings and graph of one part ("all", "sample", "half-0", ...)."""
        if part not in self._opened:
            self._opened.clear()
            self._trees.clear()
            self._opened[part] = open_part(self.folder, part)
        return self._opened[part]

    def probe(self, part: str) -> LinearProbe:
        """Return what measures how well clusterings of one part can be learned."""
        if self._probe is None or self._probe[0] != part:
            self._probe = part, LinearProbe(self.data(part)[0])
        return self._probe[1]

    def fit(self, candidate: Candidate, part: str, *, progress: Progress = SILENT) -> ClusterEstimator:
        """Fit a candidate; those that differ only in the cut of a tree share the tree."""
        embeddings, graph = self.data(part)
        method, settings = find_method(candidate.algorithm), candidate.settings
        cut = method.cut_settings
        shared = (candidate.algorithm, part, *(item for item in candidate.parameters if item[0] not in cut))
        if shared in self._trees:
            return self._trees[shared].recut(**settings.model_dump(include=set(cut)))
        estimator = method.build(settings)
        estimator.cache = self.folder / REDUCTIONS
        if isinstance(estimator, DeepEstimator):
            estimator.generalisation = lambda labels: self.probe(part).measure(labels).score
        estimator.fit(embeddings, neighbors=graph if estimator.wants_graph else None, progress=progress)
        if cut:
            self._trees[shared] = estimator
        return estimator


class NoTimeLeft(KindredError):
    """Training would take longer than the time limit.

    Attributes
    ----------
    seconds : float
        The limit.
    """

    seconds = 0.0


class TimeCheck(Silent):
    """Listens to a training and gives it up as soon as its speed shows that it will not end in time.

    Parameters
    ----------
    seconds : float
        The time limit.
    trial : float
        The speed of a phase is trusted after so many seconds in it.
    """

    def __init__(self, seconds: float, *, trial: float = 10.0) -> None:
        self.seconds, self.trial = seconds, min(trial, seconds / 4)
        self.began = time.monotonic()
        self.phase, self.phase_began, self.phase_done = "", self.began, 0.0

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Raise `NoTimeLeft` where the phase, going on as it went, would end after the limit."""
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.phase_began, self.phase_done = phase, now, done
            return
        spent, steps = now - self.phase_began, done - self.phase_done
        if spent < self.trial or steps <= 0:
            return
        whole = self.phase_began - self.began + spent * (total - self.phase_done) / steps
        if whole > self.seconds:
            error = NoTimeLeft(f"Training would take about {whole:,.0f} seconds; the time limit is {self.seconds:.4g}.")
            error.seconds = self.seconds
            raise error


def make_reduction(work: WorkingFolder, task: dict[str, Any]) -> dict[str, Any]:
    """Make the reduced space of one part and keep it."""
    embeddings, graph = work.data(task["part"])
    reduce_embeddings(
        embeddings, task["how"], graph=graph, random_state=task["random_state"], cache=work.folder / REDUCTIONS
    )
    return {}


def fit_candidate(work: WorkingFolder, task: dict[str, Any]) -> dict[str, Any]:
    """Cluster; write labels, confidence and how long it took under the candidate's key."""
    candidate = Candidate.of(task["algorithm"], **task["parameters"])
    began = time.perf_counter()
    training = find_method(candidate.algorithm).kind == "deep"
    left = task["seconds"] if task.get("until") is None else min(task["seconds"], task["until"] - time.time())
    progress = TimeCheck(max(left, 0.1)) if training else SILENT
    estimator = work.fit(candidate, task["part"], progress=progress)
    seconds = time.perf_counter() - began
    path = work.folder / "candidates" / task["key"]
    save_array(path.with_name(f"{path.name}-confidence.npy"), estimator.confidence_)
    save_array(path.with_suffix(".npy"), estimator.labels_)
    write_json(path.with_name(f"{path.name}-fit.json"), {"seconds": seconds, "notes": estimator.notes_})
    return {}


def score_candidate(work: WorkingFolder, task: dict[str, Any]) -> dict[str, Any]:
    """Score what `fit_candidate` wrote and write the scores, which say that the candidate is finished."""
    candidate = Candidate.of(task["algorithm"], **task["parameters"])
    path = work.folder / "candidates" / task["key"]
    fitted = path.with_name(f"{path.name}-fit.json")
    embeddings, graph = work.data(task["part"])
    labels = np.load(path.with_suffix(".npy"), allow_pickle=False)
    probe = work.probe(task["part"])
    result = score(embeddings, labels, neighbors=graph.indices, shuffles=task["shuffles"], probe=probe)
    result |= {"algorithm": candidate.algorithm, "parameters": dict(candidate.parameters)} | read_json(fitted)
    write_json(path.with_suffix(".json"), result)
    fitted.unlink()
    return result


def try_candidate(work: WorkingFolder, task: dict[str, Any]) -> dict[str, Any]:
    """Cluster, score, write labels and scores under the candidate's key."""
    fit_candidate(work, task)
    return score_candidate(work, task)


def score(
    embeddings: Any,  # noqa: ANN401 - an array or a memory map
    labels: np.ndarray[Any, Any],
    *,
    neighbors: NDArray[np.int32],
    shuffles: int,
    probe: LinearProbe | None = None,
) -> dict[str, Any]:
    """Return what ranking needs of one clustering; `probe` is that of the embeddings, made when absent.

    `neighbors` (n, k) are the nearest rows of each.
    """
    labels = compact(labels)
    own = silhouette(embeddings, labels)
    n_clusters = len(sizes(labels))
    floor = shuffled_floor(embeddings, labels, value=own, shuffles=shuffles).level if n_clusters > 1 else None
    counts = np.sort(sizes(labels))[::-1]
    return {
        "silhouette": own,
        "floor": floor,
        "generalisation": (probe or LinearProbe(embeddings)).measure(labels).score,
        "neighbors": neighbor_agreement(neighbors, labels),
        "balance": balance(labels),
        "noise_share": noise_share(labels),
        "n_clusters": n_clusters,
        "largest_share": largest_share(labels),
        "sizes": counts[:1000],
    }


def try_stability(work: WorkingFolder, task: dict[str, Any]) -> dict[str, Any]:
    """Cluster two overlapping subsamples and compare them on the images in both."""
    candidate = Candidate.of(task["algorithm"], **task["parameters"])
    labels = [work.fit(candidate, half).labels_ for half in task["halves"]]
    for half, found in zip(task["halves"], labels, strict=True):
        save_array(half_labels(work.folder, task["key"], half), found)
    rows = [part_rows(work.folder, half) for half in task["halves"]]
    return {"stability": common_ari(rows, labels)}


KINDS = {
    "reduction": make_reduction,
    "candidate": try_candidate,
    "fit": fit_candidate,
    "score": score_candidate,
    "stability": try_stability,
}


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
    import faiss  # noqa: F401 - these three are imported before a task's time runs
    import scipy.linalg  # noqa: F401
    import scipy.sparse.csgraph  # noqa: F401

    use_threads(1)
    work = WorkingFolder(folder)
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = KINDS[task["kind"]](work, task)
            answer.pop("sizes", None)
        except NoTimeLeft as error:
            answer = {"reason": str(error), "left_out": True, "limit": error.seconds}
        except KindredError as error:
            answer = {"reason": str(error)}
        except MemoryError:
            answer = {"reason": "There was not enough memory."}
        answers.write(json.dumps(plain(answer)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
