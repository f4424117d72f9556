"""Search: by words where the encoder knows words, by a picture, or by examples. The answer is shown in the gallery."""

from __future__ import annotations

import base64

import streamlit as st

from engine.core.errors import KindredError
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import Encoder, text_encoders
from engine.embeddings.search import encoder_of, image_query, text_query
from engine.images.decode import PreprocessSettings
from engine.images.ranges import load_ranges
from pages.shared.actions import pressed
from pages.shared.board import Board
from pages.shared.similar import look_for
from pages.shared.state import settle, show_error

_WORDS = "search_words"
_ASKED = "search_waits"
_MOST_BYTES = 8_000_000  # of a pasted picture; the browser sends at most 512 x 512 pixels


@st.cache_resource(show_spinner="Loading the encoder", max_entries=1)
def _encoder(_workspace: Workspace, config_key: str) -> Encoder:
    return encoder_of(_workspace, config_key)


def search_box(board: Board) -> None:
    """Draw the button that opens the search."""
    if board.rows.dataset.kind != "vectors" and pressed(
        "Find images", icon=":material/image_search:", help="By words, by a picture (/)"
    ):
        search_dialog(board)


@st.dialog("Search")
def search_dialog(board: Board) -> None:
    """Search by words where the encoder knows words, by a picture with every encoder."""
    configuration = board.now.configuration
    assert configuration is not None
    if configuration.reads_text:
        with st.form("words", border=False):
            st.text_input("By words", key=_WORDS, placeholder="a red dress on a hanger")
            st.form_submit_button("Search by words", icon=":material/search:", on_click=_ask)
    else:
        st.caption(f"Searching by words needs embeddings made by {text_encoders()}.")
    given = st.file_uploader(
        "By a picture: or paste it on Explore (Ctrl + V), or drop it there",
        key="search_picture",
        accept_multiple_files=False,
    )
    if given is not None:
        data = given.getvalue()
        st.button("Search by this picture", icon=":material/image_search:", on_click=_ask, kwargs={"picture": data})
    if search_waits():
        _look(board, configuration.key, st.session_state[_ASKED])


def search_waits() -> bool:
    """Return whether a search was asked for that nothing has answered yet: a message closed the dialog before."""
    return _ASKED in st.session_state


def ask_by_picture(encoded: str) -> None:
    """Look for what is like a pasted or dropped picture; `encoded` is base64, and what is none is left alone."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        return
    if 0 < len(data) <= _MOST_BYTES:
        _ask(data)


def _ask(picture: bytes = b"") -> None:
    """Note what is looked for; the dialog answers."""
    text = "" if picture else str(settle(lambda: st.session_state.get(_WORDS)) or "").strip()
    if text or picture:
        settle(lambda: st.session_state.update({_ASKED: (text, picture)}))


def _look(board: Board, config_key: str, asked: tuple[str, bytes]) -> None:
    text, data = asked
    try:
        encoder = _encoder(board.now.workspace, config_key)
        if text:
            query = text_query(encoder, [text])
        else:
            assert board.now.configuration is not None
            preprocess = PreprocessSettings.parse(board.now.configuration.preprocess)
            ranges = load_ranges(board.now.workspace, board.rows.dataset.id)
            query = image_query(encoder, data, preprocess, ranges=ranges)
        look_for(board, query, f"“{text}”" if text else "your picture")
    except KindredError as error:
        del st.session_state[_ASKED]
        show_error(error)
        return
    del st.session_state[_ASKED]
    st.rerun()
