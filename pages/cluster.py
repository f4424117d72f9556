"""Cluster: find good clusters by one button, or try a method and drag its sliders; keep what looks right."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from engine.clustering import METHODS
from engine.errors import KindredError
from engine.runs import Run, delete_run, update_config
from pages.shared.actions import tell
from pages.shared.frame import first_do, heading
from pages.shared.how_many import how_many
from pages.shared.method_card import method_card
from pages.shared.state import Current, choose, current, escape, show_error
from pages.shared.sweep_board import sweep_board


def _figures(run: Run) -> dict[str, object]:
    found = run.results.get("train", {})
    return {
        "clusters": found.get("n_clusters"),
        "silhouette": found.get("silhouette"),
        "balance": found.get("balance"),
        "largest": found.get("largest_share"),
        "accuracy": found.get("accuracy"),
    }


def _runs(now: Current) -> None:
    if not now.runs:
        return
    st.markdown("##### Kept clusterings")
    table = pd.DataFrame(
        [
            {
                "in use": now.run is not None and run.folder.name == now.run.folder.name,
                "name": run.name,
                "method": METHODS[run.method].title if run.method in METHODS else run.method,
                **_figures(run),
                "made": pd.Timestamp(run.created, unit="s"),
            }
            for run in now.runs
        ]
    )
    table = table.dropna(axis="columns", how="all")
    percent = st.column_config.NumberColumn(format="percent")
    event = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        key="runs",
        column_config={
            "made": st.column_config.DatetimeColumn(format="distance"),
            "largest": percent,
            "accuracy": percent,
            "silhouette": st.column_config.NumberColumn(format="%.3f"),
            "balance": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    chosen = event["selection"]["rows"]
    if chosen and chosen[0] < len(now.runs):
        _one_run(now, now.runs[chosen[0]])


def _one_run(now: Current, run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Use this one", type="primary", icon=":material/check:"):
            choose(run=run.folder.name)
            st.switch_page("pages/explore.py", query_params=now.parameters | {"run": run.folder.name})
        name = st.text_input("Name", value=run.name, key=f"name_{run.folder.name}", width=320)
        if name.strip() and name != run.name:
            update_config(run, title=name.strip()[:200])
            st.rerun()
        if st.button("Delete", icon=":material/delete:", help="It goes to library/bin and can be put back from there"):
            delete_run(now.workspace, run)
            choose(run=None)
            st.rerun()
    for sentence in run.results.get("notes", []):
        st.caption(escape(sentence))


def page() -> None:
    """Draw the screen."""
    now = current()
    tell()
    heading("Cluster", "Sort the images into groups. Try as many ways as you like; your labels carry over.")
    if now.dataset is None or now.configuration is None:
        first_do(now, "Embed the images first.", "pages/embed.py", "Embed")
        return
    try:
        sweep_board(now)
        st.markdown("##### Or choose a method yourself")
        method_card(now)
        with st.expander("How many clusters are there?", icon=":material/query_stats:"):
            how_many(now)
    except KindredError as error:
        show_error(error)
    _runs(now)


page()
