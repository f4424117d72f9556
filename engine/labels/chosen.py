"""Which images an action on labels is about: rows checked, without the locked ones, in the order of their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.labels.replay import Rows
from engine.labels.sentences import all_personal
from engine.labels.state import LOCKED, LabelState


def chosen_rows(state: LabelState, rows: NDArray[Any]) -> Rows:
    """Return row numbers from row numbers or a mask, each once, in the order given."""
    chosen = np.asarray(rows)
    if chosen.dtype == bool:
        if len(chosen) != len(state):
            raise InputError(f"A mask needs {len(state):,} entries, not {len(chosen):,}.")
        chosen = np.flatnonzero(chosen)
    if len(chosen) and not (0 <= int(chosen.min()) and int(chosen.max()) < len(state)):
        raise InputError("Some of these images are not in this view any more.", "Reload the page.")
    unique = np.unique(chosen)
    if len(unique) < len(chosen):
        raise InputError("An image was selected twice.")
    return chosen.astype(np.int64)


def kept_of(state: LabelState, rows: Rows, label: str | None = None) -> int:
    """Return how many images keep the label that a person gave them, refusing where all of them do."""
    kept = state.by_you(rows, label)
    if kept == len(rows):
        raise InputError(all_personal(state), "Include them, or choose others.")
    return kept


def unlocked(state: LabelState, rows: Rows) -> Rows:
    """Return those of the rows that are not locked."""
    return rows[state.status[rows] != LOCKED]


def sample(rows: Rows, limit: int) -> Rows:
    """Return at most `limit` of the rows, evenly spread."""
    if len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]


def order_of(labels: Sequence[str | None]) -> Rows:
    """Return the places of equal labels together, in the order that the labels first come in."""
    table: dict[str | None, int] = {}
    return np.argsort(np.array([table.setdefault(label, len(table)) for label in labels], np.int64), kind="stable")


def runs_of(labels: Sequence[str | None]) -> list[tuple[str | None, int]]:
    """Return each label and how often it comes, in the order that they first come in."""
    return list(Counter(labels).items())


def grouped(rows: Rows, labels: Sequence[str | None]) -> tuple[Rows, list[tuple[str | None, int]]]:
    """Order rows by label; return them and the runs."""
    return rows[order_of(labels)], runs_of(labels)
