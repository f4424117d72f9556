"""What explains a run and its clusters, and a button that takes one of these measures out of the vectors."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.evaluation.explanation import FOLDER, NOTABLE, Explanation
from engine.jobs.job import JobStatus
from engine.runs.rows import Rows, align
from engine.runs.run import Run
from pages.shared.actions import pressed
from pages.shared.board import history_of
from pages.shared.job_view import job_view
from pages.shared.state import Current, escape, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.why import explanation_of

_GROUPS = "Two groups of images"


def explanation_for(now: Current, run: Run, rows: Rows) -> Explanation | None:
    """Return what explains a run's clusters as they are after the person's changes."""
    state = history_of(now.workspace, rows.dataset).state(rows.contents, align(run, rows)[0], run=run.folder.name)
    return explanation_of(now.workspace, run, rows, state.cluster)


def why_panel(now: Current, run: Run, rows: Rows, found: Explanation | None) -> None:
    """Draw what explains the run, and what can be done about it."""
    if found is not None and not found.run:
        return
    st.markdown("##### Why these clusters")
    if found is None:
        st.caption("What explains so many clusters is being worked out; it stands here when the job is done.")
        return
    st.markdown(escape(found.sentence))
    with st.container(key="stack_why"):
        left, right = st.columns([3, 2], gap="medium")
    with left:
        _table(found)
    with right:
        _take_out(now, run, rows, found)


def _table(found: Explanation) -> None:
    rows = [
        {
            "measure": one.measure,
            "explains": max(one.value, 0.0),
            "by chance": max(one.floor, 0.0),
            "meaning": "explains it" if one.notable else "above chance, weak" if one.above_chance else "as by chance",
        }
        for one in found.run
    ]
    column = st.column_config
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 320),
        column_config={
            "explains": column.ProgressColumn(
                format="%.2f",
                min_value=0.0,
                max_value=1.0,
                help="Adjusted mutual information with the clusters: 1 tells them all, 0 is chance; "
                f"worth a word from {NOTABLE:g} on",
            ),
            "by chance": column.NumberColumn(
                format="%.2f", help="The most that it reaches on shuffled clusters, for all measures together"
            ),
            "meaning": column.TextColumn(""),
        },
    )


def _take_out(now: Current, run: Run, rows: Rows, found: Explanation) -> None:
    """Let the person choose what is taken out, and show before and after when it is done."""
    job = newest(now.workspace, "remove-nuisance", rows.dataset, run=str(run.folder))
    if job_view(job):
        return
    measures = [one.measure for one in found.run]
    what = st.selectbox(
        "Take out of the vectors",
        [*measures, _GROUPS],
        index=next((at for at, measure in enumerate(measures) if measure != FOLDER), 0),
        key=f"why_measure_{run.folder.name}",
        help="Makes embeddings without it beside the old ones and clusters them by the same method; both stay",
    )
    values: dict[str, object] = {"measure": what}
    if what == _GROUPS:
        state = history_of(now.workspace, rows.dataset).state(rows.contents, align(run, rows)[0], run=run.folder.name)
        names = {**{label: label for label in state.label_names}}
        names |= {str(one.id): state.title(one.id) for one in state.clusters if str(one.id) not in names}
        one, other = st.columns(2)
        first = one.selectbox("With", list(names), format_func=names.__getitem__, key="why_first")
        second = other.selectbox("Without", list(names), index=None, format_func=names.__getitem__, key="why_second")
        values = {"groups": [str(first), str(second)] if first and second else []}
    ready = what != _GROUPS or bool(values["groups"])
    if pressed("Take it out and cluster again", icon=":material/filter_alt_off:", disabled=not ready, key="why_remove"):
        try:
            start_job(
                now.workspace,
                "remove-nuisance",
                f"Clusters without {what}",
                rows.dataset,
                run=str(run.folder),
                **values,
            )
        except KindredError as error:
            show_error(error)
        else:
            st.rerun()
    if job is not None and job.state == "done":
        _done(now, job)


def _done(now: Current, job: JobStatus) -> None:
    """Say what the last removal changed, with the way to both runs side by side."""
    made = {run.folder.name for run in now.runs}
    if {job.result.get("run"), job.result.get("before_run")} <= made:
        st.markdown(escape(job.result["sentence"]))
        st.page_link(
            "pages/compare/page.py",
            label="Before and after side by side",
            icon=":material/compare:",
            query_params={
                **now.parameters,
                "view": "Two side by side",
                "first": job.result["before_run"],
                "second": job.result["run"],
            },
        )
