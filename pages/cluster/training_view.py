"""A method while it trains: its losses, its scores and its clusters as they stand, refreshed every second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from engine.geometry.prototypes import prototypes
from engine.jobs import job as jobs
from engine.runs.rows import Rows
from pages.shared.actions import pressed
from pages.shared.charts import BLUE, draw
from pages.shared.job_view import watch
from pages.shared.pictures import strip
from pages.shared.state import choose
from pages.shared.words import count

_NO_LOSS = {"seconds_left", "learning_rate"}
_SCORES = {"accuracy": "accuracy", "nmi": "NMI", "ari": "ARI", "silhouette": "silhouette", "balance": "balance"}


def training_view(rows: Rows, job: jobs.JobStatus) -> None:
    """Draw a running job until it ends; then its run is chosen."""

    @st.fragment(run_every=1.0)
    def live() -> None:
        again = jobs.status(job.folder)
        if not again.active:
            if again.state == "done":
                choose(run=job.folder.name)
            st.rerun()
        watch(again)
        lines = jobs.read_progress(job.folder)
        scored = [line for line in lines if line.get("scores")]
        left, right = st.columns(2, gap="medium")
        with left:
            _curves("Losses", [(line["done"], line["metrics"]) for line in lines if line.get("metrics")], skip=_NO_LOSS)
        with right:
            _curves("Scores", [(line["step"], line["scores"]) for line in scored], names=_SCORES)
        if scored:
            _standing(rows, job, scored[-1]["scores"])
        with st.container(horizontal=True):
            if pressed("Stop here and keep the result", icon=":material/stop_circle:"):
                jobs.request_stop(job.folder)
            if pressed("Cancel", key=f"stop_{job.folder.name}", icon=":material/close:", type="tertiary"):
                jobs.cancel(job.folder)
                st.rerun()

    live()


def _curves(
    title: str,
    seen: Sequence[tuple[float, dict[str, Any]]],
    *,
    names: dict[str, str] | None = None,
    skip: set[str] | frozenset[str] = frozenset(),
) -> None:
    """Draw values over steps, one line each: those of `names`, else all but `skip`."""
    if len(seen) < 2:
        return
    found = names or {name: name.upper() if len(name) == 3 else name for _, values in seen for name in values}
    figure = go.Figure()
    for name, words in found.items():
        points = [(step, values[name]) for step, values in seen if values.get(name) is not None]
        if points and name not in skip:
            figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], name=words, mode="lines")
    figure.update_layout(
        legend={"orientation": "h", "y": -0.18},
        showlegend=True,
        title={"text": title, "font_size": 13},
        xaxis_title=None,
    )
    draw(figure, f"{title} while training", height=240)


def _standing(rows: Rows, job: jobs.JobStatus, scores: dict[str, Any]) -> None:
    """Show the clusters as they stand."""
    st.caption(f"Now: {count(int(scores['n_clusters']), 'cluster')}, the largest first")
    left, right = st.columns(2, gap="medium")
    with left:
        size_bars(scores.get("sizes", ()))
    path = job.folder / "snapshot.npy"
    if rows.dataset.kind == "vectors" or not path.exists():
        return
    labels = np.load(path, allow_pickle=False)
    if len(labels) == len(rows):
        with right:
            largest_clusters(rows, labels)


def size_bars(sizes: Sequence[int] | NDArray[np.int64]) -> None:
    """Draw cluster sizes as bars."""
    if not len(sizes):
        return
    figure = go.Figure(go.Bar(y=list(sizes), marker_color=BLUE, hovertemplate="%{y} images<extra></extra>"))
    figure.update_layout(yaxis_title="images", bargap=0.15)
    figure.update_xaxes(showticklabels=False)
    draw(figure, "Cluster sizes, largest first", height=180)


def largest_clusters(rows: Rows, labels: NDArray[np.int32]) -> None:
    """Show the prototypes of the three largest clusters."""
    found = prototypes(rows.vectors, labels)
    order = np.argsort(-np.bincount(labels[labels >= 0])[found.clusters], kind="stable")[:3]
    for at in order:
        strip(rows.ids[found.rows_of(int(found.clusters[at]), 8)], size=54)
