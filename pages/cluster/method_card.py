"""One method as a card: what it is for, its settings as sliders, and the result while they are dragged.

Fast methods answer in place and are kept as a run by one click; what takes longer is trained in a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from engine.clustering.deep.published import published, read_settings
from engine.clustering.registry import DEFAULT_METHOD, METHODS, Method, find_method
from engine.core.errors import KindredError
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.evaluation.scores import scores
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
from engine.runs.fit import fit, planned
from engine.runs.rows import Rows, truth_codes, with_spaces, with_test_fraction
from engine.runs.run import Run, open_run
from engine.runs.training import training_table
from pages.cluster.search_panel import search_panel
from pages.cluster.training_view import largest_clusters, size_bars, training_view
from pages.shared import forms
from pages.shared.actions import pressed, say
from pages.shared.board import rows_of
from pages.shared.job_view import job_view
from pages.shared.metrics import metrics
from pages.shared.run_names import names_of_runs
from pages.shared.state import Current, choose, escape, names_of, show_error
from pages.shared.tasks import newest, start_clustering, start_job
from pages.shared.words import count

_LIVE_IMAGES = 12_000  # beyond this a fast method runs in a job
_JUDGED_AT_ONCE = 1_000  # images


@dataclass(frozen=True)
class Answer:
    """A clustering that is not kept yet."""

    labels: NDArray[np.int32]
    scores: dict[str, Any]
    notes: list[str]


@st.cache_resource(show_spinner="Clustering", max_entries=64)
def _answer(
    _workspace: Workspace,
    _rows: Rows,
    _settings: Settings,
    key: str,
    method: str,
    settings_key: str,
    test_fraction: float | None,
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
            settings = _draw_settings(method, rows, starts, within)
        except KindredError as error:
            show_error(error)
            return
        fraction = _test_part(rows)
        try:
            parted = rows if fraction is None else with_test_fraction(rows, fraction)
        except KindredError as error:
            show_error(error)
            return
        if is_live(method, settings, rows):
            _live(now, parted, method, settings, fraction)
        else:
            _in_a_job(now, parted, method, settings, fraction)
        if method.citation:
            with st.popover("Cite", icon=":material/format_quote:"):
                st.code(method.citation, language="bibtex", wrap_lines=True)
        with st.expander("Search for the best settings", icon=":material/manage_search:"):
            search_panel(now, method, settings)


def _test_part(rows: Rows) -> float | None:
    """Let the person set a share aside as the test part, where the data have none of their own."""
    if len(rows.test):
        return None
    percent = st.number_input(
        "Set aside for testing, %",
        0,
        90,
        0,
        step=5,
        key="test_part",
        help="These images do not take part in the clustering; they are labelled by it and measured apart.",
        persist_state="session",
        width=220,
    )
    return percent / 100 if percent else None


def _draw_settings(
    method: Method, rows: Rows, starts: Mapping[str, Any], within: Mapping[str, tuple[float, float]]
) -> Settings:
    """Draw the method's settings; those of a training that nobody touched stand at what suits the data."""
    key, model = f"method_{method.name}", method.settings_class
    if method.kind == "fast":
        return forms.draw(model, key=key, values=starts, columns=3, within=within)
    names = published(method.name)
    if names:
        if not st.session_state.get(f"{key}_given"):
            st.session_state[f"{key}_published"] = None
        st.selectbox(
            "Settings of the paper for",
            names,
            index=None,
            key=f"{key}_published",
            placeholder="none: what suits the data",
            on_change=_give_published,
            args=(method.name, key),
            persist_state="session",
            width=320,
        )

    def fitted(settings: Settings) -> Mapping[str, Any]:
        plan = planned(method, settings, rows)
        return (settings if plan is None else plan.resolved).model_dump()

    return forms.draw_fitted(model, fitted, key=key, values=starts, columns=3, within=within)


def _give_published(method: str, key: str) -> None:
    name = st.session_state[f"{key}_published"]
    forms.give(key, read_settings(method, name) if name else {})


def is_live(method: Method, settings: Settings, rows: Rows) -> bool:
    """Return whether the method answers within about two seconds."""
    reduces = method.reduction(settings).startswith("umap")
    return method.kind == "fast" and len(rows) <= (3_000 if reduces else _LIVE_IMAGES)


def _live(now: Current, rows: Rows, method: Method, settings: Settings, test_fraction: float | None) -> None:
    try:
        answer = _answer(now.workspace, rows, settings, rows.embedding.key, method.name, settings.key(), test_fraction)
    except KindredError as error:
        show_error(error)
        return
    show_answer(rows, answer.labels, answer.scores)
    for sentence in answer.notes:
        st.caption(escape(sentence))
    if pressed("Keep this clustering", icon=":material/bookmark_add:"):
        run = keep(now, rows, method, settings, test_fraction)
        choose(run=run.folder.name)
        say("Kept. See it on Explore.")
        st.rerun()


def keep(now: Current, rows: Rows, method: Method, settings: Settings, test_fraction: float | None = None) -> Run:
    """Write the clustering as a run of the library; what it is worth is measured at once, or by a job."""
    at_once = len(rows) <= _JUDGED_AT_ONCE
    run = cluster_images(
        now.workspace,
        ClusterRequest(
            dataset=rows.dataset.id,
            config_key=rows.embedding.config_key,
            method=method.name,
            settings=settings.given(),
            test_fraction=test_fraction,
            judge=at_once,
        ),
    )
    if not at_once:
        start_job(now.workspace, "analyse", "Judging the clustering", rows.dataset, run=str(run.folder))
    return run


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


def _in_a_job(now: Current, rows: Rows, method: Method, settings: Settings, test_fraction: float | None) -> None:
    assert now.dataset is not None and now.configuration is not None
    job = newest(now.workspace, "cluster", now.dataset, method=method.name)
    if job is not None and job.active:
        training_view(rows, job)
        return
    job_view(job)
    start_run = _start_run(now, method, settings)
    try:
        plan = planned(method, settings, rows)
    except KindredError as error:
        show_error(error)
        return
    if plan is not None:
        st.caption(escape(plan.sentence))
    also = _further_embeddings(now, rows, method)
    if pressed(f"Start {method.title}", icon=":material/play_arrow:", disabled=start_run is None):
        start_clustering(
            now.workspace,
            now.dataset,
            now.configuration.key,
            method,
            settings,
            start_run=start_run or "",
            also=also,
            test_fraction=test_fraction,
        )
        st.rerun()
    if job is not None and job.state == "done":
        left, right = st.columns([1, 4], vertical_alignment="center")
        if pressed("Use the last run", button=left.button, icon=":material/check:"):
            choose(run=job.folder.name)
            st.rerun()
        right.caption(f"{escape(job.title)}: {count(int(job.result.get('n_clusters', 0)), 'cluster')}")
        _what_training_did(job.folder)


def _what_training_did(folder: Path) -> None:
    """Show the scores of a training's start and end beside its references."""
    results = open_run(folder).results
    table = training_table(results)
    if not table:
        return
    st.dataframe(pd.DataFrame(table).dropna(axis="columns", how="all").round(3), hide_index=True, width="stretch")
    training = results["training"]
    if training["changed"] is not None:
        kept = " The start was better and is what the run holds." if training["handed_back"] else ""
        st.caption(f"Training changed the cluster of {training['changed']:.1%} of the images.{kept}")


def _start_run(now: Current, method: Method, settings: Settings) -> str | None:
    """Let the person choose the run that training starts from, where the settings ask for one; None without any."""
    if not method.starts_from_labels or settings.model_dump().get("warm_start") != "run":
        return ""
    told = names_of_runs(now.runs)
    names = {str(run.folder): told[run.folder.name] for run in now.runs}
    if not names:
        st.info("Training can start from a kept clustering, but none is kept yet. Keep one, or choose another start.")
        return None
    return st.selectbox("Start from", list(names), format_func=names.__getitem__, key="start_run", width=420)


def _further_embeddings(now: Current, rows: Rows, method: Method) -> list[str]:
    """Let the person choose further embeddings of the same images, where the method reads several; their keys."""
    assert now.configuration is not None
    names = names_of(now.configurations)
    others = {item.key: item for item in now.configurations if item.key != now.configuration.key}
    if method.takes != "spaces" or not others:
        return []
    chosen: list[str] = st.multiselect(
        "Also read",
        list(others),
        format_func=names.__getitem__,
        key=f"also_{now.configuration.key}",
        help="Further embeddings of the same images: groups are looked for that show in all of them.",
        persist_state="session",
        width=420,
    )
    if chosen:
        have = tuple(others[key].have for key in chosen)
        st.caption(_number_with_all(now.workspace, rows, rows.embedding.key, tuple(chosen), have))
    return chosen


@st.cache_data(show_spinner=False, max_entries=16)
def _number_with_all(
    _workspace: Workspace, _rows: Rows, key: str, configurations: tuple[str, ...], have: tuple[int, ...]
) -> str:
    """Return a sentence on how many of the rows have all the embeddings."""
    return with_spaces(_workspace, _rows, configurations)[1]
