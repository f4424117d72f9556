"""The frame around every page: the sidebar with data set, steps and jobs, and the page's own heading."""

from __future__ import annotations

import time
from collections.abc import Sequence, Set

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine import __version__
from engine.jobs import job as jobs
from engine.jobs.job import JobStatus
from pages.registry import SCREENS
from pages.shared.actions import pressed
from pages.shared.job_view import ended
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current, choose, escape, names_of
from pages.shared.words import duration

_RECENT = 24 * 3600.0  # a finished job leaves the tray after a day

_STYLE = """<style>
[data-testid="stSidebar"] { width: 264px !important; min-width: 264px !important; }
[data-testid="stMainBlockContainer"] { padding: 2.2rem 1.5rem 3rem; max-width: none; }
[data-testid="stSidebarHeader"] { height: 2.2rem; margin: 0; padding-block: 0; }
[data-testid="stSidebarUserContent"] { padding-top: 0; }
.st-key-label_watch { position: absolute; } /* it draws nothing and takes no room */
[data-testid="stToastContainer"] {
  top: 4px !important; bottom: auto !important; left: 50% !important; right: auto !important;
  transform: translateX(-50%); align-items: center; pointer-events: none;
}
[data-testid="stToast"] {
  width: auto; max-width: min(640px, 60vw); min-height: 0; padding: 2px 12px; pointer-events: none; font-size: 0.85rem;
}
[data-testid="stMetricValue"] { font-size: 1.25rem; }
[data-testid="stMetricLabel"] p { white-space: normal; }
.stApp { font-variant-numeric: tabular-nums; }
img { max-width: none; }
@media (max-width: 1100px) {
  [class*="st-key-stack_"] [data-testid="stHorizontalBlock"]:has(> [data-testid="stColumn"]) { flex-wrap: wrap; }
  [class*="st-key-stack_"] > div > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"],
  [class*="st-key-stack_"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {
    flex: 1 1 100%; min-width: 100%;
  }
  [data-testid="stMainBlockContainer"] { padding: 3.2rem 1rem 2rem; }
  button kbd { display: none !important; }
}
@media (min-width: 801px) { .st-key-narrow_switch { display: none; } }
@media (min-width: 801px) and (max-width: 1100px) {
  .st-key-stack_explore > div > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:first-child,
  .st-key-stack_explore > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:first-child {
    flex: 0 0 304px; min-width: 304px;
  }
  .st-key-stack_explore > div > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:nth-child(2),
  .st-key-stack_explore > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:nth-child(2) {
    flex: 1 1 380px; min-width: 380px;
  }
}
@media (max-width: 800px) {
  [data-testid="stToast"] { max-width: 90vw; }
  .st-key-pane_clusters > :has([data-testid="stDataFrame"]) { max-height: 270px; overflow-y: auto; }
}
</style>"""


_MARKS = {"done": ":green[:material/check:]", "out of date": ":orange[:material/sync_problem:]"}


def heading(title: str, sentence: str) -> DeltaGenerator:
    """Show the page's title and its one sentence; returns a place at the right for the page's own buttons."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.title(title, anchor=False, width="content")
        right = st.container(horizontal=True, width="content")
    if sentence:
        st.markdown(f":gray[{sentence}]")
    return right


def next_step(now: Current, file: str, label: str) -> None:
    """Draw the page's way on, as its primary button."""
    if pressed(label, type="primary", icon=":material/arrow_forward:", key=f"next_{file}"):
        st.switch_page(file, query_params=now.parameters)


def first_do(now: Current, sentence: str, file: str, label: str) -> None:
    """Say on an empty screen what to do first, with the way there."""
    st.info(sentence, icon=":material/info:")
    st.page_link(file, label=label, icon=":material/arrow_back:", query_params=now.parameters)


def sidebar(now: Current) -> None:
    """Draw the sidebar: the data set, each step with its state and its one figure, the jobs."""
    st.html(_STYLE)
    with st.sidebar:
        st.markdown(f"### Kindred :small[:gray[{__version__}]]")
        _choose_dataset(now)
        _choose_embedding(now)
        active = {job.folder.name for job in jobs.list_jobs(now.workspace) if job.active}
        st.fragment(_steps_and_jobs, run_every=1.0 if active else None)(now, active)


def _steps_and_jobs(now: Current, were_active: Set[str]) -> None:
    """Draw the steps and the jobs; while a job runs, again every second, and the whole page when one has ended."""
    found = jobs.list_jobs(now.workspace)
    running = _active(now, found)
    for screen in SCREENS:
        _link(now, screen, running)
    shown = _tray(now, found)
    if shown:
        st.markdown("##### Jobs")
    for job in shown:
        _draw_job(now, job)
    if were_active - {job.folder.name for job in found if job.active}:
        st.rerun()


def _choose_dataset(now: Current) -> None:
    from engine.images.datasets import list_datasets

    known = list_datasets(now.workspace)
    if not known or now.dataset is None:
        st.caption("No images yet. Choose a folder on the right.")
        return
    names = {item.id: item.name for item in known}
    chosen = st.selectbox(
        "Data set",
        list(names),
        index=list(names).index(now.dataset.id),
        format_func=lambda key: names[key],
        label_visibility="collapsed",
        key=f"frame_dataset_{now.dataset.id}_{len(names)}",
    )
    if chosen and chosen != now.dataset.id:
        choose(data=chosen)
        st.rerun()


def _choose_embedding(now: Current) -> None:
    """Let a person switch between the encoders that the data set is embedded with, where there are several."""
    if now.configuration is None or len(now.configurations) < 2:
        return
    names = names_of(now.configurations)
    chosen = st.selectbox(
        "Embedding in use",
        list(names),
        index=list(names).index(now.configuration.key),
        format_func=lambda key: names[key],
        help="Clusters, map and search work on these vectors. Each encoder keeps its own clusterings.",
        key=f"frame_embedding_{now.configuration.key}_{len(names)}",
    )
    if chosen and chosen != now.configuration.key:
        choose(embedding=chosen, run=None)
        st.rerun()


def _active(now: Current, found: Sequence[JobStatus]) -> dict[str, JobStatus]:
    """Return the running job of each kind of work on this data set."""
    running: dict[str, JobStatus] = {}
    for job in found:
        if job.active and now.dataset and job.config.get("dataset", {}).get("id") == now.dataset.id:
            running.setdefault(job.task, job)
    return running


def _link(now: Current, screen: Screen, running: dict[str, JobStatus]) -> None:
    """Draw the way to a screen, with its figure and a mark where it is done."""
    step = screen.step(now) if now.dataset is not None else NOT_YET
    job = next((running[task] for task in screen.tasks if task in running), None)
    if job is not None:
        step = Step("doing", "waiting" if job.state == "waiting" else f"{100 * job.fraction:.0f}%")
    words = [screen.title, f":gray[{escape(step.figure)}]" if step.figure else "", _MARKS.get(step.state, "")]
    st.page_link(
        screen.file,
        label=" ".join(word for word in words if word),
        icon=screen.icon,
        query_params=now.parameters,
        width="stretch",
        help=step.state,
    )


def _tray(now: Current, found: Sequence[JobStatus]) -> list[JobStatus]:
    """Return the jobs to show: those at work, and what of this data set ended without success and was not dismissed."""
    own = now.dataset.id if now.dataset else ""
    dismissed = st.session_state.setdefault("dismissed_jobs", set())
    recent = [job for job in found if time.time() - job.created < _RECENT]
    return [
        job
        for job in recent
        if job.active
        or (
            job.state in ("failed", "interrupted", "cancelled")
            and job.folder.name not in dismissed
            and job.config.get("dataset", {}).get("id") == own
        )
    ][:6]


def _draw_job(now: Current, job: JobStatus) -> None:
    name = job.folder.name
    left, right = st.columns([5, 1], vertical_alignment="center", wrap=False)
    with left:
        if job.active:
            words = [job.title, job.phase if job.state == "running" else job.state]
            if ended(job):
                words.append("writing the result")
            elif job.seconds_left is not None:
                words.append(f"{duration(job.seconds_left)} left")
            st.progress(job.fraction, text=escape(" · ".join(word for word in words if word)))
        else:
            st.caption(f"{escape(job.title)}: {job.state}", help=job.sentence or None)
    with right:
        if job.active:
            if pressed("", icon=":material/close:", key=f"cancel_{name}", help="Cancel", type="tertiary"):
                jobs.cancel(job.folder)
                st.rerun()
        elif pressed("", icon=":material/replay:", key=f"resume_{name}", help="Resume", type="tertiary"):
            jobs.start(now.workspace, job.folder)
            st.rerun()
    if not job.active and pressed("Dismiss", key=f"dismiss_{name}", type="tertiary"):
        st.session_state["dismissed_jobs"].add(name)
        st.rerun()
