"""Review: labels spread from the images that have one to those that have none, the least certain first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from components.actions import DEFAULT_KEYS, Action
from components.gallery.face import gallery, gallery_order
from engine.images.sources import shown as readable
from engine.labels import proposals as engine_proposals
from pages.shared.actions import carry_out, pressed
from pages.shared.board import Board, graph_for
from pages.shared.job_view import job_view
from pages.shared.selection_bar import keys, selection_bar
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

GALLERY = "review_gallery"
_ORDERS = {"unsure": "least certain first", "sure": "surest first"}
_KEYS = {
    **{key: action for key, action in DEFAULT_KEYS.items() if action in ("label", "reject", "undo", "redo")},
    "y": "agree",
}


@dataclass(frozen=True)
class Proposals:
    """Images without a label of their own, with the label proposed to each.

    Attributes
    ----------
    rows : (m,) int64
        Rows of the board.
    names : list of str
        The label proposed to each.
    confidence, margin : (m,) float32
        Chance of that label, and its lead over the second.
    offered : engine.labels.proposals.Proposals
        The same for the label history.
    """

    rows: NDArray[np.int64]
    names: list[str]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]
    offered: engine_proposals.Proposals


def review(board: Board) -> None:
    """Draw the view."""
    now = board.now
    config = {"config_key": board.rows.embedding.config_key, "run": str(board.run.folder)}
    job = newest(now.workspace, "spread", board.rows.dataset, **config)
    if job_view(job):
        return
    if not (board.state.given >= 0).any():
        st.info("No image has a label yet. Name a cluster or label a few images; then their labels can spread.")
        return
    st.markdown(
        f":gray[{count(int((board.state.given >= 0).sum()), 'image')} with a label of their own propose it to their "
        "neighbours. Look at the least certain first.]"
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
        places = st.container(horizontal=True, vertical_alignment="bottom")
    if job is not None and done:
        _queue(board, job.folder, places)


def _queue(board: Board, folder: Path, places: DeltaGenerator) -> None:
    found = _open_proposals(board, folder)
    if found.offered.stale:
        st.info("The labels have changed since these proposals were made. Spread them again.")
        return
    if not len(found.rows):
        st.success("Every image near a labelled one has its label.", icon=":material/check:")
        return
    with places:
        _accept(board, found)
    order = gallery_order(GALLERY, "unsure")
    certain = np.lexsort((found.confidence, found.margin))
    at = certain if order == "unsure" else certain[::-1]
    rows = found.rows[at]
    names = sorted(set(found.names))
    codes = {name: min(code, 255) for code, name in enumerate(names, start=1)}

    def captions(places: NDArray[np.int64]) -> list[str]:
        return [
            f"{readable(board.rows.paths[rows[place]])} · {found.names[at[place]]}? {found.confidence[at[place]]:.0%}"
            for place in places
        ]

    chosen = gallery(
        GALLERY,
        board.rows.ids[rows],
        version=f"{folder.name}-{board.version}-{order}",
        captions=captions,
        badges=np.array([codes[found.names[place]] for place in at], np.uint8),
        badges_version=f"{folder.name}-{board.version}-{order}",
        badge_names=names[:255],
        orders=_ORDERS,
        order=order,
        keys=_KEYS,
        buttons={},
        height=560,
        label="Images without a label",
    )
    picked = at[chosen.selected]

    def agree_to_picked() -> None:
        _agree(board, found, picked)

    st.button(
        f"Agree with {count(len(picked), 'proposal')}",
        icon=":material/done_all:",
        disabled=not len(picked),
        help="The selected images get the label that is proposed to each (y)",
        on_click=agree_to_picked,
    )
    selection_bar(board, rows[chosen.selected], key="review_bar", gallery=GALLERY)

    def agree(_action: Action, concerned: NDArray[np.int64]) -> bool:
        return _agree(board, found, np.flatnonzero(np.isin(found.rows, concerned)))

    keys(board, chosen.actions, gallery=GALLERY, own={"agree": agree})


def _open_proposals(board: Board, folder: Path) -> Proposals:
    """Return what can be accepted now; spread anew at once where the labels have changed and it takes no time."""
    made = engine_proposals.Spread.read(folder / "spread.npz")
    if engine_proposals.is_stale(board.state, made) and engine_proposals.spreads_quickly(board.state):
        made = _spread(board, board.version)
    found = engine_proposals.open_proposals(board.state, made)
    return Proposals(found.rows, found.names, found.probability, found.margin, found)


@st.cache_resource(show_spinner="Spreading the labels", max_entries=2)
def _spread(_board: Board, version: str) -> engine_proposals.Spread:
    return engine_proposals.spread(graph_for(_board.now, _board.rows), _board.state)


def _accept(board: Board, found: Proposals) -> None:
    """Take all proposals that are sure enough, by one button."""
    least = st.slider("At least so sure", 10, 100, 90, format="%d%%", key="review_least", width=220)
    sure = np.flatnonzero(found.confidence >= least / 100)
    if pressed(
        f"Label {count(len(sure), 'image')}",
        key="review_accept",
        icon=":material/label:",
        disabled=not len(sure),
        help="Each gets the label proposed to it; one undo takes all back",
    ):
        _agree(board, found, sure, looked_at=False)
        st.rerun()


def _agree(board: Board, found: Proposals, at: NDArray[np.int64], *, looked_at: bool = True) -> bool:
    """Give some images the label proposed to each: picked ones by the person, the rest as accepted guesses."""
    action = partial(board.history.accept, board.state, found.offered, at, looked_at=looked_at)
    return carry_out(action, galleries=(GALLERY,))
