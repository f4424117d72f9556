"""Answers from the catalog that are kept while nothing they depend on has changed.

A page asks for the same tables at every click. While nobody has written to the catalog they hold without a look into
it. Else the version of the data set tells: when it was scanned, its options, how many rows it has, and the last row
ever added; rows are replaced, never rewritten.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from engine.core.catalog import changes, open_catalog
from engine.core.workspace import Workspace

Answer = TypeVar("Answer")
_KEPT = 6


@dataclass
class _Kept(Generic[Answer]):
    """An answer, the version of its data set, and the last state of the catalog in which it held."""

    version: tuple[Any, ...]
    answer: Answer
    seen: tuple[int, int] | None


_answers: OrderedDict[tuple[str, str, str], _Kept[Any]] = OrderedDict()
_lock = threading.Lock()


def version(db: sqlite3.Connection, dataset_id: str) -> tuple[Any, ...]:
    """Return what changes whenever the rows of a data set change."""
    dataset = db.execute("SELECT scanned, options, created FROM dataset WHERE id = ?", (dataset_id,)).fetchone()
    rows = db.execute("SELECT count(*) FROM image WHERE dataset = ?", (dataset_id,)).fetchone()
    last = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'image'").fetchone()
    return (*(dataset or ()), rows[0], last[0])


def remembered(workspace: Workspace, dataset_id: str, what: str, ask: Callable[[sqlite3.Connection], Answer]) -> Answer:
    """Return `ask(db)`, or the kept answer when the data set is as it was; answers are shared, so never change one.

    Parameters
    ----------
    what : str
        Names the question; the same name must always mean the same question.
    """
    key = (str(workspace.catalog), dataset_id, what)
    seen = changes(workspace.catalog)
    with _lock:
        kept: _Kept[Answer] | None = _answers.get(key)
        if kept is not None and seen is not None and kept.seen == seen:
            _answers.move_to_end(key)
            return kept.answer
    with open_catalog(workspace.catalog) as db:
        now = version(db, dataset_id)
        answer = kept.answer if kept is not None and kept.version == now else ask(db)
    with _lock:
        _answers[key] = _Kept(now, answer, seen)
        _answers.move_to_end(key)
        while len(_answers) > _KEPT:
            _answers.popitem(last=False)
    return answer
