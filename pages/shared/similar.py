"""Images like some others, and what Explore shows in place of the chosen clusters: the answer to a search."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.embeddings.search import example_query, rank
from engine.labels.state import REJECTED
from pages.shared.board import Board
from pages.shared.state import settle

FOUND = "looking_for"
GALLERY = "explore_gallery"  # Explore's own, which shows the answer
MOST = 240  # images that an answer holds


def show_found(rows: NDArray[np.int64], words: str, *, ranked: bool = True) -> None:
    """Let the gallery of Explore show these rows from the next run on; `ranked` rows keep their own order."""
    settle(lambda: st.session_state.update({FOUND: {"rows": rows.tolist(), "words": words, "ranked": ranked}}))


def more_like(board: Board, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows most like some rows, these included; what was set aside counts against."""
    against = board.rows.vectors[board.state.status == REJECTED][:200]
    query = example_query(board.rows.vectors[chosen], against)
    found, _ = rank(board.rows.vectors, query, min(len(board.rows), len(chosen) + MOST))
    return found
