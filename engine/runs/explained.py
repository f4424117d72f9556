"""Why are these clusters: the measures of a run's images beside its clusters, as they stand with a person's changes."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import StorageError
from engine.core.files import read_json, write_json
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.evaluation.explanation import FOLDER, Explanation, Integers, explain
from engine.images.measures import load_measures
from engine.runs.rows import Rows
from engine.runs.run import Run

FILE = "explanation.json"
_QUICK = 600  # clusters times measures that take under two seconds
_Numbers = dict[str, NDArray[np.float64]]
_Words = dict[str, NDArray[np.object_]]


def measures_of(workspace: Workspace, rows: Rows) -> tuple[_Numbers, _Words]:
    """Return the measures of rows as numbers and as words, by name, each (n,) in their order.

    The folder is left out where it is the truth: each folder then holds one known class.
    """
    found = load_measures(workspace, rows.dataset.id)
    at = rows.embedding.rows
    numbers = {name: values[at] for name, values in found.numbers.items()}
    words = {name: values[at] for name, values in found.words.items()}
    if len(at) and not _is_truth(found.folders[at], rows.truth):
        words[FOLDER] = found.folders[at]
    return numbers, words


def _is_truth(folders: NDArray[np.object_], truth: list[str | None]) -> bool:
    if not any(truth):
        return False
    classes: dict[str, str | None] = {}
    return all(classes.setdefault(folder, name) == name for folder, name in zip(folders, truth, strict=True))


def explain_rows(workspace: Workspace, rows: Rows, clusters: Integers, *, progress: Progress = SILENT) -> Explanation:
    """Return how far the measures of the files explain clusters (n,) of these rows."""
    return explain(clusters, *measures_of(workspace, rows), progress=progress)


def explained_quickly(workspace: Workspace, rows: Rows, n_clusters: int) -> bool:
    """Return whether explaining takes under two seconds, so that it needs no job."""
    found = load_measures(workspace, rows.dataset.id)
    return n_clusters * (len(found.numbers) + len(found.words) + 1) <= _QUICK


def keep_explanation(run: Run, clusters: Integers, found: Explanation) -> None:
    """Write explanation.json into the run's folder, where that may be written."""
    with suppress(StorageError):
        write_json(run.folder / FILE, found.as_dict() | {"of": clusters_name(clusters)})


def kept_explanation(run: Run, clusters: Integers) -> Explanation | None:
    """Return what explanation.json holds of exactly these clusters; None where it is missing, older or damaged."""
    path = run.folder / FILE
    try:
        kept: Any = read_json(path) if path.exists() else {}
        return Explanation.from_dict(kept) if kept["of"] == clusters_name(clusters) else None
    except (StorageError, KeyError, TypeError, ValueError):
        return None


def clusters_name(clusters: Integers) -> str:
    """Return a name for who is in which cluster."""
    return hashlib.blake2b(np.asarray(clusters, np.int32).tobytes(), digest_size=16).hexdigest()
