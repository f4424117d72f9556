"""The header over every page: a place for its title and its buttons, the clustering in use, Ctrl+K, undo and redo."""

from __future__ import annotations

import streamlit as st

from engine.labels.log import Event
from pages.commands import command_palette
from pages.shared.actions import do
from pages.shared.board import history_of
from pages.shared.frame import place
from pages.shared.run_names import names_of_runs
from pages.shared.screen import Screen
from pages.shared.state import Current, choose, escape
from pages.shared.undo import undo_here
from pages.shared.window import made_elsewhere


def header(now: Current, screen: Screen) -> None:
    """Draw the header: a place for the page's title and buttons, the clustering in use, undo and redo."""
    with st.container(key="header", horizontal=True):
        title = st.container(key="header_title", horizontal=True)
        own = st.container(key="header_own", horizontal=True, width="content")
        place(title, own)
        if screen.on_run and now.run is not None:
            _choose_run(now)
        command_palette(now, screen)
        if screen.on_run and now.run is not None:
            _undo_redo(now)


def _choose_run(now: Current) -> None:
    """Let a person switch between the kept clusterings of these images."""
    assert now.run is not None
    names = names_of_runs([now.run, *now.runs])
    chosen = st.selectbox(
        "Clustering in use",
        list(names),
        format_func=lambda key: names[key],
        label_visibility="collapsed",
        key=f"frame_run_{now.run.folder.name}_{len(names)}",
        width=240,
    )
    if chosen and chosen != now.run.folder.name:
        choose(run=chosen)
        st.rerun()


def _undo_redo(now: Current) -> None:
    """Draw undo and redo, with what they would do; their keys are those of `components.rail`."""
    assert now.dataset is not None
    history = history_of(now.workspace, now.dataset)
    back, forth = history.next_undo(), history.next_redo()
    st.button(
        "Undo",
        icon=":material/undo:",
        key="undo",
        disabled=back is None,
        help=_undo_help(back),
        on_click=undo_here,
        args=(history,),
    )
    st.button(
        "Redo",
        icon=":material/redo:",
        key="redo",
        disabled=forth is None,
        help=f"{escape(forth.sentence)}. Redo (Ctrl+Shift+Z)" if forth else "Nothing to redo",
        on_click=do,
        args=(history.redo,),
    )


def _undo_help(back: Event | None) -> str:
    """Return what undo would take back, and where that was made."""
    if back is None:
        return "Nothing to undo"
    where = made_elsewhere(back)
    return f"{escape(back.sentence)}. " + (f"Made {where}: undo asks first (Ctrl+Z)" if where else "Undo (Ctrl+Z)")
