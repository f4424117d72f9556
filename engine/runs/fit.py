"""From rows to a run folder: fit a method, score it beside its references, write what a colleague can open."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import ClusterEstimator
from engine.clustering.deep.estimator import DeepEstimator
from engine.clustering.deep.forecast import duration, forecast
from engine.clustering.deep.presets import DeepSettings
from engine.clustering.registry import Method, find_method, method_title
from engine.core.device import likely_device
from engine.core.errors import InputError, KindredError
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import find_encoder
from engine.evaluation.generalisation import LinearProbe
from engine.evaluation.scores import scores
from engine.images.pixels import natural_side, read_pixels
from engine.images.sources import shown
from engine.runs.judge import judge
from engine.runs.rows import Rows, embed_dataset, graph_of, train_and_test, truth_codes
from engine.runs.run import Run, keep_final_checkpoint, kept_config, save_config, save_run
from engine.runs.training import StartJudge, below_kmeans, training_figures


@dataclass(frozen=True)
class Plan:
    """A training before it starts: the settings that will train, a sentence about it, and its seconds, about."""

    resolved: DeepSettings
    sentence: str
    seconds: float


def fit(
    method: Method,
    settings: Settings,
    rows: Rows,
    workspace: Workspace,
    *,
    start: Labels | None = None,
    progress: Progress = SILENT,
    checkpoints: Path | None = None,
) -> tuple[ClusterEstimator, Labels, NDArray[np.float32]]:
    """Fit on the training rows and label every row.

    Parameters
    ----------
    start : (n,) int32, optional
        A clustering of the rows for a deep method to start from; -1 where it has none.

    Returns
    -------
    estimator, labels (n,) int32, confidence (n,) float32
    """
    estimator = method.build(settings)
    estimator.cache = workspace.cache / "reductions"
    if start is not None:
        if not method.starts_from_labels or not isinstance(estimator, DeepEstimator):
            raise InputError(f"{method.title} does not start from another clustering.", "Leave the start run out.")
        estimator.start_from(start[rows.train])
    if method.takes == "images":
        return _fit_images(method, estimator, rows, workspace, progress, checkpoints)
    known = rows.training()
    if isinstance(estimator, DeepEstimator):
        estimator.judge = start_judge = StartJudge(known.vectors)
        estimator.generalisation = start_judge.score
    graph = graph_of(workspace, known, progress=progress) if estimator.wants_graph else None
    estimator.fit(_given(method, known), neighbors=graph, progress=progress, checkpoints=checkpoints)
    if not len(rows.test):
        return estimator, estimator.labels_, estimator.confidence_
    labels = np.empty(len(rows), dtype=np.int32)
    confidence = np.empty(len(rows), dtype=np.float32)
    labels[rows.train], confidence[rows.train] = estimator.labels_, estimator.confidence_
    labels[rows.test], confidence[rows.test] = estimator.predict_confidence(_given(method, rows.take(rows.test)))
    estimator.extra_ = {name: _spread(values, rows.train, len(rows)) for name, values in estimator.extra_.items()}
    return estimator, labels, confidence


def _given(method: Method, rows: Rows) -> Any:  # noqa: ANN401 - one table, or the list of tables that some methods take
    """Return what the method reads of the rows: their vectors, or where it takes several spaces those of each."""
    return [rows.vectors, *rows.further] if method.takes == "spaces" and rows.further else rows.vectors


def _fit_images(
    method: Method,
    estimator: ClusterEstimator,
    rows: Rows,
    workspace: Workspace,
    progress: Progress,
    checkpoints: Path | None,
) -> tuple[ClusterEstimator, Labels, NDArray[np.float32]]:
    """Fit a method that takes pixels; images that cannot be decoded any more are noise."""
    if rows.dataset.kind == "vectors":
        raise InputError("This method needs images; the data set holds vectors only.", "Choose another method.")
    side = method.image_side(estimator.settings) or natural_side(rows.width, rows.height)
    pixels = read_pixels(workspace, rows.dataset, rows.paths, rows.contents, side, progress=progress)
    train, test = train_and_test([rows.split[row] for row in pixels.rows.tolist()])
    apart = len(test) > 0 and not method.trains_on_all(estimator.settings)
    estimator.fit(pixels.images, progress=progress, checkpoints=checkpoints, train_rows=train if apart else None)  # type: ignore[call-arg, arg-type]
    if small := int((np.maximum(rows.width, rows.height) < side).sum()):
        estimator.notes_.append(f"{small:,} images are smaller than {side} px and were enlarged.")
    if lost := sorted(set(range(len(rows))) - set(pixels.rows.tolist())):
        named = ", ".join(shown(rows.paths[row]) for row in lost[:20]) + (", ..." if len(lost) > 20 else "")
        estimator.notes_.append(f"{len(lost):,} images could not be read any more and have no cluster: {named}.")
    labels = np.full(len(rows), -1, dtype=np.int32)
    labels[pixels.rows] = estimator.labels_
    confidence = np.zeros(len(rows), dtype=np.float32)
    confidence[pixels.rows] = estimator.confidence_
    estimator.extra_ = {name: _spread(values, pixels.rows, len(rows)) for name, values in estimator.extra_.items()}
    return estimator, labels, confidence


def _embed_with_trained(estimator: ClusterEstimator, rows: Rows, workspace: Workspace, progress: Progress) -> str:
    """Embed the data set with the network that a method trained, and return the configuration's key."""
    assert estimator.encoder_ is not None
    name, values = estimator.encoder_
    settings = find_encoder(name).settings_class.parse(values)
    device = estimator.get_params().get("device", "auto")
    made = embed_dataset(
        workspace, rows.dataset.id, name, settings, device=device, progress=progress, only=rows.contents
    )
    return made.embedding.config_key


def _spread(values: NDArray[Any], rows: NDArray[np.int64], n: int) -> NDArray[Any]:
    """Place training-row values in an array of all rows; NaN elsewhere."""
    spread = np.full((n, *values.shape[1:]), np.nan, dtype=np.float32)
    spread[rows] = values
    return spread


def measure(rows: Rows, labels: Labels) -> dict[str, Any]:
    """Return {"train": metrics, "test": metrics or None} of one labelling."""
    truth = truth_codes(rows.truth)
    if not len(rows.test):
        return {"train": scores(rows.vectors, labels, truth), "test": None}
    return {
        name: scores(rows.vectors[chosen], labels[chosen], None if truth is None else truth[chosen])
        for name, chosen in (("train", rows.train), ("test", rows.test))
    }


def cluster(
    workspace: Workspace,
    rows: Rows,
    method_name: str,
    settings: Settings,
    folder: Path,
    *,
    title: str = "",
    config: dict[str, Any] | None = None,
    start: Labels | None = None,
    progress: Progress = SILENT,
    seconds: dict[str, float] | None = None,
    judged: bool = True,
    notes: Sequence[str] = (),
) -> Run:
    """Cluster the rows and write the run folder; its config.json is there from the start, for a resume.

    Parameters
    ----------
    folder : Path
        The run's folder; it exists already.
    config : dict, optional
        What a job's config.json holds already; kept.
    start : (n,) int32, optional
        A clustering of the rows for a deep method to start from.
    seconds : dict, optional
        Times of earlier steps, written beside this one's.
    judged : bool
        Measure what the clustering is worth, which takes seconds; else `judge_run` does when it is asked.
    notes : sequence of str
        Sentences about the rows, kept before those of the method.
    """
    method = find_method(method_name)
    began = time.perf_counter()
    known = (config or {}) | configuration(rows, method.name, settings.model_dump(mode="json"), title)
    known["given"] = sorted(settings.model_fields_set)
    plan = planned(method, settings, rows)
    if plan is not None:
        known["resolved"] = plan.resolved.model_dump(mode="json")
    before = kept_config(folder)
    save_config(folder, known)
    try:
        estimator, labels, confidence = fit(
            method, settings, rows, workspace, start=start, progress=progress, checkpoints=folder / "checkpoints"
        )
    except KindredError:
        if before is not None:  # a refused resume leaves the run as it was
            save_config(folder, before)
        raise
    times = dict(seconds or {}) | {"cluster": time.perf_counter() - began}
    progress.update(0, 1, phase="scoring")
    results = measure(rows, labels) | {"seconds": times, "notes": [*notes, *estimator.notes_]}
    if method.kind == "deep":
        results["references"] = references(rows, workspace, len(np.unique(labels[labels >= 0])), progress=progress)
        results["training"] = _training(estimator, rows, labels)
        if method.takes != "images" and (plateau := below_kmeans(results)):
            results["notes"].append(plateau)
    times["score"] = time.perf_counter() - began - times["cluster"]
    if judged:
        progress.update(0, 1, phase="judging")
        judgement = judge(rows.vectors[rows.train], labels[rows.train], method, settings)
        results |= judgement.as_results()
        times["judge"] = judgement.seconds
    if method.kind == "deep":
        keep_final_checkpoint(folder)
    if method.counts_after_training and isinstance(estimator, DeepEstimator):
        estimator.save(folder / "model.pt")
    known["resolved"] = estimator.resolved_.model_dump(mode="json")
    if method.kind == "deep":
        results["resolved"] = known["resolved"]
    if estimator.encoder_ is not None:
        known["trained_embedding"] = _embed_with_trained(estimator, rows, workspace, progress)
    return save_run(
        folder,
        config=known,
        results=results,
        ids=rows.names,
        contents=rows.contents,
        paths=rows.paths,
        assignments=labels,
        confidence=confidence,
        truth=rows.truth,
        split=rows.split,
        extra=estimator.extra_,
    )


def planned(method: Method, settings: Settings, rows: Rows) -> Plan | None:
    """Return what a training of these rows will be: None for a method that does not train.

    Raises
    ------
    InputError
        What these rows or this machine cannot do.
    """
    if not isinstance(settings, DeepSettings):
        return None
    apart = len(rows.test) and not method.trains_on_all(settings)
    count, device = len(rows.train) if apart else len(rows), likely_device(settings.device).split(":")[0]
    images = method.takes == "images"
    side = (method.image_side(settings) or natural_side(rows.width, rows.height)) if images else 0
    resolved = settings.trained(count, device, side=side)
    columns = 3 * side * side if images else rows.vectors.shape[1]
    return Plan(
        resolved, forecast(settings, resolved, count, columns, device), duration(resolved, count, columns, device)
    )


def _training(estimator: ClusterEstimator, rows: Rows, labels: Labels) -> dict[str, Any]:
    """Return what a training did on the training rows; see `training_figures`."""
    known, truth = rows.training(), truth_codes(rows.truth)
    codes = None if truth is None else truth[rows.train]
    kept = labels[rows.train]
    if not isinstance(estimator, DeepEstimator):
        return training_figures(StartJudge(known.vectors), None, kept, kept, codes)
    judge = estimator.judge if isinstance(estimator.judge, StartJudge) else StartJudge(known.vectors)
    return training_figures(judge, estimator.start_labels_, estimator.trained_labels_, kept, codes)


def configuration(rows: Rows, method: str, settings: dict[str, Any], title: str) -> dict[str, Any]:
    """Return what a run's config.json says of its data, its method by name and its settings as plain values."""
    return {
        "title": title or f"{method_title(method)}, {rows.dataset.name}",
        "created": time.time(),
        "dataset": {"id": rows.dataset.id, "name": rows.dataset.name, "kind": rows.dataset.kind, "images": len(rows)},
        "embedding": {"config_key": rows.embedding.config_key, "key": rows.embedding.key},
        "method": method,
        "settings": settings,
        "python": platform.python_version(),
    }


def references(
    rows: Rows, workspace: Workspace, n_clusters: int, *, progress: Progress = SILENT
) -> dict[str, dict[str, Any]]:
    """Score k-means and umap-10 + k-means on the same embeddings: what a deep method must beat."""
    method = find_method("kmeans")
    probe = LinearProbe(rows.training().vectors)
    found: dict[str, dict[str, Any]] = {}
    for name, reduce in (("kmeans", "none"), ("umap_kmeans", "umap-10")):
        progress.update(len(found), 2, phase="references")
        values = {"n_clusters": max(1, min(n_clusters, len(rows))), "reduce": reduce}
        _, labels, _ = fit(method, method.settings_class.parse(values), rows, workspace)
        found[name] = measure(rows, labels)["train"] | {"generalisation": probe.measure(labels[rows.train]).score}
    return found
