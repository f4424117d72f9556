"""Distil a clustered data set: embeddings and pseudo-labels in, a few rows per cluster and an honest report out.

`distil` is the one entry. Indices are made unit length, centred and scaled by one number, so that every
data set has mean squared length 1; synthetic rows leave in the unit-length space of the given embeddings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.core import files
from engine.core.ids import Ids
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors, unit
from engine.distillation.prepare import Indices, Prepared, prepare
from engine.distillation.settings import DistilSettings

if TYPE_CHECKING:
    from engine.distillation.runner import SeedResult


@dataclass(frozen=True)
class DistilledSet:
    """What one method made with the first seed.

    Attributes
    ----------
    vectors : (m, d) float32
        Synthetic embeddings, in the unit-length space of the given ones.
    labels : (m,) int32
        Their clusters, numbered as given.
    nearest : (m,) int64
        The real image of the same cluster that each row is nearest to, a row of the given embeddings.
    similarity : (m,) float32
        Cosine similarity to it.
    frozen : (m,) bool
        Indices that stayed the real image they started from.
    moved : float
        Mean distance from start to end, in units of the root mean square length of a row.
    losses : (steps,) float32
        The matching loss of each outer step.
    """

    vectors: Vectors
    labels: NDArray[np.int32]
    nearest: Indices
    similarity: Vectors
    frozen: NDArray[np.bool_]
    moved: float
    losses: Vectors


@dataclass(frozen=True)
class DistilResult:
    """A finished distillation.

    Attributes
    ----------
    results : dict
        What results.json holds.
    sets : dict of str to DistilledSet
        By method.
    chosen : str
        The method that agrees best with the pseudo-labels of the training split; test labels play no part.
    train, test : int64 row numbers
    notes : list of str
    """

    results: dict[str, Any]
    sets: dict[str, DistilledSet]
    chosen: str
    train: Indices
    test: Indices
    notes: list[str] = field(default_factory=list)


def distil(
    embeddings: Vectors,
    labels: NDArray[Any],
    *,
    truth: Sequence[str | None] | NDArray[Any] | None = None,
    train: Indices | None = None,
    test: Indices | None = None,
    contents: Ids | None = None,
    settings: DistilSettings | None = None,
    output_dir: Path | None = None,
    progress: Progress = SILENT,
) -> DistilResult:
    """Make a small set on which a classifier trains almost as well as on all images, and measure it.

    Parameters
    ----------
    embeddings : (n, d) float32
    labels : (n,) int
        Pseudo-labels (cluster numbers); -1 is left out.
    truth : (n,) class names or numbers, optional
        None or -1 where unknown. Used only to map clusters to classes once, on train, and to measure on test;
        absent, accuracy is measured against the test rows' own pseudo-labels and the result says so.
    train, test : int64 row numbers, optional
        The data set's own split; both or neither. Absent, an 80/20 split stratified by content hash is made.
    contents : (n,) S16, optional
        Content ids; the hash of each row's bytes when absent.
    output_dir : Path, optional
        Receives results.json, config.json and one <method>.npz each.

    Raises
    ------
    InputError
        One cluster only, nothing to make smaller, no test images, shapes that do not match.
    TrainingError
        A matching loss is no longer a number.
    """
    settings = settings if settings is not None else DistilSettings()
    started = time.perf_counter()
    notes: list[str] = []
    ready = prepare(embeddings, labels, truth, train, test, contents, settings, notes)
    from engine.distillation.runner import run_methods, score_everything

    made, seeds = run_methods(ready, settings, progress, notes)
    sets = {name: _describe(ready, runs[0]) for name, runs in made.items()}
    chosen: str = next(iter(made))
    results = _empty_results(made)
    if settings.evaluate:
        progress.say("Measuring the distilled sets against full data and baselines.")
        results, chosen = score_everything(ready, settings, made, seeds, {k: v.nearest for k, v in sets.items()}, notes)
    count = len(sets[chosen].labels)
    results |= {
        "compression": len(ready.train) / count,
        "retention": results["distilled"][chosen].get("retention"),
        "chosen": chosen,
        "measured_against": ready.against,
        "cluster_to_class": _mapping_table(ready),
        "images": {"train": len(ready.train), "test": len(ready.test), "distilled": count},
        "images_per_class": settings.images_per_class,
        "seeds": list(seeds),
        "seconds": time.perf_counter() - started,
        "notes": notes,
    }
    result = DistilResult(results, sets, chosen, ready.train, ready.test, notes)
    if output_dir is not None:
        save(result, output_dir, settings, contents)
    return result


def save(result: DistilResult, folder: Path, settings: DistilSettings, contents: Ids | None) -> None:
    """Write results.json last, after config.json and one <method>.npz for each method."""
    files.write_json(folder / "config.json", settings.model_dump(mode="json"))
    for name, made in result.sets.items():
        arrays: dict[str, NDArray[Any]] = {
            "vectors": made.vectors,
            "labels": made.labels,
            "nearest": made.nearest,
            "similarity": made.similarity,
            "frozen": made.frozen,
            "losses": made.losses,
        }
        if contents is not None:
            arrays["nearest_contents"] = contents[made.nearest]
        files.save_arrays(folder / f"{name}.npz", **arrays)
    files.save_arrays(folder / "split.npz", train=result.train, test=result.test)
    files.write_json(folder / "results.json", result.results)


def _empty_results(made: Mapping[str, Any]) -> dict[str, Any]:
    nothing = {"mean": None, "std": None}
    return {"full": nothing, "distilled": {name: dict(nothing) for name in made}, "baselines": {}}


def _mapping_table(ready: Prepared) -> dict[str, Any]:
    names = ready.classes
    if names is None:
        return {str(cluster): int(cluster) for cluster in ready.clusters}
    pairs = zip(ready.clusters, ready.mapping, strict=True)
    return {str(cluster): names[own] if own >= 0 else None for cluster, own in pairs}


def _describe(ready: Prepared, run: SeedResult) -> DistilledSet:
    """Name the nearest real image of the same cluster for each row, and go back to the given space."""
    vectors = run.rows * ready.scale + ready.mean
    real = ready.rows * ready.scale + ready.mean
    unit_vectors, unit_real = unit(vectors), unit(real)
    nearest = np.zeros(len(vectors), dtype=np.int64)
    similarity = np.zeros(len(vectors), dtype=np.float32)
    for cluster in range(len(ready.clusters)):
        members = np.flatnonzero(ready.labels == cluster)
        own = np.flatnonzero(run.labels == cluster)
        cosine = unit_vectors[own] @ unit_real[members].T
        best = cosine.argmax(axis=1)
        nearest[own], similarity[own] = members[best], cosine[np.arange(len(own)), best]
    return DistilledSet(
        vectors=vectors.astype(np.float32),
        labels=ready.clusters[run.labels].astype(np.int32),
        nearest=ready.train[nearest],
        similarity=similarity,
        frozen=run.frozen,
        moved=float(np.linalg.norm(run.rows - run.start, axis=1).mean()),
        losses=np.asarray(run.losses, dtype=np.float32),
    )
