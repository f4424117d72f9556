"""Label errors on Review: labels that a classifier and the neighbours call wrong, each answered by a key."""

from __future__ import annotations

import streamlit as st

from engine.labels.errors import FEWEST, LabelErrors, open_errors
from pages.label.queue import Look, queue
from pages.shared.actions import pressed
from pages.shared.board import Board
from pages.shared.job_view import job_view
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

_ORDERS = {"sure": "most suspicious first", "unsure": "least suspicious first"}


def label_errors(board: Board) -> None:
    """Draw what checks the labels and, when they are checked, the list of those that are probably wrong."""
    now = board.now
    job = newest(now.workspace, "label-errors", board.rows.dataset, run=str(board.run.folder))
    if job_view(job):
        return
    if not (board.state.codes >= 0).any():
        st.info(
            "No image has a label yet. Name a cluster, label a few images or import labels; then they can be checked."
        )
        return
    done = job is not None and job.state == "done"
    with st.container(horizontal=True, vertical_alignment="center"):
        if pressed(
            "Check the labels again" if done else "Check the labels",
            key="check_labels",
            icon=":material/rule:",
            type="secondary" if done else "primary",
            help="Each label, whoever gave it, is compared with a classifier that did not see the image and with the "
            "images nearest to it",
        ):
            start_job(
                now.workspace, "label-errors", "Checking the labels", board.rows.dataset, run=str(board.run.folder)
            )
            st.rerun()
        places = st.container(width="content")
    if job is None or not done:
        return
    found = LabelErrors.read(job.folder / "errors.npz")
    waiting = open_errors(board.state, found, board.history.effective()[0])
    with places:
        st.markdown(f":gray[{_told(found, len(waiting))}]", width="content")
    queue(
        board,
        waiting,
        Look(
            job.folder.name,
            "another label is proposed",
            "No label that was checked looks wrong.",
            orders=_ORDERS,
            keys={"r": "confirm"},
            hints={"R": "it is right"},
            corrects=True,
        ),
    )


def _told(found: LabelErrors, waiting: int) -> str:
    """Say how many labels were checked, and how many wait for an answer."""
    told = f"{count(found.judged, 'label')} checked, {waiting:,} to look at. The percentage is a score, not a chance."
    if found.unjudged:
        told += f" {found.unjudged:,} were not checked: fewer than {FEWEST} images have their label."
    return told
