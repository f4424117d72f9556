"""The rail at the left edge: the data set by its cover, each step with its own figure, the jobs as one line."""

from __future__ import annotations

from collections.abc import Sequence, Set

import streamlit as st

from components.rail.face import rail
from engine import __version__
from engine.jobs import job as jobs
from engine.jobs.job import JobStatus
from pages.jobs_line import jobs_line, of_dataset
from pages.registry import SCREENS
from pages.shared.actions import pressed
from pages.shared.covers import cover, cover_ids
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current, choose, escape, names_of

_STALE = ":orange[:material/sync_problem:]"


def sidebar(now: Current) -> None:
    """Draw the rail."""
    with st.sidebar:
        with st.container(key="rail_top", horizontal=True):
            st.html(f'<div class="k-brand">Kindred<small>{__version__}</small></div>')
            rail("rail_fold")
        _choose_dataset(now)
        _choose_embedding(now)
        active = {job.folder.name for job in jobs.list_jobs(now.workspace) if job.active}
        with st.container(key="rail_body"):
            st.fragment(_steps_and_jobs, run_every=1.0 if active else None)(now, active)


def _steps_and_jobs(now: Current, were_active: Set[str]) -> None:
    """Draw the steps and the jobs; while a job runs, again every second, and the whole page when one has ended."""
    found = jobs.list_jobs(now.workspace)
    running = _active(now, found)
    for screen in SCREENS:
        _link(now, screen, running)
    with st.container(key="jobs"):
        jobs_line(now, found)
    if were_active - {job.folder.name for job in found if job.active}:
        st.rerun()


def _choose_dataset(now: Current) -> None:
    """Show the data set by its cover; a click lists the others, and the way to further images."""
    from engine.images.datasets import list_datasets

    if now.dataset is None:
        return
    with st.container(key="dataset_choice"):
        cover(cover_ids(now.workspace, now.dataset))
        with st.popover(escape(now.dataset.name), key="datasets", width="stretch"):
            for item in list_datasets(now.workspace)[:12]:
                with st.container(key=f"set_{item.id}", horizontal=True):
                    cover(cover_ids(now.workspace, item))
                    if pressed(
                        escape(item.name), key=f"use_{item.id}", type="tertiary", disabled=item.id == now.dataset.id
                    ):
                        choose(data=item.id)
                        st.session_state["adding"] = False
                        st.rerun()
            if pressed("Other images", icon=":material/add:", key="add_images", width="stretch"):
                st.session_state["adding"] = True
                st.switch_page(SCREENS[0].file)


def _choose_embedding(now: Current) -> None:
    """Let a person switch between the encoders that the data set is embedded with, where there are several."""
    if now.configuration is None or len(now.configurations) < 2:
        return
    names = names_of(now.configurations)
    with st.container(key="embedding_choice"):
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
        if job.active and of_dataset(now, job):
            running.setdefault(job.task, job)
    return running


def _link(now: Current, screen: Screen, running: dict[str, JobStatus]) -> None:
    """Draw the way to a screen with its figure, and a mark where what it made is out of date."""
    step = screen.step(now) if now.dataset is not None else NOT_YET
    job = next((running[task] for task in screen.tasks if task in running), None)
    if job is not None:
        step = Step("doing", "waiting" if job.state == "waiting" else f"{100 * job.fraction:.0f}%")
    words = [
        screen.title,
        f":gray[{escape(step.figure)}]" if step.figure else "",
        _STALE if step.state == "out of date" else "",
    ]
    st.page_link(
        screen.file,
        label=" ".join(word for word in words if word),
        icon=screen.icon,
        query_params=now.parameters,
        width="stretch",
    )
