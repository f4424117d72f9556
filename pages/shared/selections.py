"""What a person drew or found, kept in the cache under a short name; that name in the address brings it back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import StorageError
from engine.core.files import read_json, save_arrays, write_json
from engine.core.ids import Ids
from engine.core.workspace import Workspace

_KEPT = 200  # selections in the cache; the oldest go


def keep_drawing(workspace: Workspace, version: str, regions: list[dict[str, Any]]) -> str:
    """Keep the shapes drawn on a map of a version; returns their name."""
    name = hashlib.blake2b(repr((version, regions)).encode(), digest_size=6).hexdigest()
    path = workspace.selections / f"{name}.json"
    if not path.exists():
        write_json(_place(path), {"version": version, "regions": regions})
    return name


def kept_drawing(workspace: Workspace, name: str, version: str) -> list[dict[str, Any]]:
    """Return the shapes of a name, none where they are gone or were drawn on another map."""
    if not name.isalnum():
        return []
    try:
        found = read_json(workspace.selections / f"{name}.json")
        return list(found["regions"]) if found["version"] == version else []
    except (StorageError, KeyError, TypeError):
        return []


def keep_found(workspace: Workspace, contents: Ids, words: str, *, ranked: bool) -> str:
    """Keep the images of an answer, in order; returns its name."""
    digest = hashlib.blake2b(contents.tobytes(), digest_size=6)
    digest.update(repr((words, ranked)).encode())
    path = workspace.selections / f"{digest.hexdigest()}.npz"
    if not path.exists():
        said = {"words": np.array(words, np.str_), "ranked": np.array(ranked)}
        save_arrays(_place(path), contents=np.frombuffer(contents.tobytes(), np.uint8), **said)
    return digest.hexdigest()


def kept_found(workspace: Workspace, name: str) -> tuple[Ids, str, bool] | None:
    """Return the images of a name, what was looked for and whether their order says something; None if it is gone."""
    path = workspace.selections / f"{name}.npz"
    if not name.isalnum() or not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            ids: NDArray[Any] = file["contents"].view("S16")
            return ids, str(file["words"]), bool(file["ranked"])
    except (OSError, ValueError, KeyError):
        return None


def _place(path: Path) -> Path:
    """Make the folder of a selection, and room for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = sorted(path.parent.iterdir(), key=lambda other: other.stat().st_mtime)
    for old in kept[: max(0, len(kept) - _KEPT + 1)]:
        old.unlink(missing_ok=True)
    return path
