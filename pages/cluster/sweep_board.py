"""Find good clusters: the one button with its time and settings, and what the sweep has found while it runs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import streamlit as st

from components.tiles.face import Tile, tiles
from engine.clustering.registry import method_title
from engine.core.errors import KindredError
from engine.evaluation.scores import CompositeSettings
from engine.geometry.prototypes import Prototypes, prototypes
from engine.jobs import job as jobs
from engine.jobs.job import JobStatus
from engine.runs.rows import Rows
from engine.selection.sweep.found import found_so_far
from engine.selection.sweep.grid import ALGORITHMS
from engine.selection.sweep.settings import SweepSettings
from pages.cluster.groups import group_tiles
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.job_view import watch
from pages.shared.mosaics import mosaic_of, mosaic_of_candidate
from pages.shared.state import Current, choose, show_error
from pages.shared.tasks import start_job
from pages.shared.words import count, figure

_TIMES = {"1m": "1 minute", "5m": "5 minutes", "30m": "30 minutes", "none": "No limit"}
_HONEST = {
    "1m": "Up to 1 minute",
    "5m": "Up to 5 minutes",
    "30m": "Up to 30 minutes",
    "none": "As long as it takes",
}
_USUAL_TIME = "5m"
_SHOWN = (
    "n_clusters",
    "target_cluster_size",
    "mode",
    "algorithms",
    "min_clusters",
    "max_clusters",
    "max_combinations",
    "top_results",
    "stability",
    "ranking",
    "n_jobs",
    "no_gpu",
    "time_limit",
)
_WALL = 60  # pictures of images that are not clustered yet
_CANDIDATES = 12  # that are shown while a sweep runs


def find_clusters(now: Current, *, first: bool) -> None:
    """Draw the button, its time and its settings; large where it is the first thing to do."""
    assert now.dataset is not None and now.configuration is not None
    row = st.container(
        horizontal=True,
        vertical_alignment="center",
        horizontal_alignment="center" if first else "left",
        key="find_clusters_large" if first else "find_clusters_row",
    )
    place = row.container(width="content")
    asked_time = str(st.query_params.get("time", ""))  # a reload begins with the time that was chosen
    budget = row.segmented_control(
        "Time",
        list(_TIMES),
        default=asked_time if asked_time in _TIMES else _USUAL_TIME,
        required=True,
        format_func=_TIMES.__getitem__,
        key="sweep_time",
        persist_state="session",
        label_visibility="collapsed",
        help="Good cheap candidates come first, so a short look is a good one, too",
    )
    if budget != asked_time:
        choose(time=None if budget == _USUAL_TIME else budget)
    with row.popover("Settings", icon=":material/tune:", type="tertiary"):
        try:
            settings = _settings()
        except KindredError as error:
            show_error(error)
            return
    kind: Literal["primary", "secondary"] = "primary" if first else "secondary"
    with place:
        asked = pressed("Find good clusters", type=kind, icon=":material/auto_awesome:")
    if asked:
        start_job(
            now.workspace,
            "sweep",
            "Finding good clusters",
            now.dataset,
            config_key=now.configuration.key,
            settings=settings.changed(budget=budget).model_dump(mode="json"),
        )
        st.rerun()


def _settings() -> SweepSettings:
    """Draw what a person can set; the composite's weights only where the ranking goes by them."""
    weights = tuple(CompositeSettings.model_fields) if st.session_state.get("sweep_ranking") == "composite" else ()
    shown = (*_SHOWN, *weights)
    titles = {name: method_title(name) for name in ALGORITHMS}
    return forms.draw(SweepSettings, key="sweep", columns=1, only=shown, titles=titles)


def nothing_yet(now: Current, rows: Rows) -> None:
    """Draw the page before the first clustering: the images as they lie, and the one button."""
    if rows.dataset.kind != "vectors" and len(rows):
        chosen = rows.ids[np.unique(np.linspace(0, len(rows) - 1, _WALL).astype(int))]
        address = mosaic_of(chosen, width=2400, height=480)
        st.html(
            f'<img src="{address}" alt="" style="display:block;width:100%;aspect-ratio:5;object-fit:cover;'
            'border-radius:8px">'
        )
    with st.container(horizontal_alignment="center", gap="small"):
        st.markdown(f"{count(len(rows), 'image')}, not sorted yet", width="content")
        find_clusters(now, first=True)
        budget = str(st.session_state.get("sweep_time") or _USUAL_TIME)
        st.caption(
            f"{_HONEST[budget]}; the first clusters show within seconds. It tries many methods and settings and ranks "
            "what they find.",
            width="content",
        )


@st.cache_resource(show_spinner=False, max_entries=4)
def _best(_rows: Rows, folder: str, written: int) -> tuple[np.ndarray, Prototypes] | None:
    """Return the labels of the best so far, with their prototypes."""
    from pathlib import Path

    labels = np.load(Path(folder) / "snapshot.npy", allow_pickle=False)
    return (labels, prototypes(_rows.vectors, labels)) if len(labels) == len(_rows) else None


def so_far(rows: Rows, job: JobStatus) -> None:
    """Draw a running sweep: how far it is, the best so far large, and the candidates as they come."""

    @st.fragment(run_every=2.0)
    def live() -> None:
        again = jobs.status(job.folder)
        if not again.active:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container():
                watch(again, notes=0)
            if pressed(
                "Stop and rank these",
                icon=":material/stop_circle:",
                type="tertiary",
                help="Tries nothing further and ranks what was found",
            ):
                jobs.request_stop(job.folder)
            if pressed("Cancel", icon=":material/close:", type="tertiary", key=f"stop_{job.folder.name}"):
                jobs.cancel(job.folder)
                st.rerun()
        found = found_so_far(job.folder, len(rows))
        path = job.folder / "snapshot.npy"
        best = _best(rows, str(job.folder), path.stat().st_mtime_ns) if path.exists() else None
        if best is None:
            st.skeleton(height=280)
            return
        labels, typical = best
        st.markdown(f"##### The best so far: {count(int(labels.max(initial=-1)) + 1, 'cluster')}")
        group_tiles(f"so_far_{job.folder.name}", rows, labels, typical)
        if len(found) > 1:
            st.markdown(f"##### {count(len(found), 'promising clustering')} so far")
            pictures = rows.dataset.kind != "vectors"
            shown = [
                Tile(
                    key,
                    mosaic_of_candidate(job.folder, key) if pictures else "",
                    f"{method_title(row.algorithm)}, {count(row.n_clusters, 'cluster')}",
                    f"ranking score so far {figure(row.promise)}",
                )
                for key, row in found[:_CANDIDATES]
            ]
            tiles(f"candidates_{job.folder.name}", shown, label="Candidates so far", width=168)

    live()
