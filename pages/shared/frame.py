"""What a page says of itself in the frame around it, the style of that frame, and the ways from page to page.

`app.py` draws the rail (`pages.rail`) and the header (`pages.header`) before the page runs; the page then fills its
title and its own buttons into the header by `heading`, and draws itself below, where it has the window's whole
remaining height.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.actions import pressed
from pages.shared.job_view import job_view
from pages.shared.state import Current
from pages.shared.tasks import newest

_TITLE, _OWN = "frame_title", "frame_own"


@cache
def _style() -> str:
    return f"<style>{Path(__file__).with_suffix('.css').read_text(encoding='utf-8')}</style>"


def style() -> None:
    """Give every part of the app its measure; drawn once, before everything else."""
    st.html(_style())


def place(title: DeltaGenerator, own: DeltaGenerator) -> None:
    """Say where in the header a page's title and its own buttons go."""
    st.session_state[_TITLE], st.session_state[_OWN] = title, own


def heading(title: str, sentence: str) -> DeltaGenerator:
    """Show the page's title and its one sentence in the header; returns the place there for the page's own buttons."""
    with st.session_state[_TITLE]:
        st.title(title, anchor=False, width="content")
        if sentence:
            st.markdown(sentence)
    own: DeltaGenerator = st.session_state[_OWN]
    return own


def next_step(now: Current, file: str, label: str) -> None:
    """Draw the page's way on, as its primary button."""
    if pressed(label, type="primary", icon=":material/arrow_forward:", key=f"next_{file}"):
        st.switch_page(file, query_params=now.parameters)


def first_do(now: Current, sentence: str, file: str, label: str) -> None:
    """Say on an empty screen what to do first, with the way there; or how far a sample set is that is made ready."""
    if now.dataset is not None and job_view(newest(now.workspace, "samples", now.dataset)):
        st.caption("This set is being made ready: read, embedded, clustered and drawn. It opens here by itself.")
        return
    with st.container(
        key="first_do", horizontal_alignment="center", vertical_alignment="center", height=320, border=False
    ):
        st.markdown(sentence, width="content")
        if pressed(label, type="primary", icon=":material/arrow_back:", key=f"first_{file}"):
            st.switch_page(file, query_params=now.parameters)
