"""How many clusters? The curves on one page, what each further split separates, and the answer in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from plotly.subplots import make_subplots

from engine.clustering.registry import METHODS
from engine.core.files import read_json
from engine.jobs.job import JobStatus
from engine.runs.rows import Rows
from engine.runs.run import Run
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
    run = _trained(now)
    key = now.configuration.key
    about = {"config_key": key} | ({} if run is None else {"run": str(run.folder)})
    job = newest(now.workspace, "count", now.dataset, config_key=key, run=about.get("run"))
    if job_view(job):
        return
    found = next((path for path in _answers(run, job) if path.exists()), None)
    if found is None:
        st.markdown(
            ":gray[Coding length, silhouette and stability over the number of clusters, beside structureless data.]"
        )
    if run is not None:
        st.caption(f"With the curve of the trained run in use, {escape(run.name)}.")
    if pressed("How many clusters?", icon=":material/query_stats:"):
        start_job(now.workspace, "count", "How many clusters", now.dataset, **about)
        st.rerun()
    if found is not None:
        _show(read_json(found), rows_of(now, now.configuration).training())


def _trained(now: Current) -> Run | None:
    """Return the run in use where its trained model says something about other numbers of clusters."""
    run = now.run
    if run is None or now.configuration is None or run.method not in METHODS:
        return None
    same = run.config.get("embedding", {}).get("config_key") == now.configuration.key
    able = METHODS[run.method].counts_after_training and (run.folder / "model.pt").exists()
    return run if same and able else None


def _answers(run: Run | None, job: JobStatus | None) -> list[Path]:
    """Return where an answer may be kept: in the run's own folder, whoever asked, else in that of the newest job."""
    return [folder / "count.json" for folder in (run.folder if run else None, job.folder if job else None) if folder]


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
    same = found.get("images", len(rows)) == len(rows)  # else the row numbers of the splits are those of other rows
    if found["splits"] and same and rows.dataset.kind != "vectors":
        if st.toggle("Show what each further split separates"):
            for split in found["splits"]:
                st.caption(f"From {split['before']} to {split['after']} clusters: {split['size']:,} images divide into")
                left, right = st.columns(2)
                with left:
                    strip(rows.ids[np.array(split["left"], dtype=np.int64)][:8], size=52)
                with right:
                    strip(rows.ids[np.array(split["right"], dtype=np.int64)][:8], size=52)
