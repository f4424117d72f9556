"""The jobs in the rail: a line for what is at work, one for each failure until it is dismissed or repeated, a list."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from engine.jobs import job as jobs
from engine.jobs.job import JobStatus
from pages.shared.actions import pressed
from pages.shared.job_view import ended
from pages.shared.state import Current, escape
from pages.shared.words import duration

_RECENT = 24 * 3600.0  # what failed longer ago is in the list only
_MOST_FAILED, _MOST_LISTED = 2, 12
_UNLUCKY = ("failed", "interrupted", "cancelled")
_ICONS = {
    "done": ":material/check:",
    "failed": ":material/error:",
    "interrupted": ":material/pause_circle:",
    "cancelled": ":material/block:",
}


def of_dataset(now: Current, job: JobStatus) -> bool:
    """Whether a job works on the data set that is looked at."""
    return now.dataset is not None and job.config.get("dataset", {}).get("id") == now.dataset.id


def jobs_line(now: Current, found: Sequence[JobStatus]) -> None:
    """Draw the jobs; `found` are all of the workspace, the newest first."""
    own = [job for job in found if of_dataset(now, job)]
    for job in _failures(own)[:_MOST_FAILED]:
        _failed(now, job)
    active = sorted((job for job in found if job.active), key=lambda job: not of_dataset(now, job))
    listed = [*active, *(job for job in own if not job.active)][:_MOST_LISTED]
    if active:
        first = active[0]
        st.progress(first.fraction)
        with st.container(key="jobline_active", horizontal=True):
            _list(now, listed, _words(first) + (f" (+{len(active) - 1})" if len(active) > 1 else ""))
            _cancel(first, key=f"cancel_{first.folder.name}")
    elif listed:
        with st.container(key="jobline_none", horizontal=True):
            _list(now, listed, "Jobs")


def _failures(own: Sequence[JobStatus]) -> list[JobStatus]:
    """Return what ended without success, was not dismissed, and was not started again since."""
    shown, later = [], set()
    for job in own:
        unlucky = job.state in _UNLUCKY and time.time() - job.created < _RECENT
        if unlucky and job.task not in later and not jobs.is_dismissed(job.folder):
            shown.append(job)
        later.add(job.task)
    return shown


def _words(job: JobStatus) -> str:
    """Return what an active job is at, in one short line."""
    title = escape(job.title.partition(" with ")[0])  # the rail is narrow; the list has the whole title
    if job.state == "waiting":
        return f"{title} · waiting"
    left = "writing the result" if ended(job) else duration(job.seconds_left).removeprefix("about ")
    part = f"{100 * job.fraction:.0f}%" if job.total else "starting"
    return " · ".join(word for word in (f"{title} {part}", left) if word)


def _failed(now: Current, job: JobStatus) -> None:
    name = job.folder.name
    with st.container(key=f"jobline_failed_{name}", horizontal=True):
        st.caption(escape(f"{job.title}: {job.sentence or job.state}"))
        _again(now, job, key=f"resume_{name}")
        if pressed("Dismiss", icon=":material/close:", key=f"dismiss_{name}", type="tertiary", help="Dismiss"):
            jobs.dismiss(job.folder)
            st.rerun()


def _again(now: Current, job: JobStatus, *, key: str, width: str = "content") -> None:
    """Start what ended without success once more; what it had done is kept."""
    words = "Try again" if job.state == "failed" else "Resume"
    if pressed(words, icon=":material/replay:", key=key, help=words, type="tertiary", width=width):
        jobs.start(now.workspace, job.folder)
        st.rerun()


def _cancel(job: JobStatus, *, key: str) -> None:
    if pressed("Cancel", icon=":material/close:", key=key, help=f"Cancel {escape(job.title)}", type="tertiary"):
        jobs.cancel(job.folder)
        st.rerun()


def _list(now: Current, listed: Sequence[JobStatus], label: str) -> None:
    """List the jobs of this data set, and what else is at work, with what can be done about each."""
    with st.popover(label, key="jobs_list", type="tertiary", width="stretch"):
        for job in listed:
            name = job.folder.name
            if job.active:
                st.progress(job.fraction, text=_words(job))
                _cancel(job, key=f"list_cancel_{name}")
                continue
            made = time.strftime("%H:%M", time.localtime(job.created))
            st.markdown(f"{_ICONS[job.state]} {escape(job.title)} :gray[{job.state}, {made}]")
            if job.state in _UNLUCKY:
                if job.sentence:
                    st.caption(escape(f"{job.sentence} {job.hint}"))
                _again(now, job, key=f"list_resume_{name}")
