"""The map of a run: by cluster and, where truth is known, beside it by class; drawn in a job where it is not there."""

from __future__ import annotations

import numpy as np
import streamlit as st
from plotly.graph_objects import Figure

from engine.geometry.projection import ProjectionSettings
from engine.runs.figures import map_figure
from engine.runs.rows import Rows, align, truth_codes
from engine.runs.run import Run
from pages.compare.made_by_job import made_by_job
from pages.compare.run_rows import version_of
from pages.shared.board import map_points
from pages.shared.charts import draw
from pages.shared.job_view import job_view
from pages.shared.state import Current

_KINDS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}
_DRAWN = 10_000  # points that a chart holds without becoming slow


def run_map(now: Current, run: Run, rows: Rows) -> None:
    """Draw the map of the rows of a run."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("##### Map", width="content")
        kind = st.segmented_control(
            "Map",
            list(_KINDS),
            default="umap",
            required=True,
            format_func=_KINDS.__getitem__,
            key="run_map_kind",
            persist_state="session",
            label_visibility="collapsed",
        )
    settings = ProjectionSettings.parse({"kind": kind})
    _, version, final = map_points(now, rows, settings)
    if not final:
        _make(now, rows, settings)
    figure = _figure(now, rows, run, settings, str(run.folder), version_of(run), version)
    draw(figure, "Map of the run by cluster, beside truth where it is known", height=440)
    if len(rows) > _DRAWN:
        st.caption(f"{_DRAWN:,} of {len(rows):,} images are drawn, chosen at random.")


@st.cache_resource(show_spinner=False, max_entries=6)
def _figure(
    _now: Current, _rows: Rows, _run: Run, _settings: ProjectionSettings, folder: str, made: float, version: str
) -> Figure:
    xy, _, _ = map_points(_now, _rows, _settings)
    labels, _ = align(_run, _rows)
    shown = np.arange(len(_rows))
    if len(_rows) > _DRAWN:
        shown = np.sort(np.random.default_rng(0).choice(len(_rows), _DRAWN, replace=False))
    truth = truth_codes(_rows.truth)
    names = sorted({name for name in _rows.truth if name is not None})
    return map_figure(xy[shown], labels[shown], None if truth is None else truth[shown], names)


def _make(now: Current, rows: Rows, settings: ProjectionSettings) -> None:
    """Say that a first map is shown and let a job draw the wanted one, once."""
    title = _KINDS[settings.kind]
    values = settings.model_dump(mode="json")
    job = made_by_job(now, "map", f"Drawing the {title} map", rows, settings=values)
    st.caption(f"A first map (PCA); {title} is being drawn." if job.active else "A first map (PCA).")
    job_view(job)
