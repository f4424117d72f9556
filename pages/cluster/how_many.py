"""How many clusters? Three curves on one page, what each further split separates, and the answer in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from plotly.subplots import make_subplots

from engine.core.files import read_json
from engine.runs.rows import Rows
from pages.shared.actions import pressed
from pages.shared.board import rows_of
from pages.shared.charts import AMBER, BLUE, GREY, draw
from pages.shared.job_view import job_view
from pages.shared.pictures import strip
from pages.shared.state import Current, escape
from pages.shared.tasks import newest, start_job


def how_many(now: Current) -> None:
    """Draw the panel."""
    assert now.dataset is not None and now.configuration is not None
    job = newest(now.workspace, "count", now.dataset, config_key=now.configuration.key)
    if job_view(job):
        return
    if job is None or job.state != "done":
        st.markdown(
            ":gray[Coding length, silhouette and stability over the number of clusters, beside structureless data.]"
        )
    if pressed("How many clusters?", icon=":material/query_stats:"):
        start_job(now.workspace, "count", "How many clusters", now.dataset, config_key=now.configuration.key)
        st.rerun()
    if job is not None and (job.folder / "count.json").exists():
        _show(read_json(job.folder / "count.json"), rows_of(now, now.configuration).training())


def _show(found: dict[str, Any], rows: Rows) -> None:
    st.markdown(f"**{escape(found['verdict'])}**")
    evidence = found["evidence"]
    figure = make_subplots(cols=len(evidence), subplot_titles=[item["kind"] for item in evidence])
    for at, item in enumerate(evidence, start=1):
        figure.add_scatter(x=item["ks"], y=item["values"], mode="lines+markers", line_color=BLUE, row=1, col=at)
        if item["reference"] is not None:
            figure.add_scatter(x=item["ks"], y=item["reference"], mode="lines", line_color=GREY, row=1, col=at)
        figure.add_vline(x=item["best"], line_dash="dot", line_color=AMBER, row=1, col=at)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title="clusters")
    draw(figure, "Evidence for the number of clusters", height=260)
    st.caption("Blue: these images. Grey: structureless data of the same shape. Dotted: what each curve would choose.")
    for item in evidence:
        st.caption(f"{escape(item['kind'])}: {escape(item['sentence'])}")
    if found["splits"] and rows.dataset.kind != "vectors":
        if st.toggle("Show what each further split separates"):
            for split in found["splits"]:
                st.caption(f"From {split['before']} to {split['after']} clusters: {split['size']:,} images divide into")
                left, right = st.columns(2)
                with left:
                    strip(rows.ids[np.array(split["left"], dtype=np.int64)][:8], size=52)
                with right:
                    strip(rows.ids[np.array(split["right"], dtype=np.int64)][:8], size=52)
