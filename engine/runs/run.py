"""A finished clustering as a folder that a colleague can open, check and continue.

config.json says what was done, results.json how good it is, predictions.npz holds one row per image
(`ids`, `paths`, `assignments`, `labels` where truth is known, `confidence`, `split`, and `contents` where the ids
are not content ids themselves), labels.csv one line per file. Runs live in library/runs or wherever
`--results-dir` pointed; they are opened by their folder.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, StorageError
from engine.core.files import load_arrays, read_json, save_arrays, storage_errors, write_json
from engine.core.ids import Ids, from_hex, to_hex
from engine.core.workspace import Workspace

FORMAT = 1
_KINDS: dict[str, type | tuple[type, ...]] = {
    "dataset": dict,
    "embedding": dict,
    "settings": dict,
    "resolved": dict,
    "tags": list,
    "created": (int, float),
}
_PARTS: dict[str, Any] = {"train": dict, "test": dict | None, "seconds": dict, "notes": list}
_AGAIN = "Run the clustering again."


@dataclass(frozen=True)
class Run:
    """A run folder, opened. Arrays are read when asked."""

    folder: Path
    config: dict[str, Any]

    @property
    def name(self) -> str:
        """What the person calls it, else the folder's name."""
        return str(self.config.get("title") or self.folder.name)

    @property
    def method(self) -> str:
        """The clustering method's name in the registry."""
        return str(self.config.get("method", ""))

    @property
    def dataset(self) -> str:
        """The data set's id in the catalog it was made with."""
        return str(self.config.get("dataset", {}).get("id", ""))

    @property
    def tags(self) -> list[str]:
        """Words that the person filed it under."""
        return [str(tag) for tag in self.config.get("tags", [])]

    @property
    def created(self) -> float:
        """Seconds since the epoch."""
        return float(self.config.get("created", 0.0))

    @property
    def finished(self) -> bool:
        """Whether the results are there."""
        return (self.folder / "results.json").exists() and (self.folder / "predictions.npz").exists()

    @cached_property
    def results(self) -> dict[str, Any]:
        """The metrics: train, test or null, seconds, notes.

        Raises
        ------
        StorageError
            Damaged, or edited into something else.
        """
        path = self.folder / "results.json"
        found: dict[str, Any] = read_json(path)
        whole = isinstance(found, dict) and "train" in found
        if not whole or not all(isinstance(found[name], kind) for name, kind in _PARTS.items() if name in found):
            raise StorageError(f"{path} does not hold a run's results.", "It was edited; restore it or run again.")
        return found

    @cached_property
    def predictions(self) -> dict[str, NDArray[Any]]:
        """The arrays of predictions.npz.

        Raises
        ------
        StorageError
            Damaged or incomplete.
        """
        path = self.folder / "predictions.npz"
        found = load_arrays(path, hint=_AGAIN)
        missing = {"ids", "assignments"} - found.keys()
        if missing:
            raise StorageError(f"{path} lacks {', '.join(sorted(missing))}.", _AGAIN)
        n = len(np.atleast_1d(found["ids"]))
        for name in ("contents", "assignments", "confidence", "labels", "split", "paths"):
            if name in found and found[name].shape != (n,):
                raise StorageError(f"{path}: {name} has shape {found[name].shape} for {n:,} ids.", _AGAIN)
        found.setdefault("confidence", np.full(n, np.nan, np.float32))
        return found

    @property
    def contents(self) -> Ids:
        """Content ids of the rows, (n,) S16.

        Raises
        ------
        StorageError
            They are not content ids.
        """
        texts = self.predictions.get("contents", self.predictions["ids"]).tolist()
        try:
            found = from_hex(texts)
        except (ValueError, TypeError):
            found = from_hex([])
        if len(found) != len(texts):
            raise StorageError(f"{self.folder / 'predictions.npz'}: the ids are not content ids.", _AGAIN)
        return found

    @property
    def assignments(self) -> NDArray[np.int32]:
        """Cluster of each row, (n,) int32, -1 is noise."""
        return self.predictions["assignments"].astype(np.int32)


def folder_name(method: str, dataset: str, n_clusters: int | None) -> str:
    """Return `<method>_<dataset>_<k>clusters_<timestamp>` from safe characters only."""
    slug = re.sub(r"[^A-Za-z0-9-]+", "-", dataset).strip("-")[:40] or "data"
    count = f"{n_clusters}clusters" if n_clusters else "auto"
    return f"{method}_{slug}_{count}_{time.strftime('%Y%m%d-%H%M%S')}"


def make_parent(parent: Path) -> None:
    """Make sure that runs can be written into `parent`.

    Raises
    ------
    InputError
        It is a file, or lies below one.
    StorageError
        No permission, or the disk is full.
    """
    try:
        with storage_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{parent} is not a folder.", "Name a folder for the results; it is made if needed."
        ) from error
    if not os.access(parent, os.W_OK | os.X_OK):
        raise StorageError(f"No permission to write {parent}.", "Choose another folder or change its permissions.")


def new_folder(parent: Path, name: str) -> Path:
    """Create `parent/name`, with a counter behind it when it is taken.

    Raises
    ------
    InputError
        `parent` is no folder.
    StorageError
        No permission, or too many runs of that name.
    """
    make_parent(parent)
    for attempt in range(1000):
        folder = parent / (name if attempt == 0 else f"{name}_{attempt + 1}")
        with storage_errors(folder):
            try:
                folder.mkdir()
            except FileExistsError:
                continue
        return folder
    raise StorageError(f"{parent} holds too many runs called {name}.")


def drop_empty(folder: Path) -> None:
    """Remove a run folder that holds nothing but its configuration: the run was refused before it began."""
    if {item.name for item in folder.iterdir()} <= {"config.json"}:
        shutil.rmtree(folder)


def keep_final_checkpoint(folder: Path) -> None:
    """Give the newest checkpoint a second name that lasts, final_checkpoint.pt; a copy where the disk has no links."""
    found = list((folder / "checkpoints").glob("checkpoint_epoch*.pt"))
    if not found:
        return
    newest, target = max(found, key=lambda path: path.stat().st_mtime_ns), folder / "final_checkpoint.pt"
    target.unlink(missing_ok=True)
    try:
        os.link(newest, target)
    except OSError:
        with storage_errors(target):
            shutil.copyfile(newest, target)


def save_run(
    folder: Path,
    *,
    config: dict[str, Any],
    results: dict[str, Any],
    contents: Ids,
    paths: Sequence[bytes],
    assignments: NDArray[np.int32],
    confidence: NDArray[np.float32],
    truth: Sequence[str | None],
    split: Sequence[str],
    ids: Sequence[str] | None = None,
    extra: dict[str, NDArray[Any]] | None = None,
) -> Run:
    """Write config.json, predictions.npz and, last, results.json: its presence says that the run is whole.

    Parameters
    ----------
    contents, paths, assignments, confidence, truth, split : length n
        One entry per analysis row.
    ids : sequence of str, optional
        What others know the rows by; content ids when absent.
    extra : dict, optional
        Further per-row arrays, such as an uncertainty.
    """
    content_ids = to_hex(contents)
    arrays: dict[str, NDArray[Any]] = {
        "ids": np.array(content_ids if ids is None else ids),
        "paths": np.array([path.decode("utf-8", "backslashreplace") for path in paths]),
        "assignments": assignments.astype(np.int32),
        "confidence": confidence.astype(np.float32),
        "split": np.array(split),
    }
    if any(name is not None for name in truth):
        arrays["labels"] = np.array([name or "" for name in truth])
    if ids is not None and list(ids) != content_ids:
        arrays["contents"] = np.array(content_ids)
    save_config(folder, config)
    save_arrays(folder / "predictions.npz", **arrays, **(extra or {}))
    write_json(folder / "results.json", results)
    return Run(folder, config)


def kept_config(folder: Path) -> dict[str, Any] | None:
    """Return what config.json says now, None where there is none."""
    path = folder / "config.json"
    if not path.exists():
        return None
    found: dict[str, Any] = read_json(path)
    return found


def save_config(folder: Path, config: dict[str, Any]) -> None:
    """Write config.json."""
    write_json(folder / "config.json", config | {"format": FORMAT})


def open_run(folder: Path) -> Run:
    """Open a run by its folder.

    Raises
    ------
    InputError
        No run there, or one of a newer format.
    """
    path = folder / "config.json"
    if not path.exists():
        raise InputError(f"{folder} holds no run: config.json is missing.", "Name a run's own folder.")
    config = read_json(path)
    if not isinstance(config, dict):
        raise StorageError(f"{path} is not a run's configuration.", "It was edited; restore it or run again.")
    if not isinstance(config.get("format", FORMAT), int):
        raise StorageError(f"{path} has no readable format number.", "It was edited; restore it or run again.")
    if config.get("format", FORMAT) > FORMAT:
        raise InputError(f"{folder.name} was written by a newer Kindred.", "Update Kindred to open it.")
    wrong = [name for name, kind in _KINDS.items() if name in config and not isinstance(config[name], kind)]
    if wrong:
        raise StorageError(f"{path}: {wrong[0]} is not what it should be.", "It was edited; restore it or run again.")
    return Run(folder, config)


def list_runs(workspace: Workspace, dataset: str | None = None) -> list[Run]:
    """Return the finished runs of the library, newest first."""
    return runs_in(workspace.runs, dataset)


def runs_in(parent: Path, dataset: str | None = None) -> list[Run]:
    """Return the finished runs of a folder, of one data set if it is named, newest first; unreadable ones left out."""
    found = []
    for folder in parent.iterdir() if parent.is_dir() else ():
        if not (folder / "results.json").exists() or not (folder / "predictions.npz").exists():
            continue
        try:
            run = open_run(folder)
        except (InputError, StorageError):
            continue
        if dataset is None or run.dataset == dataset:
            found.append(run)
    return sorted(found, key=lambda run: run.created, reverse=True)


def find_run(workspace: Workspace, name: str) -> Run:
    """Open the run of the library whose folder is called `name`; never a path outside the library.

    Raises
    ------
    InputError
    """
    folder = workspace.runs / name
    if Path(name).name != name or name == ".." or not folder.is_dir():
        raise InputError(f"There is no run {name!r}.", "It may have been deleted; choose another.")
    return open_run(folder)


def update_config(run: Run, **values: Any) -> Run:  # noqa: ANN401 - JSON is any
    """Change a run's title or tags."""
    config = read_json(run.folder / "config.json") | values
    write_json(run.folder / "config.json", config)
    return Run(run.folder, config)
