"""Answers from the catalog that are kept while nothing they depend on has changed.

A page asks for the same tables at every click. The version of a data set is cheap to read: when it was scanned,
its options, how many rows it has, and the last row ever added; rows are replaced, never rewritten.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from engine.core.catalog import open_catalog
from engine.core.workspace import Workspace

Answer = TypeVar("Answer")
_KEPT = 6
_answers: OrderedDict[tuple[str, str, str], tuple[tuple[Any, ...], Any]] = OrderedDict()
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
    with open_catalog(workspace.catalog) as db:
        now = version(db, dataset_id)
        with _lock:
            kept = _answers.get(key)
            if kept is not None and kept[0] == now:
                _answers.move_to_end(key)
                answer: Answer = kept[1]
                return answer
        answer = ask(db)
    with _lock:
        _answers[key] = now, answer
        while len(_answers) > _KEPT:
            _answers.popitem(last=False)
    return answer
