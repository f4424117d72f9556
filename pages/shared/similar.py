"""Images like some others, and what Explore shows in place of the chosen clusters: the answer to a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.core.ids import positions
from engine.core.workspace import Workspace
from engine.embeddings.search import example_query, rank
from engine.labels.state import REJECTED
from engine.runs.rows import Rows
from pages.shared.board import Board
from pages.shared.selections import keep_found, kept_found
from pages.shared.state import choose, chosen_selection

GALLERY = "explore"  # the workbench of Explore, which shows the answer
MOST = 240  # images that an answer holds


@dataclass(frozen=True)
class Found:
    """What Explore shows in place of the chosen clusters.

    Attributes
    ----------
    name : str
        Stands in the address.
    rows : (m,) int64
        Rows of the board, in order.
    words : str
        What was looked for.
    ranked : bool
        Whether their order says something: the nearest first.
    """

    name: str
    rows: NDArray[np.int64]
    words: str
    ranked: bool


def show_found(board: Board, rows: NDArray[np.int64], words: str, *, ranked: bool = True) -> None:
    """Let the gallery of Explore show these rows from the next run on; `ranked` rows keep their own order."""
    choose(found=keep_found(board.now.workspace, board.rows.contents[rows], words, ranked=ranked))


def shown_found(board: Board) -> Found | None:
    """Return what the address names, else what this session looked for last; None for nothing."""
    name = chosen_selection("found")
    return _found(board.now.workspace, board.rows, board.rows.embedding.key, name) if name else None


def leave_found() -> None:
    """Let the gallery of Explore show the chosen clusters again."""
    choose(found=None)


@st.cache_resource(show_spinner=False, max_entries=8)
def _found(_workspace: Workspace, _rows: Rows, key: str, name: str) -> Found | None:
    kept = kept_found(_workspace, name)
    if kept is None:
        return None
    contents, words, ranked = kept
    rows = positions(_rows.contents, contents)
    return Found(name, rows[rows >= 0], words, ranked)


def more_like(board: Board, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows most like some rows, these included; what was set aside counts against."""
    against = board.rows.vectors[board.state.status == REJECTED][:200]
    query = example_query(board.rows.vectors[chosen], against)
    found, _ = rank(board.rows.vectors, query, min(len(board.rows), len(chosen) + MOST))
    return found
