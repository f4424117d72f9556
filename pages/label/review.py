"""Review: labels that are proposed to images, by their neighbours or an import, and labels that are probably wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.labels.calibration import FEWEST
from engine.labels.proposals import (
    Proposals,
    Spread,
    is_stale,
    open_proposals,
    open_suggestions,
    spread,
    spreads_quickly,
)
from pages.label.coach import read_spread
from pages.label.label_errors import label_errors
from pages.label.queue import Look, agree_with, queue
from pages.label.set_audit import set_audit
from pages.shared.actions import pressed
from pages.shared.board import Board, graph_for
from pages.shared.job_view import job_view
from pages.shared.state import settle
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

_SOURCE = "review_origin"
_FROM_FILES, _FROM_NEIGHBOURS, _ERRORS, _AUDIT = "Imported", "From neighbours", "Label errors", "Audit of all labels"
_LEAST = 10  # percent; what is less sure is looked at one by one
_ALL_HAVE = "Every image near a labelled one has its label."


def review(board: Board) -> None:
    """Draw the view: a choice of lists, then the one that was chosen."""
    waiting = open_suggestions(board.state)
    sources = [*([_FROM_FILES] if len(waiting) else []), _FROM_NEIGHBOURS, _ERRORS, _AUDIT]
    if st.session_state.get(_SOURCE) not in sources:
        settle(lambda: st.session_state.pop(_SOURCE, None))
    asked = st.segmented_control(
        "Proposals", sources, default=sources[0], required=True, key=_SOURCE, label_visibility="collapsed"
    )
    if asked == _FROM_FILES:
        _imported(board, waiting)
    elif asked == _ERRORS:
        label_errors(board)
    elif asked == _AUDIT:
        set_audit(board)
    else:
        _from_neighbours(board)


def _from_neighbours(board: Board) -> None:
    """Let labels spread, and offer what they propose."""
    now = board.now
    config = {"config_key": board.rows.embedding.config_key, "run": str(board.run.folder)}
    job = newest(now.workspace, "spread", board.rows.dataset, **config)
    if job_view(job):
        return
    if not (board.state.given >= 0).any():
        st.info("No image has a label yet. Name a cluster or label a few images; then their labels can spread.")
        return
    st.markdown(
        f":gray[The labels of {count(int((board.state.given >= 0).sum()), 'image')} spread to their neighbours. "
        "Look at the least certain first.]"
    )
    done = job is not None and job.state == "done"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if pressed(
            "Spread the labels again" if done else "Spread the labels",
            key="spread",
            icon=":material/hub:",
            type="secondary" if done else "primary",
        ):
            start_job(now.workspace, "spread", "Spreading the labels", board.rows.dataset, **config)
            st.rerun()
        places = st.container(horizontal=True, vertical_alignment="bottom", key="review_row")
    if job is not None and done:
        found = _open_proposals(board, job.folder)
        _head(board, found, places)
        queue(board, found, Look(job.folder.name, "proposed by its neighbours", _ALL_HAVE))


def _imported(board: Board, waiting: Proposals) -> None:
    """Offer what imports suggest."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":gray[{count(len(waiting), 'label')} suggested by imports.]", width="content")
        st.button(
            f"Accept {count(len(waiting), 'suggestion')}",
            key="review_accept_all",
            icon=":material/label:",
            help="Each image gets the label suggested to it; one undo takes all back",
            on_click=agree_with,
            args=(board, waiting, np.arange(len(waiting))),
            kwargs={"looked_at": False},
        )
    queue(board, waiting, Look(_FROM_FILES, "suggested by an import", _ALL_HAVE))


def _head(board: Board, found: Proposals, places: DeltaGenerator) -> None:
    """Say what spread labels rest on; what accepts the surest stands in `places`."""
    if found.stale:
        st.info("The labels have changed since these proposals were made. Spread them again.")
    with places:
        _accept(board, found)
    if not found.stale:
        st.caption(_how_checked(found))


def _open_proposals(board: Board, folder: Path) -> Proposals:
    """Return what can be accepted now; spread anew at once where the labels have changed and it takes no time."""
    made = read_spread(folder)
    if is_stale(board.state, made) and spreads_quickly(board.state):
        made = _spread(board, board.version)
    return open_proposals(board.state, made)


@st.cache_resource(show_spinner="Spreading the labels", max_entries=2)
def _spread(_board: Board, version: str) -> Spread:
    return spread(graph_for(_board.now, _board.rows), _board.state)


def _accept(board: Board, found: Proposals) -> None:
    """Take all proposals that are sure enough, by one button; where there are none, say at which setting there are."""
    least = st.slider("At least so sure", _LEAST, 100, 90, format="%d%%", key="review_least", width=220)
    sure = found.at_least(least / 100)
    if not len(sure):
        st.markdown(f":gray[{_why_none(found, least)}]", width="content")
        return
    st.button(
        f"Label {count(len(sure), 'image')}",
        key="review_accept",
        icon=":material/label:",
        help="Each gets the label proposed to it; one undo takes all back",
        on_click=agree_with,
        args=(board, found, sure),
        kwargs={"looked_at": False},
    )


def _how_checked(found: Proposals) -> str:
    """Say what the chances rest on."""
    if found.checked:
        return (
            f"The chances are checked on {count(found.checked, 'image')} that you labelled: each was hidden once, and "
            f"{found.right:,} of them were proposed your label."
        )
    return (
        f"The chances are not checked yet and are mostly too low. Label {FEWEST} images one by one; then they are "
        "checked against your labels."
    )


def _why_none(found: Proposals, least: int) -> str:
    """Say why no image can be labelled at this setting, and how many could be at a lower one."""
    if found.stale or not len(found):
        return "Nothing is proposed now."
    surest = float(found.probability.max())
    lower = min(int(10 * surest) * 10, least - 1)
    reach = len(found.at_least(lower / 100))
    if lower < _LEAST or not reach:
        return f"No image reaches {least}%; the surest of {count(len(found), 'proposal')} reaches {surest:.0%}."
    return f"No image reaches {least}%; {reach:,} {'reaches' if reach == 1 else 'reach'} {lower}%."
