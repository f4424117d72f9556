"""A page beside a fragment of the sidebar that runs all the time, on a server that takes its time between two runs.

With ``?mended`` each run begins at the top.
"""

from __future__ import annotations

import time

import streamlit as st
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner

if __name__ == "__main__":
    from pages.runs import begin_at_the_top

    finish = ScriptRunner._on_script_finished
    if finish.__name__ != "late":

        def late(*arguments: object) -> None:
            finish(*arguments)
            time.sleep(0.2)

        ScriptRunner._on_script_finished = late
    if "mended" in st.query_params:
        begin_at_the_top()
    with st.sidebar:
        st.markdown("the sidebar")
        st.fragment(lambda: st.caption("busy"), run_every=0.25)()
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    st.button("Again")
    with st.container(border=True):
        st.markdown(f"run {st.session_state.runs}")
