"""What a person drew or found, kept in the cache under a short name; that name in the address brings it back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import StorageError
from engine.core.files import read_json, save_arrays, write_json
from engine.core.ids import Ids
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace

_KEPT = 200  # selections in the cache; the oldest go


def _no_ids() -> Ids:
    return np.empty(0, "S16")


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


@dataclass(frozen=True)
class Asked:
    """What a search looks for: a query of words or a picture, and examples that refine it or stand alone.

    Attributes
    ----------
    words : str
        What the query is, in words; empty without one.
    start : (d,) or (0,) float32
        The query, in the space of `embedding`.
    embedding : str
        Key of the configuration that the query belongs to.
    more, less : (m,) and (l,) content ids
        Images that the answer should be like, and unlike.
    """

    words: str = ""
    start: Vectors = field(default_factory=lambda: np.empty(0, np.float32))
    embedding: str = ""
    more: Ids = field(default_factory=_no_ids)
    less: Ids = field(default_factory=_no_ids)


@dataclass(frozen=True)
class Answer:
    """Images that were found.

    Attributes
    ----------
    contents : (m,) content ids
        In order.
    words : str
        What was looked for.
    ranked : bool
        Whether their order says something: the nearest first.
    asked : Asked or None
        How the search can be refined; None for what is no search.
    """

    contents: Ids
    words: str
    ranked: bool
    asked: Asked | None = None


def keep_found(workspace: Workspace, answer: Answer) -> str:
    """Keep an answer; returns its name."""
    said: dict[str, NDArray[Any]] = {
        "contents": np.frombuffer(answer.contents.tobytes(), np.uint8),
        "words": np.array(answer.words, np.str_),
        "ranked": np.array(answer.ranked),
    }
    if (asked := answer.asked) is not None:
        said |= {
            "query": np.array([asked.words, asked.embedding], np.str_),
            "start": asked.start,
            "more": np.frombuffer(asked.more.tobytes(), np.uint8),
            "less": np.frombuffer(asked.less.tobytes(), np.uint8),
        }
    digest = hashlib.blake2b(digest_size=6)
    for name, array in said.items():
        digest.update(f"{name} {array.shape} ".encode() + array.tobytes())
    path = workspace.selections / f"{digest.hexdigest()}.npz"
    if not path.exists():
        save_arrays(_place(path), **said)
    return digest.hexdigest()


def kept_found(workspace: Workspace, name: str) -> Answer | None:
    """Return the answer of a name; None if it is gone."""
    path = workspace.selections / f"{name}.npz"
    if not name.isalnum() or not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            asked = None
            if "query" in file:
                words, embedding = map(str, file["query"])
                examples = (file[part].view("S16") for part in ("more", "less"))
                asked = Asked(words, file["start"], embedding, *examples)
            return Answer(file["contents"].view("S16"), str(file["words"]), bool(file["ranked"]), asked)
    except (OSError, ValueError, KeyError):
        return None


def _place(path: Path) -> Path:
    """Make the folder of a selection, and room for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = sorted(path.parent.iterdir(), key=lambda other: other.stat().st_mtime)
    for old in kept[: max(0, len(kept) - _KEPT + 1)]:
        old.unlink(missing_ok=True)
    return path
