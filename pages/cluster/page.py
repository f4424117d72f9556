"""Cluster: the best clustering large, the others as thumbnails; find good ones by one button or choose a method."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.core.errors import KindredError
from engine.jobs.job import JobStatus
from engine.selection.sweep.report import SUMMARY, SweepResult, load_sweep
from pages.cluster.alternatives import alternatives, candidates_table
from pages.cluster.how_many import how_many
from pages.cluster.kept_runs import LOOKED_AT, bin_of_runs, kept_runs, runs_table
from pages.cluster.method_card import method_card
from pages.cluster.sweep_board import find_clusters, nothing_yet, so_far
from pages.cluster.winner import found_best, in_use
from pages.shared.board import rows_of
from pages.shared.frame import first_do, heading
from pages.shared.job_view import job_view
from pages.shared.state import Current, current, show_error
from pages.shared.tasks import newest


@st.cache_resource(show_spinner=False, max_entries=4)
def _load(folder: str, ended: float) -> SweepResult:
    return load_sweep(Path(folder))


def _board(now: Current) -> tuple[JobStatus | None, SweepResult | None]:
    """Return the newest sweep that has ended on these embeddings, with its board."""
    assert now.dataset is not None and now.configuration is not None
    done = newest(now.workspace, "sweep", now.dataset, made=SUMMARY, config_key=now.configuration.key)
    if done is None:
        return None, None
    return done, _load(str(done.folder), (done.folder / SUMMARY).stat().st_mtime)


def _rank_in_use(now: Current, result: SweepResult) -> int | None:
    """Return the rank of the board that the run in use holds; None where it comes from elsewhere."""
    source = {} if now.run is None else now.run.config.get("labels_from", {})
    same = isinstance(source, dict) and source.get("board") == str(result.folder)
    return int(source["rank"]) if same else None


def _large(now: Current, result: SweepResult | None) -> int | None:
    """Draw the clustering that the page is about; return its rank on the board, None where it is not of the board."""
    assert now.configuration is not None
    rank = None if result is None else _rank_in_use(now, result)
    if result is not None and rank is None and result.ranked and not _chosen_since(now, result):
        found_best(now, rows_of(now, now.configuration).training(), result)
        return 1
    in_use(now)
    return rank


def _chosen_since(now: Current, result: SweepResult) -> bool:
    """Whether the run in use is what the person means to see, and not the winner of a sweep that ended after it."""
    if now.run is None or now.configuration is None:
        return False
    if now.run.config.get("embedding", {}).get("config_key") != now.configuration.key:
        return False
    ended = (result.folder / SUMMARY).stat().st_mtime
    return now.run.created > ended or st.session_state.get(LOOKED_AT) == now.run.folder.name


def _found(now: Current) -> None:
    """Draw what there is: a running sweep, a clustering with its alternatives, or the one button."""
    assert now.dataset is not None and now.configuration is not None
    rows = rows_of(now, now.configuration).training()
    job = newest(now.workspace, "sweep", now.dataset, config_key=now.configuration.key)
    if job is not None and job.active:
        so_far(rows, job)
        return
    job_view(job)
    done, result = _board(now)
    nothing = result is not None and not result.ranked
    if now.run is None and (result is None or nothing):
        if nothing:
            st.info("No structure was found: no candidate does better than its own labels shuffled.")
        nothing_yet(now, rows)
        return
    hero = _large(now, result)
    if result is not None:
        alternatives(now, rows, result, hero)
    kept_runs(now)
    find_clusters(now, first=False)


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Cluster", "")
    if now.dataset is None or now.configuration is None:
        first_do(now, "Embed the images first.", "pages/embed/page.py", "Embed")
        return
    try:
        _found(now)
        _more(now)
    except KindredError as error:
        show_error(error)
    bin_of_runs(now)


def _more(now: Current) -> None:
    """Draw what only some people need, one of it at a time; nothing is computed before it is asked for."""
    _, result = _board(now)
    names = {"method": "Choose a method yourself", "count": "How many clusters are there?"}
    if now.runs:
        names["kept"] = "Kept clusterings"
    if result is not None and result.ranked:
        names["ranks"] = "All that was tried"
    chosen = st.pills(
        "More",
        list(names),
        format_func=names.__getitem__,
        key="cluster_more",
        persist_state="session",
        label_visibility="collapsed",
    )
    if chosen == "method":
        method_card(now)
    elif chosen == "count":
        how_many(now)
    elif chosen == "kept":
        runs_table(now)
    elif chosen == "ranks" and result is not None:
        candidates_table(result)


page()
