"""What stands beside a cluster on Label: its twin, what could join it, conflicts, the history."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from engine.geometry.neighbors import search
from engine.labels.log import Event
from engine.labels.state import LOCKED, Cluster
from pages.shared.actions import do
from pages.shared.board import Board
from pages.shared.pictures import strip
from pages.shared.state import escape, settle
from pages.shared.words import count

_GROW_PAGE = 60
_HISTORY_PAGE = 30
_SHOWN = "history_shown"


def twin_of(board: Board, cluster: Cluster) -> tuple[int, float] | None:
    """Return the nearest other cluster that was not called different, and the cosine between the centres."""
    found = board.prototypes
    at = int(np.searchsorted(found.clusters, cluster.id))
    if len(found.clusters) < 2 or at >= len(found.clusters):
        return None
    near = found.centers @ found.centers[at]
    near[at] = -np.inf
    for other in np.argsort(-near)[:-1]:
        twin = int(found.clusters[other])
        if (min(twin, cluster.id), max(twin, cluster.id)) not in board.state.apart:
            return twin, float(near[other])
    return None


def twin_panel(
    board: Board,
    cluster: Cluster,
    twin: int,
    cosine: float,
    *,
    include_yours: bool,
    then: Callable[[Event], None] | None = None,
) -> None:
    """Ask whether the nearest other cluster is the same thing, with both rows of prototypes."""
    st.markdown("##### Same thing?", help=f"The nearest other cluster; cosine between the centres: {cosine:.2f}")
    for one in (cluster.id, twin):
        st.caption(escape(board.state.title(one)))
        strip(board.rows.ids[board.prototypes.rows_of(one, 5)], size=58, wrap=False)
    with st.container(horizontal=True):
        st.button(
            "Merge",
            icon=":material/merge:",
            shortcut="Alt+M",
            help="They become one cluster (m)",
            on_click=do,
            args=(partial(board.history.merge, board.state, [cluster.id, twin], include_yours=include_yours),),
            kwargs={"then": then},
        )
        st.button(
            "Different",
            icon=":material/call_split:",
            help="They are not offered again",
            on_click=do,
            args=(board.history.apart, board.state, cluster.id, twin),
        )


def grow_panel(board: Board, cluster: Cluster) -> None:
    """Show the nearest images that are not in the cluster yet; take as many as are right."""
    st.markdown("##### Grow", help="The nearest images outside, nearest first: go as far as they are right")
    at = int(np.searchsorted(board.prototypes.clusters, cluster.id))
    centre = board.prototypes.centers[at : at + 1]
    found, _ = search(board.rows.vectors, centre, min(len(board.rows), cluster.size + 4 * _GROW_PAGE))
    outside = found[0][board.state.cluster[found[0]] != cluster.id]
    outside = outside[board.state.status[outside] != LOCKED][:_GROW_PAGE]
    if not len(outside):
        st.caption("Nothing near is left outside.")
        return
    far = st.slider("Nearest images outside", 1, len(outside), min(12, len(outside)), key=f"grow_{cluster.id}")
    strip(board.rows.ids[outside[:far]], size=56)
    st.button(
        f"Take {count(far, 'image')}",
        key=f"grow_take_{cluster.id}",
        icon=":material/add:",
        on_click=do,
        args=(board.history.move, board.state, outside[:far], cluster.id),
    )


def history_panel(board: Board) -> None:
    """List what was done, newest first, each with the way back to before it; older steps follow by pages."""
    events = [event for event in board.history.events() if event.kind not in ("undo", "redo")]
    if not events:
        return
    shown = int(st.session_state.setdefault(_SHOWN, _HISTORY_PAGE))
    with st.expander(f"History ({count(len(events), 'step')})", icon=":material/history:"):
        for event in reversed(events[-shown:]):
            left, right = st.columns([5, 1], vertical_alignment="center", wrap=False)
            text = escape(event.sentence)
            left.markdown(text if event.effective else f":gray[~~{text}~~]")
            if event.effective:
                right.button(
                    "",
                    icon=":material/restore:",
                    key=f"back_{event.id}",
                    help="Back to before this",
                    type="tertiary",
                    on_click=do,
                    args=(board.history.jump_back, event.before),
                )
        if len(events) > shown:
            st.button(
                f"Older ({len(events) - shown:,})",
                icon=":material/expand_more:",
                type="tertiary",
                on_click=_show_older,
                args=(shown + _HISTORY_PAGE,),
            )


def _show_older(shown: int) -> None:
    settle(lambda: st.session_state.update({_SHOWN: shown}))


def conflicts_panel(board: Board) -> None:
    """List where the labels and this clustering disagree."""
    if not board.state.conflicts:
        return
    with st.expander(f"{count(len(board.state.conflicts), 'conflict')} with earlier labels", icon=":material/warning:"):
        st.caption("Your labels were made on another clustering. Where the two disagree, your labels win.")
        for conflict in board.state.conflicts[:50]:
            st.markdown(escape(conflict.sentence))
            strip(board.rows.ids[conflict.rows[:10]], size=44)
