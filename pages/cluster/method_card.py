"""One method as a card: what it is for, its settings as sliders, and the result while they are dragged.

Fast methods answer in place and are kept as a run by one click; what takes longer is trained in a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.clustering.registry import DEFAULT_METHOD, METHODS, Method, find_method
from engine.core.errors import KindredError
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.evaluation.scores import scores
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
from engine.runs.fit import fit
from engine.runs.rows import Rows, truth_codes
from engine.runs.run import Run
from pages.cluster.search_panel import search_panel
from pages.cluster.training_view import largest_clusters, size_bars, training_view
from pages.shared import forms
from pages.shared.actions import pressed, say
from pages.shared.board import rows_of
from pages.shared.job_view import job_view
from pages.shared.metrics import metrics, title_of
from pages.shared.state import Current, choose, escape, show_error
from pages.shared.tasks import newest, start_clustering
from pages.shared.words import count

_LIVE_IMAGES = 12_000  # beyond this a fast method runs in a job


@dataclass(frozen=True)
class Answer:
    """A clustering that is not kept yet."""

    labels: NDArray[np.int32]
    scores: dict[str, Any]
    notes: list[str]


@st.cache_resource(show_spinner="Clustering", max_entries=64)
def _answer(
    _workspace: Workspace, _rows: Rows, _settings: Settings, key: str, method: str, settings_key: str
) -> Answer:
    estimator, labels, _ = fit(find_method(method), _settings, _rows, _workspace)
    truth = truth_codes(_rows.truth)
    return Answer(labels, scores(_rows.vectors, labels, truth), estimator.notes_)


def method_card(now: Current) -> None:
    """Draw the choice of methods and the chosen one's card."""
    assert now.dataset is not None and now.configuration is not None
    name = st.segmented_control(
        "Method",
        list(METHODS),
        default=DEFAULT_METHOD,
        required=True,
        format_func=lambda key: METHODS[key].title,
        key="method",
        persist_state="session",
        label_visibility="collapsed",
    )
    method = find_method(str(name))
    rows = rows_of(now, now.configuration)
    with st.container(border=True):
        st.markdown(f"**{method.title}** :gray[{method.sentence}]")
        starts = {}
        classes = len({truth for truth in rows.truth if truth is not None})
        if classes > 1 and method.counts_clusters:
            starts["n_clusters"] = classes
        most = max(3, min(len(rows) - 1, max(60, 4 * classes)))
        within = {"n_clusters": (2, most)} if method.counts_clusters else {}
        try:
            settings = forms.draw(
                method.settings_class, key=f"method_{method.name}", values=starts, columns=3, within=within
            )
        except KindredError as error:
            show_error(error)
            return
        if is_live(method, settings, rows):
            _live(now, rows, method, settings)
        else:
            _in_a_job(now, rows, method, settings)
        with st.expander("Search for the best settings", icon=":material/manage_search:"):
            search_panel(now, method, settings)


def is_live(method: Method, settings: Settings, rows: Rows) -> bool:
    """Return whether the method answers within about two seconds."""
    reduces = method.reduction(settings).startswith("umap")
    return method.kind == "fast" and len(rows) <= (3_000 if reduces else _LIVE_IMAGES)


def _live(now: Current, rows: Rows, method: Method, settings: Settings) -> None:
    try:
        answer = _answer(now.workspace, rows, settings, rows.embedding.key, method.name, settings.key())
    except KindredError as error:
        show_error(error)
        return
    show_answer(rows, answer.labels, answer.scores)
    for sentence in answer.notes:
        st.caption(escape(sentence))
    if pressed("Keep this clustering", icon=":material/bookmark_add:"):
        run = keep(now, rows, method, settings)
        choose(run=run.folder.name)
        say("Kept. See it on Explore.")
        st.rerun()


def keep(now: Current, rows: Rows, method: Method, settings: Settings) -> Run:
    """Write the clustering as a run of the library."""
    return cluster_images(
        now.workspace,
        ClusterRequest(
            dataset=rows.dataset.id,
            config_key=rows.embedding.config_key,
            method=method.name,
            settings=settings.model_dump(mode="json"),
        ),
    )


def show_answer(rows: Rows, labels: NDArray[np.int32], found: dict[str, Any]) -> None:
    """Show a clustering's figures, its size histogram and the prototypes of its largest clusters."""
    last = "noise_share" if found.get("accuracy") is None else "accuracy"
    metrics(found, ("n_clusters", "silhouette", "balance", "largest_share", last, "random_accuracy"))
    sizes = np.sort(np.bincount(labels[labels >= 0]))[::-1] if (labels >= 0).any() else np.empty(0, int)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        size_bars(sizes[sizes > 0])
    with right:
        if rows.dataset.kind != "vectors" and len(sizes):
            largest_clusters(rows, labels)


def _in_a_job(now: Current, rows: Rows, method: Method, settings: Settings) -> None:
    assert now.dataset is not None and now.configuration is not None
    job = newest(now.workspace, "cluster", now.dataset, method=method.name)
    if job is not None and job.active:
        training_view(rows, job)
        return
    job_view(job)
    start_run = _start_run(now, method, settings)
    if pressed(f"Start {method.title}", icon=":material/play_arrow:", disabled=start_run is None):
        start_clustering(now.workspace, now.dataset, now.configuration.key, method, settings, start_run=start_run or "")
        st.rerun()
    if job is not None and job.state == "done":
        left, right = st.columns([1, 4], vertical_alignment="center")
        if pressed("Use the last run", button=left.button, icon=":material/check:"):
            choose(run=job.folder.name)
            st.rerun()
        right.caption(f"{escape(job.title)}: {count(int(job.result.get('n_clusters', 0)), 'cluster')}")


def _start_run(now: Current, method: Method, settings: Settings) -> str | None:
    """Let the person choose the run that training starts from, where the settings ask for one; None without any."""
    if not method.starts_from_labels or settings.model_dump().get("warm_start") != "run":
        return ""
    names = {str(run.folder): title_of(run) for run in now.runs}
    if not names:
        st.info("Training can start from a kept clustering, but none is kept yet. Keep one, or choose another start.")
        return None
    return st.selectbox("Start from", list(names), format_func=names.__getitem__, key="start_run", width=420)
