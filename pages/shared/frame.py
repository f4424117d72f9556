"""The frame around every page: the header with title, clustering in use and undo, and what each page says of itself.

`app.py` draws the rail (`pages.shared.rail`) and `header` before the page runs; the page then fills its title and its
own buttons into the header by `heading`, and draws itself below, where it has the window's whole remaining height.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.actions import do, pressed
from pages.shared.board import history_of
from pages.shared.commands import command_palette
from pages.shared.metrics import title_of
from pages.shared.screen import Screen
from pages.shared.state import Current, choose, escape

_TITLE, _OWN = "frame_title", "frame_own"


@cache
def _style() -> str:
    return f"<style>{Path(__file__).with_suffix('.css').read_text(encoding='utf-8')}</style>"


def style() -> None:
    """Give every part of the app its measure; drawn once, before everything else."""
    st.html(_style())


def header(now: Current, screen: Screen) -> None:
    """Draw the header: a place for the page's title and buttons, the clustering in use, undo and redo."""
    with st.container(key="header", horizontal=True):
        title = st.container(key="header_title", horizontal=True)
        own = st.container(key="header_own", horizontal=True, width="content")
        st.session_state[_TITLE], st.session_state[_OWN] = title, own
        if screen.on_run and now.run is not None:
            _choose_run(now)
        command_palette(now, screen)
        if screen.on_run and now.run is not None:
            _undo_redo(now)


def heading(title: str, sentence: str) -> DeltaGenerator:
    """Show the page's title and its one sentence in the header; returns the place there for the page's own buttons."""
    with st.session_state[_TITLE]:
        st.title(title, anchor=False, width="content")
        if sentence:
            st.markdown(sentence)
    own: DeltaGenerator = st.session_state[_OWN]
    return own


def _choose_run(now: Current) -> None:
    """Let a person switch between the kept clusterings of these images."""
    assert now.run is not None
    names = {run.folder.name: title_of(run) for run in [now.run, *now.runs]}
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
        help=f"{escape(back.sentence)}. Undo (Ctrl+Z)" if back else "Nothing to undo",
        on_click=do,
        args=(history.undo,),
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


def next_step(now: Current, file: str, label: str) -> None:
    """Draw the page's way on, as its primary button."""
    if pressed(label, type="primary", icon=":material/arrow_forward:", key=f"next_{file}"):
        st.switch_page(file, query_params=now.parameters)


def first_do(now: Current, sentence: str, file: str, label: str) -> None:
    """Say on an empty screen what to do first, with the way there."""
    st.info(sentence, icon=":material/info:")
    st.page_link(file, label=label, icon=":material/arrow_back:", query_params=now.parameters)
