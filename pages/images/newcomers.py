"""What the images that came after the clustering in use are: known ones, new kinds, and labels that wait for them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from engine.core.workspace import Workspace
from engine.images.tables import load_images
from engine.runs.run import Run
from pages.shared.actions import pressed
from pages.shared.job_view import job_view
from pages.shared.pictures import strip
from pages.shared.run_names import names_of_runs
from pages.shared.state import Current, escape
from pages.shared.tasks import newest, start_job
from pages.shared.words import count


@st.cache_resource(show_spinner=False, max_entries=8)
def _came_later(_workspace: Workspace, _run: Run, dataset: str, run: str, scanned: float) -> int:
    return int(np.count_nonzero(~np.isin(load_images(_workspace, dataset).contents, _run.contents)))


def newcomers_panel(now: Current) -> None:
    """Say how many images came since the clustering in use, compare them when asked, and lead to what follows."""
    dataset, run = now.dataset, now.run
    if dataset is None or run is None or dataset.kind == "vectors" or now.sample is not None or not dataset.scanned:
        return
    new = _came_later(now.workspace, run, dataset.id, run.folder.name, dataset.scanned)
    name = escape(names_of_runs(now.runs).get(run.folder.name, run.name))
    if not new:
        if dataset.scanned > run.created:
            st.caption(f"No image came since the clustering {name} was made.")
        return
    job = newest(now.workspace, "new-images", dataset, run=str(run.folder), scanned=dataset.scanned)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{count(new, 'image')} came since the clustering {name} was made.", width="content")
        if now.configuration is not None and now.configuration.state == "partial":
            st.page_link(
                "pages/embed/page.py",
                label="Embed them first",
                icon=":material/arrow_forward:",
                query_params=now.parameters,
            )
        elif (job is None or not job.active) and pressed(
            "Compare again" if job is not None else "Which are new?",
            key="newcomers",
            help="Says how many fit known clusters and how many are of a new kind; names of clusters wait on Review as "
            "suggestions, by one step that Ctrl+Z takes back",
        ):
            start_job(
                now.workspace,
                "new-images",
                "Comparing new images",
                dataset,
                run=str(run.folder),
                scanned=dataset.scanned,
            )
            st.rerun()
    if job_view(job) or job is None or job.state != "done":
        return
    st.markdown("  \n".join(escape(sentence) for sentence in job.result["sentences"]))
    for number, members in enumerate(job.result["members"]):
        with st.container(horizontal=True, vertical_alignment="center"):
            strip(members, size=56)
            st.caption(f"a new kind, {count(job.result['kinds'][number], 'image')}")
    if job.result["proposed"]:
        st.page_link(
            "pages/label/page.py",
            label="Review the suggested labels",
            icon=":material/arrow_forward:",
            query_params={**now.parameters, "label_view": "Review"},
        )
