"""What stands on a picture in a gallery: its label as a word, and as a shape who said it; the filter by source."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.labels.state import REJECTED, SOURCE_NAMES
from pages.shared.board import Board
from pages.shared.state import chosen_source

_ASIDE, _ELSEWHERE = 5, 6
MARK_NAMES = (
    ("tick", "by you"),
    ("group", "named with its cluster, not looked at one by one"),
    ("guess", "a guess that you accepted"),
    ("dot", "imported"),
    ("close", "set aside: in no cluster"),
    ("close", "in another cluster now"),
)


def marks(board: Board, rows: NDArray[np.int64], *, home: Collection[int] = ()) -> dict[str, Any]:
    """Return what a gallery needs to mark these rows; `home` holds the clusters that are looked at, none for all."""
    state = board.state
    shapes = state.source[rows]
    shapes[state.status[rows] == REJECTED] = _ASIDE
    if home:
        shapes[(state.codes[rows] < 0) & (shapes != _ASIDE) & ~np.isin(state.cluster[rows], list(home))] = _ELSEWHERE
    return {
        "badges": (state.codes[rows] + 1).astype(np.uint16),
        "badge_names": state.label_names,
        "marks": shapes,
        "mark_names": MARK_NAMES,
    }


def sources(board: Board) -> dict[str, str]:
    """Return the choices of who said the label, with how many images each has; none where no image has a label."""
    counts = board.state.source_counts
    if counts["none"] == len(board.rows) and not chosen_source():
        return {}
    return {"": "any source"} | {
        name: f"{words_of(name)} ({counts[name]:,})" for name in SOURCE_NAMES if name in counts
    }


def words_of(source: str) -> str:
    """Return a source of labels in words."""
    return "no label" if source == "none" else source


def of_source(board: Board, rows: NDArray[np.int64], source: str) -> NDArray[np.int64]:
    """Return those of the rows whose label is of a source; all of them for an empty one."""
    return rows if not source else rows[board.state.source[rows] == SOURCE_NAMES.index(source)]
