"""The labels of the keys 1 to 9: fixed until the person changes them, and kept with the data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.core.errors import StorageError
from engine.core.files import read_json, write_json
from pages.shared.board import Board

MOST = 9


def _path(board: Board) -> Path:
    return board.now.workspace.library / "keys" / f"{board.rows.dataset.id}.json"


def _read(board: Board) -> tuple[list[str], list[str]]:
    """Return the labels on the keys, and those that the person took off."""
    if not _path(board).exists():
        return [], []
    try:
        found = read_json(_path(board))
        return [str(label) for label in found["labels"]][:MOST], [str(label) for label in found["off"]]
    except (StorageError, KeyError, TypeError):
        return [], []


def key_labels(board: Board) -> list[str]:
    """Return the labels of the keys 1, 2, ...; a label that is used for the first time takes the next free key.

    A label that no step gives any more, because each was undone, leaves its key; redone, it takes the next free one.
    """
    kept, off = _read(board)
    used = _used(board)
    labels = [label for label in kept if label in set(used)]
    for label in used if len(labels) < MOST else ():
        if label not in labels and label not in off:
            labels.append(label)
            if len(labels) == MOST:
                break
    if labels != kept:
        write_json(_path(board), {"labels": labels, "off": off})
    return labels


def arrange_keys(board: Board, labels: Sequence[str]) -> None:
    """Keep the order that the person gave the labels; one that is missing is off the keys until it is put back."""
    known, off = _read(board)
    chosen = [label for label in dict.fromkeys(labels) if label in known]
    write_json(_path(board), {"labels": chosen, "off": [*off, *(label for label in known if label not in chosen)]})


def _used(board: Board) -> list[str]:
    """Return the labels given so far, in the order of their first use."""
    names: dict[str, None] = {}
    for event in board.history.effective()[0]:
        groups = (*event.detail.get("labels", ()), *event.detail.get("parts", ()))
        for text in (event.detail.get("label"), *(group[0] for group in groups)):
            if text:
                names.setdefault(str(text))
    return list(names)
