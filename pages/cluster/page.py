"""Cluster: find good clusters by one button, or try a method and drag its sliders; keep what looks right."""

from __future__ import annotations

import streamlit as st

from engine.core.errors import KindredError
from pages.cluster.how_many import how_many
from pages.cluster.kept_runs import kept_runs
from pages.cluster.method_card import method_card
from pages.cluster.sweep_board import sweep_board
from pages.shared.frame import first_do, heading
from pages.shared.state import current, show_error


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Cluster", "Sort the images into groups. Try as many ways as you like; your labels carry over.")
    if now.dataset is None or now.configuration is None:
        first_do(now, "Embed the images first.", "pages/embed/page.py", "Embed")
        return
    try:
        sweep_board(now)
        st.markdown("##### Or choose a method yourself")
        method_card(now)
        with st.expander("How many clusters are there?", icon=":material/query_stats:"):
            how_many(now)
    except KindredError as error:
        show_error(error)
    kept_runs(now)


page()
