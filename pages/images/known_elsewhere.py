"""A folder that is opened for the first time and holds the images of a known data set: moved there, or copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from engine.core.errors import KindredError
from engine.images.datasets import Dataset, add_folder
from engine.images.moved import KnownElsewhere, known_elsewhere
from engine.jobs.tasks.data import RelocateRequest, relocate_data
from pages.shared.actions import pressed
from pages.shared.state import Current, choose, escape, show_error
from pages.shared.tasks import start_scan

_OFFERED = "known_elsewhere"


def offers(now: Current, path: Path, name: str) -> bool:
    """Look whether a folder is known elsewhere; then the next run offers it, and it is not opened yet."""
    found = known_elsewhere(now.workspace, path)
    if found is not None:
        st.session_state[_OFFERED] = (found, str(path), name)
    return found is not None


def offer(now: Current, opened: Callable[[Current, Dataset], None]) -> None:
    """Draw the offer where there is one; `opened` goes on with the data set that was chosen."""
    kept: tuple[KnownElsewhere, str, str] | None = st.session_state.get(_OFFERED)
    if kept is None:
        return
    found, path, name = kept
    with st.container(border=True):
        st.markdown(f"**{escape(found.sentence)}**")
        with st.container(horizontal=True):
            if found.gone and pressed("It was moved: keep its labels", type="primary"):
                _relocate(now, found, path, copy=False)
            if not found.gone and pressed("It is a copy: take the labels over", type="primary"):
                _relocate(now, found, path, copy=True)
            if not found.gone and pressed("Open the known one"):
                st.session_state.pop(_OFFERED)
                opened(now, found.dataset)
            if pressed("Open as a new data set"):
                st.session_state.pop(_OFFERED)
                opened(now, add_folder(now.workspace, path, name=name or None))
            if pressed("Leave it", type="tertiary"):
                st.session_state.pop(_OFFERED)
                st.rerun()


def _relocate(now: Current, found: KnownElsewhere, path: str, *, copy: bool) -> None:
    try:
        request = RelocateRequest(old=found.dataset.id, new=path, copy_labels=copy)
        with st.spinner("Looking at the images"):
            dataset = relocate_data(now.workspace, request)[0]
    except KindredError as error:
        show_error(error)
        return
    st.session_state.pop(_OFFERED)
    start_scan(now.workspace, dataset)
    choose(data=dataset.id)
    st.session_state["adding"] = False
    st.rerun()
