"""Distil: a small set on which a classifier trains almost as well, measured against honest baselines."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from engine.core.errors import KindredError
from engine.jobs.tasks.results import LearnedLabels, labels_to_learn, labels_used
from engine.runs.rows import Rows
from engine.runs.run import Run
from pages.distil.presets import choose_settings, measure, preset_cards, time_of
from pages.distil.result import result_of, show_result, take_along
from pages.shared.actions import pressed
from pages.shared.board import history_of, rows_of
from pages.shared.frame import first_do, heading
from pages.shared.job_view import job_view
from pages.shared.state import Current, current, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.words import count


@st.cache_resource(show_spinner="Reading the labels", max_entries=4)
def _learned(_now: Current, _run: Run, _rows: Rows, run: str, made: float, key: str, version: int) -> LearnedLabels:
    return labels_to_learn(_now.workspace, _run, _rows)


def _begin(now: Current, run: Run, rows: Rows, learned: LearnedLabels, *, first: bool) -> None:
    """Draw the presets and the button; it is the page's first where nothing was distilled yet."""
    assert now.dataset is not None
    classes = count(learned.n_classes, "class", "classes")
    st.markdown(
        f"A few images of each of {classes}, from which a classifier learns almost as well as from all. "
        f":gray[{labels_used(learned.counts)}]"
    )
    cards, place = st.container(), st.container()
    settings = choose_settings()
    with cards:
        preset_cards(settings, rows, learned)
    kind: Literal["primary", "secondary"] = "primary" if first else "secondary"
    time = time_of(settings, rows, learned)
    label = ("Distil" if first else "Distil again") + (f" · {time}" if time else "")
    with place:
        asked = pressed(label, key="distil_start", type=kind, icon=":material/compress:")
    if asked:
        start_job(now.workspace, "distil", "Distilling", now.dataset, run=str(run.folder), settings=settings.given())
        st.rerun()
    measure(settings, rows, learned)


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Distil", "")
    if now.dataset is None or now.run is None or now.configuration is None:
        first_do(now, "Keep a clustering first.", "pages/cluster/page.py", "Cluster")
        return
    run = now.run
    if job_view(newest(now.workspace, "distil", now.dataset)):
        return
    try:
        rows = rows_of(now, now.configuration)
        version = history_of(now.workspace, now.dataset).version()
        learned = _learned(now, run, rows, run.folder.name, run.created, rows.embedding.key, version)
        results = result_of(run)
        if results is not None:
            show_result(rows, run, results)
            take_along(now, rows, run, results)
            st.markdown("##### Another one")
        if learned.n_classes < 2:
            first_do(
                now, "A small set tells classes apart; here are fewer than two.", "pages/cluster/page.py", "Cluster"
            )
            return
        _begin(now, run, rows, learned, first=results is None)
    except KindredError as error:
        show_error(error)


page()
