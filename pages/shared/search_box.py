"""Search: by words where the encoder knows words, by a picture, or by examples. The answer is shown in the gallery."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.core.errors import KindredError
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import Encoder
from engine.embeddings.search import encoder_of, example_query, image_query, rank, text_query
from pages.shared.board import Board
from pages.shared.state import show_error

FOUND = "looking_for"
_MOST = 240


@st.cache_resource(show_spinner="Loading the encoder", max_entries=1)
def _encoder(_workspace: Workspace, config_key: str) -> Encoder:
    return encoder_of(_workspace, config_key)


def show_found(rows: NDArray[np.int64], words: str) -> None:
    """Let the gallery show these rows from the next run on."""
    st.session_state[FOUND] = {"rows": rows.tolist(), "words": words}


def more_like(board: Board, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows most like some rows, these included; what was set aside counts against."""
    from engine.labels.state import REJECTED

    against = board.rows.vectors[board.state.status == REJECTED][:200]
    query = example_query(board.rows.vectors[chosen], against)
    found, _ = rank(board.rows.vectors, query, min(len(board.rows), len(chosen) + _MOST))
    return found


def search_box(board: Board) -> None:
    """Draw the button that opens the search."""
    if board.rows.dataset.kind != "vectors" and st.button("Search", icon=":material/search:", help="Search (/)"):
        search_dialog(board)


@st.dialog("Search")
def search_dialog(board: Board) -> None:
    """Search by words where the encoder knows words, by a picture with every encoder."""
    configuration = board.now.configuration
    assert configuration is not None
    if configuration.encoder == "clip":
        with st.form("words", border=False):
            text = st.text_input("By words", key="search_words", placeholder="a red dress on a hanger")
            if st.form_submit_button("Search by words", icon=":material/search:") and text.strip():
                _look(board, configuration.key, text=text.strip())
    else:
        st.caption("Searching by words needs embeddings made by CLIP.")
    given = st.file_uploader("By a picture", key="search_picture", accept_multiple_files=False)
    if given is not None and st.button("Search by this picture", icon=":material/image_search:"):
        _look(board, configuration.key, data=given.getvalue())


def _look(board: Board, config_key: str, *, text: str = "", data: bytes = b"") -> None:
    try:
        encoder = _encoder(board.now.workspace, config_key)
        query = text_query(encoder, [text]) if text else image_query(encoder, data)
        found, _ = rank(board.rows.vectors, query, min(len(board.rows), _MOST))
    except KindredError as error:
        show_error(error)
        return
    show_found(found, f"most like “{text}”" if text else "most like your picture")
    st.rerun()
