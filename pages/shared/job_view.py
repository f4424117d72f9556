"""One job in the page: its progress while it runs, why it failed, and that it can go on where it was cut off."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.core.errors import KindredError
from engine.jobs import job as jobs
from engine.jobs.job import JobStatus
from engine.runs.rows import Rows
from pages.shared.frame import watch
from pages.shared.state import Current, show_error
from pages.shared.tasks import newest, start_job


def job_view(job: JobStatus | None) -> bool:
    """Draw what there is to say about the newest job of a kind; return whether it is still at work."""
    if job is None:
        return False
    if job.state == "failed":
        show_error(KindredError(job.sentence, job.hint), detail=job.detail)
    elif job.state in ("interrupted", "cancelled"):
        st.warning(f"The last one was {job.state}; what was done is kept. Resume it from the list of jobs.")
    if job.active:
        _follow(job)
    return job.active


def made_by_job(now: Current, task: str, title: str, rows: Rows, **config: Any) -> JobStatus:  # noqa: ANN401
    """Have something made of the rows, once, by a job that starts now unless it did before; return its status."""
    wanted = {"config_key": rows.embedding.config_key, "rows": rows.embedding.key, **config}
    job = newest(now.workspace, task, rows.dataset, **wanted)
    if job is None:
        job = start_job(now.workspace, task, title, rows.dataset, **wanted)
        st.rerun()
    return job


def _follow(job: JobStatus) -> None:
    @st.fragment(run_every=0.5)
    def live() -> None:
        again = jobs.status(job.folder)
        if not again.active:
            st.rerun()
        watch(again)
        if st.button("Cancel", icon=":material/close:", type="tertiary", key=f"stop_{job.folder.name}"):
            jobs.cancel(job.folder)
            st.rerun()

    live()
