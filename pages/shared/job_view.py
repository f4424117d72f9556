"""One job in the page: its progress while it runs, why it failed, and that it can go on where it was cut off."""

from __future__ import annotations

import streamlit as st

from engine.core.errors import KindredError
from engine.jobs import job as jobs
from engine.jobs.job import JobStatus
from pages.shared.actions import pressed
from pages.shared.state import escape, show_error
from pages.shared.words import duration


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


def _follow(job: JobStatus) -> None:
    @st.fragment(run_every=0.5)
    def live() -> None:
        again = jobs.status(job.folder)
        if not again.active:
            st.rerun()
        watch(again)
        if pressed("Cancel", icon=":material/close:", type="tertiary", key=f"stop_{job.folder.name}"):
            jobs.cancel(job.folder)
            st.rerun()

    live()


def ended(job: JobStatus) -> bool:
    """Whether the phase that the job last told of is through, so that it works on what comes after."""
    return job.state == "running" and bool(job.total) and job.done >= job.total


def watch(job: JobStatus, *, notes: int = 5) -> None:
    """Show one job in the page: progress, rate, time left, and the last `notes` of its sentences."""
    words = [] if job.total and job.phase == job.unit else [job.phase or job.state]
    if job.total and job.unit:
        words.append(f"{job.done:,.0f} of {job.total:,.0f} {job.unit}")
    if ended(job):
        words.append("done; writing the result")
    elif job.rate:
        words.append(f"{job.rate:,.1f} {job.unit or 'steps'} a second")
    if job.seconds_left is not None and not ended(job):
        words.append(f"{duration(job.seconds_left)} left")
    st.progress(job.fraction, text=escape(" · ".join(words)))
    for sentence in job.notes[-notes:] if notes else ():
        st.caption(escape(sentence))
