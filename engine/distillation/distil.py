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
from engine.distillation.settings import BASELINES, TITLES, DistilSettings

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
        The method or baseline from whose images a classifier agrees best with the labels of the training split; test
        labels play no part.
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
    label_names: Sequence[str] | None = None,
    truth: Sequence[str | None] | NDArray[Any] | None = None,
    train: Indices | None = None,
    test: Indices | None = None,
    contents: Ids | None = None,
    settings: DistilSettings | None = None,
    output_dir: Path | None = None,
    known: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> DistilResult:
    """Make a small set on which a classifier trains almost as well as on all images, and measure it.

    Parameters
    ----------
    embeddings : (n, d) float32
    labels : (n,) int
        What is learned: cluster numbers, or numbers of `label_names`; -1 is left out.
    label_names : sequence of str, optional
        What the labels are called.
    truth : (n,) class names or numbers, optional
        None or -1 where unknown. Used only to map clusters to classes once, on train, and to measure on test;
        absent, accuracy is measured against the test rows' own pseudo-labels and the result says so.
    train, test : int64 row numbers, optional
        The data set's own split; both or neither. Absent, an 80/20 split stratified by content hash is made.
    contents : (n,) S16, optional
        Content ids; the hash of each row's bytes when absent.
    output_dir : Path, optional
        Receives results.json, config.json and one <method>.npz each.
    known : mapping, optional
        What else results.json is to hold, such as whose labels these are.

    Raises
    ------
    InputError
        One cluster only, nothing to make smaller, no test images, shapes that do not match.
    TrainingError
        A matching loss is no longer a number.
    """
    settings = (settings if settings is not None else DistilSettings()).resolved()
    started = time.perf_counter()
    notes: list[str] = []
    ready = prepare(embeddings, labels, truth, train, test, contents, settings, notes)
    from engine.distillation.runner import run_methods, score_everything, simple_sets

    made, seeds = run_methods(ready, settings, progress, notes)
    made |= simple_sets(ready, settings.images_per_class, seeds)
    unit_real = unit(ready.restored(ready.rows))
    near = {
        name: [nearest_images(unit(ready.restored(run.rows)), run.labels, unit_real, ready.labels) for run in runs]
        for name, runs in made.items()
    }
    sets = {name: _describe(ready, runs[0], *near[name][0]) for name, runs in made.items()}
    chosen: str = settings.methods[0]
    results = _empty_results(made)
    if settings.evaluate:
        progress.update(0, 1, phase="Measuring")
        results = score_everything(
            ready, settings, made, seeds, {name: [rows for rows, _ in found] for name, found in near.items()}
        )
        chosen = _best(results, settings.methods)
        notes.append(_verdict(results, chosen, settings.methods))
    count = len(sets[chosen].labels)
    results |= {
        "compression": len(ready.train) / count,
        "retention": scored_of(results, chosen).get("nearest_images", {}).get("retention"),
        "chosen": chosen,
        "preset": settings.preset,
        "measured_against": ready.against,
        "cluster_to_class": _mapping_table(ready, label_names),
        "images": {"train": len(ready.train), "test": len(ready.test), "distilled": count},
        "images_per_class": settings.images_per_class,
        "seeds": list(seeds),
        "seconds": time.perf_counter() - started,
        "notes": notes,
        **(known or {}),
    }
    result = DistilResult(results, sets, chosen, ready.train, ready.test, notes)
    if output_dir is not None:
        save(result, output_dir, settings, contents, label_names)
    return result


def save(
    result: DistilResult,
    folder: Path,
    settings: DistilSettings,
    contents: Ids | None,
    label_names: Sequence[str] | None = None,
) -> None:
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
        if label_names is not None:
            arrays["names"] = np.array(label_names)[made.labels]
        if contents is not None:
            arrays["nearest_contents"] = contents[made.nearest]
        files.save_arrays(folder / f"{name}.npz", **arrays)
    files.save_arrays(folder / "split.npz", train=result.train, test=result.test)
    files.write_json(folder / "results.json", result.results)


def nearest_images(
    unit_rows: Vectors, labels: Indices, unit_real: Vectors, real_labels: Indices
) -> tuple[Indices, Vectors]:
    """Return for each row an image of its class, (m,), and the cosine similarity to it, (m,).

    No image is named twice: of all ways to give the rows of a class different images, the one with the greatest sum
    of similarities.
    """
    from scipy.optimize import linear_sum_assignment

    nearest = np.zeros(len(unit_rows), dtype=np.int64)
    similarity = np.zeros(len(unit_rows), dtype=np.float32)
    for label in np.unique(labels):
        members, own = np.flatnonzero(real_labels == label), np.flatnonzero(labels == label)
        cosine = unit_rows[own] @ unit_real[members].T
        at, best = linear_sum_assignment(cosine, maximize=True)
        nearest[own[at]], similarity[own[at]] = members[best], cosine[at, best]
    return nearest, similarity


def _empty_results(made: Mapping[str, Any]) -> dict[str, Any]:
    nothing = {"mean": None, "std": None}
    simple = {name: dict(nothing) for name in made if name in BASELINES}
    return {
        "full": nothing,
        "distilled": {name: dict(nothing) for name in made if name not in BASELINES},
        "baselines": simple,
    }


def _best(results: dict[str, Any], methods: Sequence[str]) -> str:
    """Return whose images agree best with the training labels; of equals the first of the methods, then baselines."""
    names = [*(name for name in methods if name in results["distilled"]), "herding", "kmeans", "centroid"]
    return max(names, key=lambda name: scored_of(results, name)["nearest_images"]["agreement"])


def _verdict(results: dict[str, Any], chosen: str, methods: Sequence[str]) -> str:
    """Say what was gained over the best baseline, and whether matching added anything."""
    agreement = {
        name: scored_of(results, name)["nearest_images"]["agreement"]
        for name in (*results["distilled"], *results["baselines"])
    }
    simple = max(BASELINES, key=lambda name: agreement[name])
    if chosen in BASELINES:
        return (
            f"{TITLES[chosen]} is kept, though it trains nothing: from no method's images does a classifier get "
            f"more of the training labels right ({agreement[chosen]:.1%})."
        )
    told = (
        f"{TITLES[chosen]} is kept: from its images a classifier gets {agreement[chosen]:.1%} of the other training "
        f"labels right, from those of the best baseline ({TITLES[simple]}) {agreement[simple]:.1%}."
    )
    matching = [name for name in methods if name in results["distilled"] and name != "ridge"]
    if chosen == "ridge" and matching:
        told += " The images nearest to the matching methods' rows add nothing to that; their rows are kept as vectors."
    return told


def _mapping_table(ready: Prepared, label_names: Sequence[str] | None) -> dict[str, Any]:
    names = ready.classes
    called = [str(one) if label_names is None else label_names[one] for one in ready.clusters]
    if names is None:
        return dict(zip(called, called if label_names else ready.clusters.tolist(), strict=True))
    pairs = zip(called, ready.mapping, strict=True)
    return {cluster: names[own] if own >= 0 else None for cluster, own in pairs}


def scored_of(results: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the entry of a method or baseline in results.json."""
    found: dict[str, Any] = (results["distilled"] | results["baselines"])[name]
    return found


def _describe(ready: Prepared, run: SeedResult, nearest: Indices, similarity: Vectors) -> DistilledSet:
    """Go back to the given space and numbers."""
    return DistilledSet(
        vectors=ready.restored(run.rows),
        labels=ready.clusters[run.labels].astype(np.int32),
        nearest=ready.train[nearest],
        similarity=similarity,
        frozen=run.frozen,
        moved=float(np.linalg.norm(run.rows - run.start, axis=1).mean()),
        losses=np.asarray(run.losses, dtype=np.float32),
    )
