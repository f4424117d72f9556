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


@dataclass
class _Kept(Generic[Answer]):
    """An answer, the version of its data set, and the last state of the catalog in which it held."""

    version: tuple[Any, ...]
    answer: Answer
    seen: tuple[int, int] | None


_answers: dict[tuple[str, str], OrderedDict[str, _Kept[Any]]] = {}  # by catalog and question, then by data set
_versions: dict[tuple[str, str], tuple[tuple[int, int], tuple[Any, ...]]] = {}  # the last state and its version
_asking: dict[tuple[str, str, str], threading.Lock] = {}
_lock = threading.Lock()


def version(db: sqlite3.Connection, dataset_id: str) -> tuple[Any, ...]:
    """Return what changes whenever the rows of a data set change."""
    dataset = db.execute("SELECT scanned, options, created FROM dataset WHERE id = ?", (dataset_id,)).fetchone()
    rows = db.execute("SELECT count(*) FROM image WHERE dataset = ?", (dataset_id,)).fetchone()
    last = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'image'").fetchone()
    return (*(dataset or ()), rows[0], last[0])


def remembered(
    workspace: Workspace, dataset_id: str, what: str, ask: Callable[[sqlite3.Connection], Answer], *, keep: int = 2
) -> Answer:
    """Return `ask(db)`, or the kept answer when the data set is as it was; answers are shared, so never change one.

    Who asks while another thread reads the same answer waits for it. `ask` may not come back to the same question.

    Parameters
    ----------
    what : str
        Names the question; the same name must always mean the same question.
    keep : int
        Of how many data sets the answer is kept, those asked last.
    """
    catalog = str(workspace.catalog)
    with _lock:
        kept = _answers.setdefault((catalog, what), OrderedDict())
        asking = _asking.setdefault((catalog, dataset_id, what), threading.Lock())
    seen = changes(workspace.catalog)
    known = _known(kept, dataset_id, seen)
    if known is not None:
        return known.answer
    with asking:
        seen = changes(workspace.catalog)
        known = _known(kept, dataset_id, seen)
        if known is not None:
            return known.answer
        answer = _asked(workspace, dataset_id, kept, seen, ask)
    with _lock:
        while len(kept) > keep:
            kept.popitem(last=False)
    return answer


def _known(kept: OrderedDict[str, _Kept[Any]], dataset_id: str, seen: tuple[int, int] | None) -> _Kept[Any] | None:
    """Return the kept answer where nobody has written to the catalog since it was last found to hold."""
    with _lock:
        found = kept.get(dataset_id)
        if found is None or seen is None or found.seen != seen:
            return None
        kept.move_to_end(dataset_id)
        return found


def _asked(
    workspace: Workspace,
    dataset_id: str,
    kept: OrderedDict[str, _Kept[Any]],
    seen: tuple[int, int] | None,
    ask: Callable[[sqlite3.Connection], Answer],
) -> Answer:
    """Return the kept answer where the data set still has its version, else ask; keep what was found."""
    with _lock:
        before = kept.get(dataset_id)
        known = _versions.get((str(workspace.catalog), dataset_id))
    if before is not None and seen is not None and known is not None and known == (seen, before.version):
        answer, now = before.answer, before.version
    else:
        with open_catalog(workspace.catalog) as db:
            now = version(db, dataset_id)
            answer = before.answer if before is not None and before.version == now else ask(db)
    with _lock:
        kept[dataset_id] = _Kept(now, answer, seen)
        kept.move_to_end(dataset_id)
        if seen is not None:
            _versions[str(workspace.catalog), dataset_id] = seen, now
    return answer
