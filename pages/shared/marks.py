"""What stands on a picture in a gallery: its label as a word, and as a shape who said it; the filter by source."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.labels.state import REJECTED, SOURCE_NAMES
from pages.shared.board import Board
from pages.shared.state import choose, chosen_source, settle

_ASIDE, _ELSEWHERE = 4, 5
MARK_NAMES = (
    ("tick", "by you"),
    ("group", "named with its cluster, not looked at one by one"),
    ("guess", "a guess that you accepted"),
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


def source_filter(board: Board) -> str:
    """Draw the choice of a source, kept in the address; returns one of `SOURCE_NAMES`, empty for any."""
    counts = board.state.source_counts
    asked = chosen_source()
    options = ["", *SOURCE_NAMES]
    key = f"source_{asked}"
    st.selectbox(
        "Who said the label",
        options,
        index=options.index(asked),
        format_func=lambda name: f"{_words(name)} ({counts[name]:,})" if name else "any source",
        key=key,
        on_change=_choose_source,
        args=(key, asked),
        label_visibility="collapsed",
        width=210,
    )
    return asked


def _choose_source(key: str, drawn: str) -> None:
    """Look at the source that was chosen; a late message repeats the one that a menu which is gone was drawn with."""
    source = settle(lambda: st.session_state.get(key)) or ""
    if source != drawn:
        choose(source=source or None)


def _words(source: str) -> str:
    return "no label" if source == "none" else source


def of_source(board: Board, rows: NDArray[np.int64], source: str) -> NDArray[np.int64]:
    """Return those of the rows whose label is of a source; all of them for an empty one."""
    return rows if not source else rows[board.state.source[rows] == SOURCE_NAMES.index(source)]
