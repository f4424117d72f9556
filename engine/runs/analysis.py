"""Everything a finished run says about itself, recomputed from its folder without clustering again.

In flow a run and, where they still exist, the rows it was made on; out come metrics for train and test, how
the images spread over the clusters and, in detail, every class and cluster. analysis.json keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import StorageError
from engine.core.files import read_json, write_json
from engine.core.ids import positions
from engine.core.labels import encode
from engine.evaluation.agreement import accuracy, ari, contingency, nmi, per_class, per_cluster, random_accuracy
from engine.evaluation.scores import scores
from engine.runs.rows import Rows, train_and_test
from engine.runs.run import Run


def distribution(labels: NDArray[np.int32], n_clusters: int) -> dict[str, Any]:
    """Return how the images spread over the clusters.

    Parameters
    ----------
    labels : (n,) int32
        -1 is noise.
    n_clusters : int
        Clusters that were asked for or found; those without images count as empty.
    """
    sizes = np.bincount(labels[labels >= 0], minlength=n_clusters)
    active = sizes[sizes > 0]
    noise_share = float(np.mean(labels < 0)) if len(labels) else None
    if not len(active):
        nothing = dict.fromkeys(("mean", "std", "min", "max", "cv"))
        return {"active": 0, "empty": int(len(sizes)), **nothing, "noise_share": noise_share}
    return {
        "active": int(len(active)),
        "empty": int((sizes == 0).sum()),
        "mean": float(active.mean()),
        "std": float(active.std()),
        "min": int(active.min()),
        "max": int(active.max()),
        "cv": float(active.std() / active.mean()),
        "noise_share": noise_share,
    }


def _agreement(labels: NDArray[np.int32], truth: NDArray[np.int32]) -> dict[str, Any]:
    known = truth >= 0
    if not known.any():
        return {}
    labels, truth = labels[known], truth[known]
    return {
        "accuracy": accuracy(truth, labels),
        "nmi": nmi(truth, labels),
        "ari": ari(truth, labels),
        "random_accuracy": random_accuracy(truth, len(np.unique(labels[labels >= 0]))),
    }


def analyze(run: Run, rows: Rows | None = None, *, detailed: bool = False) -> dict[str, Any]:
    """Return the analysis of a run.

    Parameters
    ----------
    rows : Rows, optional
        The images with their vectors; without them there is no silhouette, and the result says so.
    detailed : bool
        Also every class, every cluster and the contingency table: those of the train part at the top, those of the
        test part, where its truth is known, under "test_details".

    Raises
    ------
    StorageError
        predictions.npz is missing or damaged.
    """
    found = run.predictions
    labels = run.assignments
    truth, names = encode(found["labels"].tolist()) if "labels" in found else (np.full(len(labels), -1, np.int32), [])
    split = found.get("split", np.full(len(labels), ""))
    asked = run.config.get("resolved", {}).get("n_clusters")
    n_clusters = asked if isinstance(asked, int) and asked > 0 else int(labels.max(initial=-1)) + 1
    result: dict[str, Any] = {
        "run": run.folder.name,
        "method": run.method,
        "images": len(labels),
        "classes": names,
        "notes": list(run.results.get("notes", [])),
    }
    train, test = train_and_test(split.tolist())
    parts = {"train": np.isin(np.arange(len(labels)), train), "test": np.isin(np.arange(len(labels)), test)}
    for name, chosen in parts.items():
        result[name] = None
        if chosen.any():
            result[name] = {
                **_agreement(labels[chosen], truth[chosen]),
                "distribution": distribution(labels[chosen], n_clusters),
            }
    if rows is None:
        result["notes"].append("The embeddings are not in the cache, so there is no silhouette.")
    else:
        _add_silhouettes(result, run, rows, parts)
    if detailed and names:
        result |= _details(labels, truth, names, parts["train"] & (truth >= 0))
        tested = parts["test"] & (truth >= 0)
        if tested.any():
            result["test_details"] = _details(labels, truth, names, tested)
    return result


def _details(
    labels: NDArray[np.int32], truth: NDArray[np.int32], names: Sequence[str], chosen: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return every class, every cluster and the contingency table of the chosen images."""
    labels, truth = labels[chosen], truth[chosen]
    classes = [{**row, "class": names[int(row["class"])]} for row in per_class(truth, labels)]
    clusters = [
        {**row, "class": names[int(row["class"])] if row["class"] >= 0 else None} for row in per_cluster(truth, labels)
    ]
    return {"per_class": classes, "per_cluster": clusters, "contingency": contingency(truth, labels)}


def _add_silhouettes(result: dict[str, Any], run: Run, rows: Rows, parts: dict[str, NDArray[np.bool_]]) -> None:
    """Add the scores that need embeddings, over the run's own images and split; images that came later do not count."""
    at = positions(run.contents, rows.contents)
    for name, chosen in parts.items():
        here = np.append(chosen, False)[at]
        if result[name] is not None and here.any():
            found = scores(rows.vectors[here], run.assignments[at[here]])
            result[name] |= {key: found[key] for key in ("silhouette", "balance", "composite", "largest_share")}


def read_analysis(run: Run, *, silhouette: bool = True) -> dict[str, Any] | None:
    """Return the detailed analysis that the run's folder holds.

    None where it is missing, older than the predictions, damaged, edited, not detailed, or without the silhouette
    that is wanted: it is made again then.
    """
    path, made = run.folder / "analysis.json", run.folder / "predictions.npz"
    if not path.exists() or not made.exists() or path.stat().st_mtime < made.stat().st_mtime:
        return None
    try:
        kept = read_json(path)
    except StorageError:
        return None
    if not isinstance(kept, dict) or not {"train", "test", "classes", "notes"} <= kept.keys():
        return None
    if not isinstance(kept["train"], dict) or "distribution" not in kept["train"]:
        return None
    if silhouette and "silhouette" not in kept["train"]:
        return None
    return kept if "contingency" in kept or not kept["classes"] else None


def kept_analysis(run: Run, rows: Rows | None = None) -> dict[str, Any]:
    """Return the detailed analysis, from analysis.json where it is newer than the predictions.

    A folder that may not be written, such as a colleague's, is analysed all the same.
    """
    kept = read_analysis(run, silhouette=rows is not None)
    if kept is not None:
        return kept
    found = analyze(run, rows, detailed=True)
    with suppress(StorageError):
        write_json(run.folder / "analysis.json", found)
    return found
