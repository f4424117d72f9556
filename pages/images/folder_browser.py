"""A browser of folders on this machine, as a dialog: only names are shown, nothing is opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from pages.shared.actions import pressed
from pages.shared.state import escape

_MOST = 300


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return sorted(names, key=str.casefold)[:_MOST]


@st.dialog("Choose a folder", width="medium")
def folder_browser(use: Callable[[str], None]) -> None:
    """Let the person walk through folders; `use(path)` is called with the chosen one."""
    here = Path(st.session_state.setdefault("browsing", str(Path.home())))
    st.markdown(f"**{escape(here)}**")
    with st.container(horizontal=True):
        if pressed("Use this folder", key="browse_use", type="primary"):
            use(str(here))
        if st.button("Up", icon=":material/arrow_upward:", disabled=here.parent == here):
            st.session_state["browsing"] = str(here.parent)
            st.rerun(scope="fragment")
        # Esc closes a dialog only while something inside has the focus, which a step into a folder takes away.
        if st.button("Close", type="tertiary", shortcut="Esc"):
            st.rerun()
    try:
        names = _subfolders(here)
    except OSError:
        st.warning("This folder may not be read. Go up and choose another one.")
        return
    if not names:
        st.caption("No folders inside.")
    with st.container(height=360, border=False):
        for name in names:
            if st.button(escape(name), icon=":material/folder:", type="tertiary", key=f"browse_{here}_{name}"):
                st.session_state["browsing"] = str(here / name)
                st.rerun(scope="fragment")
