"""Doing and undoing: one place that carries out a label action, says what happened and offers to undo it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from components.gallery import clear_gallery
from components.map import clear_map
from engine.core.errors import KindredError
from engine.labels.log import Event
from pages.shared.board import Board
from pages.shared.state import escape

_LOOK_EVERY = 3.0  # seconds between two looks at whether another window wrote


def do(action: Callable[[], Event], *, galleries: tuple[str, ...] = (), maps: tuple[str, ...] = ()) -> bool:
    """Carry out an action; the sentence appears after the rerun. Returns False when it was refused.

    Buttons call it by `on_click`: a callback runs before the page does, so a message of a component that ends the
    page's run early cannot lose the click.
    """
    try:
        event = action()
    except KindredError as error:
        st.session_state["told"] = (f"{escape(error.sentence)} {escape(error.hint)}", ":material/error:")
        return False
    st.session_state["told"] = (f"{escape(event.sentence)}. Undo with Ctrl+Z.", ":material/check:")
    for key in galleries:
        clear_gallery(key)
    for key in maps:
        clear_map(key)
    return True


def tell() -> None:
    """Show what the last action said, once."""
    told = st.session_state.pop("told", None)
    if told:
        st.toast(told[0], icon=told[1], duration="long")


def follow(board: Board) -> None:
    """Draw the page anew when another window has changed the labels."""

    @st.fragment(run_every=_LOOK_EVERY)
    def look() -> None:
        if board.history.version() != board.state.version:
            st.rerun()

    look()


def undo_redo(board: Board) -> None:
    """Draw the undo and redo buttons, with their keys and what they would do."""
    follow(board)
    back, forth = board.history.next_undo(), board.history.next_redo()
    st.button(
        "Undo",
        icon=":material/undo:",
        disabled=back is None,
        shortcut="Ctrl+Z",
        help=escape(back.sentence) if back else "Nothing to undo",
        on_click=do,
        args=(board.history.undo,),
    )
    st.button(
        "Redo",
        icon=":material/redo:",
        disabled=forth is None,
        shortcut="Ctrl+Shift+Z",
        help=escape(forth.sentence) if forth else "Nothing to redo",
        on_click=do,
        args=(board.history.redo,),
    )


def recent_labels(board: Board) -> list[str]:
    """Return up to nine labels, the last used first: what the keys 1-9 give."""
    names: dict[str, None] = {}
    for event in reversed(board.history.effective()[0][-200:]):
        groups = (*event.detail.get("labels", ()), *event.detail.get("parts", ()))
        for text in (event.detail.get("label"), *(group[0] for group in groups)):
            if text:
                names.setdefault(str(text))
    return list(names)[:9]
