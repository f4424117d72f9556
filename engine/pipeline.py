"""The whole way as functions: scan, embed, map, cluster. Jobs, the command line and pages call these.

`Rows` is what every step after embedding works on: the images of a data set that have a vector, with
that vector, in one fixed order. `cluster` turns rows into a run folder.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import runs
from engine.clustering import Method, find_method
from engine.clustering.base import ClusterEstimator, Labels, Vectors
from engine.embeddings.encoders import find_encoder
from engine.embeddings.pipeline import EmbeddingSet, embed, load_set
from engine.errors import InputError, StorageError
from engine.evaluation import scores
from engine.files import load_array
from engine.ids import Ids, positions
from engine.images.datasets import Dataset, find_dataset, load_images
from engine.images.decode import PreprocessSettings
from engine.images.scan import scan
from engine.neighbors import NeighborGraph, cached_graph
from engine.progress import SILENT, Progress
from engine.projection import ProjectionSettings, cached_projection
from engine.settings import Settings
from engine.workspace import Workspace


@dataclass(frozen=True)
class Rows:
    """Images with vectors, in one order.

    Attributes
    ----------
    dataset : Dataset
    embedding : EmbeddingSet
        `vectors` is (n, d) float32; `key` names configuration and rows together.
    ids : (n,) int64
        Stable integers of the catalog, for thumbnails.
    paths : list of bytes
    truth : list of str or None
    split : list of str
        "", "train" or "test".
    """

    dataset: Dataset
    embedding: EmbeddingSet
    ids: NDArray[np.int64]
    paths: list[bytes]
    truth: list[str | None]
    split: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def contents(self) -> Ids:
        """Content ids, (n,) S16."""
        return self.embedding.contents

    @property
    def vectors(self) -> Vectors:
        """Embeddings, (n, d) float32."""
        return self.embedding.vectors


def load_rows(workspace: Workspace, dataset_id: str, config_key: str) -> Rows:
    """Bring together the catalog's images and the embeddings of one configuration."""
    return _rows(workspace, load_set(workspace, dataset_id, config_key), dataset_id)


def _rows(workspace: Workspace, embedding: EmbeddingSet, dataset_id: str) -> Rows:
    table = load_images(workspace, dataset_id)
    chosen = embedding.rows
    return Rows(
        dataset=find_dataset(workspace, dataset_id),
        embedding=embedding,
        ids=table.ids[chosen],
        paths=[table.paths[row] for row in chosen],
        truth=[table.truth[row] for row in chosen],
        split=[table.split[row] for row in chosen],
    )


def embed_dataset(
    workspace: Workspace,
    dataset_id: str,
    encoder: str,
    settings: Settings,
    *,
    preprocess: PreprocessSettings | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Rows:
    """Embed what is missing and return the rows."""
    embedding = embed(
        workspace,
        dataset_id,
        encoder,
        settings,
        preprocess=preprocess or PreprocessSettings(),
        progress=progress,
        device=device,
    )
    return _rows(workspace, embedding, dataset_id)


def graph_of(workspace: Workspace, rows: Rows, *, progress: Progress = SILENT) -> NeighborGraph:
    """Return the shared neighbour graph of all rows, from the cache or made now."""
    return cached_graph(workspace, rows.embedding.key, rows.vectors, progress=progress)


def map_of(
    workspace: Workspace, rows: Rows, settings: ProjectionSettings, *, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Return the (n, 2) map of all rows, from the cache or made now."""
    graph = graph_of(workspace, rows, progress=progress) if settings.kind == "umap" else None
    return cached_projection(workspace, _map_key(rows, settings), rows.vectors, graph, settings, progress)


def kept_map(workspace: Workspace, rows: Rows, settings: ProjectionSettings) -> NDArray[np.float32] | None:
    """Return the (n, 2) map where the cache holds it."""
    try:
        kept: NDArray[np.float32] = load_array(workspace.projection(_map_key(rows, settings)) / "xy.npy")
    except StorageError:
        return None
    return kept if kept.shape == (len(rows), 2) else None


def _map_key(rows: Rows, settings: ProjectionSettings) -> str:
    return f"{rows.embedding.key}-{settings.key()}"


def fit(
    method: Method,
    settings: Settings,
    rows: Rows,
    workspace: Workspace,
    *,
    progress: Progress = SILENT,
    checkpoints: Path | None = None,
) -> tuple[ClusterEstimator, Labels, NDArray[np.float32]]:
    """Fit on the training rows (all rows where there is no split) and label every row.

    Returns
    -------
    estimator, labels (n,) int32, confidence (n,) float32
    """
    estimator = method.build(settings)
    estimator.cache = workspace.cache / "reductions"
    test = np.array([part == "test" for part in rows.split], dtype=bool)
    if not test.any() or test.all():
        graph = graph_of(workspace, rows, progress=progress) if estimator.wants_graph else None
        estimator.fit(rows.vectors, neighbors=graph, progress=progress, checkpoints=checkpoints)
        return estimator, estimator.labels_, estimator.confidence_
    train = np.flatnonzero(~test)
    known = rows.vectors[train]
    graph = (
        cached_graph(workspace, f"{rows.embedding.key}-train", known, progress=progress)
        if estimator.wants_graph
        else None
    )
    estimator.fit(known, neighbors=graph, progress=progress, checkpoints=checkpoints)
    labels = np.empty(len(rows), dtype=np.int32)
    labels[train] = estimator.labels_
    labels[test] = estimator.predict(rows.vectors[test])
    confidence = np.zeros(len(rows), dtype=np.float32)
    confidence[train] = estimator.confidence_
    confidence[test] = np.where(labels[test] >= 0, 1.0, 0.0)
    estimator.extra_ = {name: _spread(values, train, len(rows)) for name, values in estimator.extra_.items()}
    return estimator, labels, confidence


def _spread(values: NDArray[Any], rows: NDArray[np.int64], n: int) -> NDArray[Any]:
    """Place training-row values in an array of all rows; NaN elsewhere."""
    spread = np.full((n, *values.shape[1:]), np.nan, dtype=np.float32)
    spread[rows] = values
    return spread


def measure(rows: Rows, labels: Labels) -> dict[str, Any]:
    """Return {"train": metrics, "test": metrics or None} of one labelling."""
    truth = truth_codes(rows.truth)
    test = np.array([part == "test" for part in rows.split], dtype=bool)
    if not test.any() or test.all():
        return {"train": scores(rows.vectors, labels, truth), "test": None}
    return {
        name: scores(rows.vectors[chosen], labels[chosen], None if truth is None else truth[chosen])
        for name, chosen in (("train", ~test), ("test", test))
    }


def truth_codes(truth: Sequence[str | None]) -> NDArray[np.int32] | None:
    """Return truth as codes, -1 where unknown; None where nothing is known."""
    names = sorted({name for name in truth if name is not None})
    if not names:
        return None
    code = {name: index for index, name in enumerate(names)}
    return np.array([-1 if name is None else code[name] for name in truth], dtype=np.int32)


def cluster(
    workspace: Workspace,
    rows: Rows,
    method_name: str,
    settings: Settings,
    folder: Path,
    *,
    title: str = "",
    config: dict[str, Any] | None = None,
    progress: Progress = SILENT,
    seconds: dict[str, float] | None = None,
) -> runs.Run:
    """Cluster the rows and write the run folder.

    Parameters
    ----------
    folder : Path
        The run's folder; it exists already.
    config : dict, optional
        What a job's config.json holds already; kept.
    seconds : dict, optional
        Times of earlier steps, written beside this one's.
    """
    method = find_method(method_name)
    began = time.perf_counter()
    estimator, labels, confidence = fit(
        method, settings, rows, workspace, progress=progress, checkpoints=folder / "checkpoints"
    )
    times = dict(seconds or {}) | {"cluster": time.perf_counter() - began}
    progress.update(0, 1, phase="scoring")
    results = measure(rows, labels) | {"seconds": times, "notes": estimator.notes_}
    if method.kind == "deep":
        results["references"] = references(rows, workspace, len(np.unique(labels[labels >= 0])), progress=progress)
    times["score"] = time.perf_counter() - began - times["cluster"]
    return runs.save_run(
        folder,
        config=(config or {}) | _configuration(rows, method, settings, estimator, title),
        results=results,
        contents=rows.contents,
        paths=rows.paths,
        assignments=labels,
        confidence=confidence,
        truth=rows.truth,
        split=rows.split,
        extra=estimator.extra_,
    )


def _configuration(
    rows: Rows, method: Method, settings: Settings, estimator: ClusterEstimator, title: str
) -> dict[str, Any]:
    return {
        "title": title or f"{method.title}, {rows.dataset.name}",
        "created": time.time(),
        "dataset": {"id": rows.dataset.id, "name": rows.dataset.name, "kind": rows.dataset.kind, "images": len(rows)},
        "embedding": {"config_key": rows.embedding.config_key, "key": rows.embedding.key},
        "method": method.name,
        "settings": settings.model_dump(mode="json"),
        "resolved": getattr(estimator, "resolved_", settings).model_dump(mode="json"),
        "python": platform.python_version(),
    }


def references(
    rows: Rows, workspace: Workspace, n_clusters: int, *, progress: Progress = SILENT
) -> dict[str, dict[str, Any]]:
    """Score k-means and umap-10 + k-means on the same embeddings: what a deep method must beat."""
    method = find_method("kmeans")
    found: dict[str, dict[str, Any]] = {}
    for name, reduce in (("kmeans", "none"), ("umap_kmeans", "umap-10")):
        progress.update(len(found), 2, phase="references")
        values = {"n_clusters": max(1, min(n_clusters, len(rows))), "reduce": reduce}
        _, labels, _ = fit(method, method.settings_class.parse(values), rows, workspace)
        found[name] = measure(rows, labels)["train"]
    return found


def rows_of_run(workspace: Workspace, run: runs.Run) -> Rows:
    """Return the rows that a run was made on, as far as they still exist.

    Raises
    ------
    InputError
        The data set or its embeddings are gone.
    """
    embedding = load_set(workspace, run.dataset, str(run.config["embedding"]["config_key"]), only=run.contents)
    return _rows(workspace, embedding, run.dataset)


def align(run: runs.Run, rows: Rows) -> tuple[Labels, NDArray[np.float32]]:
    """Return a run's labels and confidence on these rows; images that came later are -1 with confidence 0."""
    at = positions(run.contents, rows.contents)
    known = at >= 0
    labels = np.full(len(rows), -1, dtype=np.int32)
    labels[known] = run.assignments[at[known]]
    confidence = np.zeros(len(rows), dtype=np.float32)
    confidence[known] = run.predictions["confidence"][at[known]]
    return labels, confidence


def settings_of(rows_config: dict[str, Any]) -> Settings:
    """Rebuild a method's settings from a run's config."""
    return find_method(rows_config["method"]).settings_class.parse(rows_config.get("settings", {}))


# --- what jobs run ---------------------------------------------------------------------------------


def scan_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Scan a data set; the report is written beside the job."""
    report = scan(workspace, config["dataset"]["id"], progress=progress)
    return {"files": report.files, "readable": report.readable, "failed": len(report.failed)}


def embed_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Embed a data set with one configuration."""
    encoder = find_encoder(config["encoder"])
    rows = embed_dataset(
        workspace,
        config["dataset"]["id"],
        encoder.name,
        encoder.settings_class.parse(config.get("settings", {})),
        preprocess=PreprocessSettings.parse(config.get("preprocess", {})),
        device=config.get("device", "auto"),
        progress=progress,
    )
    if len(rows) == 0:
        raise InputError("None of the images could be read, so nothing was embedded.", "See the list on Images.")
    graph_of(workspace, rows, progress=progress)
    return {"config_key": rows.embedding.config_key, "images": len(rows)}


def map_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compute a 2-D map of one configuration's embeddings."""
    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    map_of(workspace, rows, ProjectionSettings.parse(config.get("settings", {})), progress=progress)
    return {"images": len(rows)}


def cluster_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Cluster one configuration's embeddings into this run folder."""
    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    listen_with_scores(progress, rows)
    run = cluster(
        workspace, rows, config["method"], settings_of(config), folder,
        title=config.get("title", ""), config=config, progress=progress,
    )  # fmt: skip
    write_csv(run, rows, workspace)
    return {"run": folder.name, "n_clusters": run.results["train"]["n_clusters"]}


def listen_with_scores(progress: Progress, rows: Rows) -> None:
    """Let a job's listener score snapshots without labels: silhouette and balance."""
    if hasattr(progress, "score"):
        progress.score = (
            lambda labels: {  # only the rows a method was fitted on are scored
                name: value
                for name, value in scores(rows.vectors[: len(labels)], labels).items()
                if name in ("silhouette", "balance", "n_clusters", "largest_share")
            }
        )


def write_csv(run: runs.Run, rows: Rows, workspace: Workspace) -> Path:
    """Write labels.csv of a run: one line per file, duplicates included."""
    from engine.export.labels import label_table, write_labels_csv

    table = label_table(workspace, rows.dataset.id, rows.contents, run.assignments, run.predictions["confidence"])
    path = run.folder / "labels.csv"
    write_labels_csv(path, table)
    return path


def distil_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Distil a run; the result lies in the run's own folder."""
    from engine.distillation.settings import DistilSettings

    run = runs.open_run(Path(config["run"]))
    return distil_run(workspace, run, DistilSettings.parse(config.get("settings", {})), progress=progress)


def distil_run(
    workspace: Workspace, run: runs.Run, settings: Settings, *, progress: Progress = SILENT
) -> dict[str, Any]:
    """Distil the embeddings of a run by its clusters into <run>/distillation and return results.json."""
    from engine.distillation.distil import distil
    from engine.distillation.settings import DistilSettings

    assert isinstance(settings, DistilSettings)
    rows = rows_of_run(workspace, run)
    labels, _ = align(run, rows)
    test = np.array([part == "test" for part in rows.split], dtype=bool)
    given = bool(test.any()) and not test.all()
    made = distil(
        rows.vectors, labels, truth=rows.truth if any(rows.truth) else None,
        train=np.flatnonzero(~test) if given else None, test=np.flatnonzero(test) if given else None,
        contents=rows.contents, settings=settings, output_dir=run.folder / "distillation", progress=progress,
    )  # fmt: skip
    return made.results
