"""What stands beside a cluster on Label: its twin, what could join it, conflicts, the history."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.geometry.neighbors import search
from engine.labels.log import Event
from engine.labels.state import BY_YOU, LOCKED, Cluster
from pages.shared.actions import do
from pages.shared.board import Board
from pages.shared.pictures import strip
from pages.shared.state import escape, settle
from pages.shared.words import count

_GROW_PAGE = 60
_HISTORY_PAGE = 30
_SHOWN = "history_shown"


def twin_of(board: Board, cluster: Cluster) -> tuple[int, float] | None:
    """Return the nearest cluster that is not called different or otherwise, and the cosine between the centres."""
    found = board.prototypes
    at = int(np.searchsorted(found.clusters, cluster.id))
    if len(found.clusters) < 2 or at >= len(found.clusters):
        return None
    near = found.centers @ found.centers[at]
    near[at] = -np.inf
    for other in np.argsort(-near)[:-1]:
        twin = int(found.clusters[other])
        told_apart = (min(twin, cluster.id), max(twin, cluster.id)) in board.state.apart
        known = board.state.find(twin)
        named_otherwise = cluster.name and known and known.name and known.name != cluster.name
        if not told_apart and not named_otherwise:
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
    outside = _nearest_outside(board, cluster.id, board.members)
    outside = outside[board.state.status[outside] != LOCKED]
    outside = outside[~_yours_otherwise(board, cluster, outside)][:_GROW_PAGE]
    if not len(outside):
        st.caption("Nothing near is left outside.")
        return
    far = 1
    if len(outside) > 1:
        far = st.slider("Nearest images outside", 1, len(outside), min(12, len(outside)), key=f"grow_{cluster.id}")
    strip(board.rows.ids[outside[:far]], size=56)
    st.button(
        f"Take {count(far, 'image')}",
        key=f"grow_take_{cluster.id}",
        icon=":material/add:",
        on_click=do,
        args=(board.history.move, board.state, outside[:far], cluster.id),
    )


@st.cache_resource(show_spinner=False, max_entries=16)
def _nearest_outside(_board: Board, cluster: int, members: str) -> NDArray[np.int64]:
    """Return the images outside a cluster that are nearest to its centre; a label or a name changes nothing of it."""
    at = int(np.searchsorted(_board.prototypes.clusters, cluster))
    centre = _board.prototypes.centers[at : at + 1]
    size = len(_board.state.rows(cluster))
    found, _ = search(_board.rows.vectors, centre, min(len(_board.rows), size + 4 * _GROW_PAGE))
    outside: NDArray[np.int64] = found[0][_board.state.cluster[found[0]] != cluster].astype(np.int64)
    return outside


def _yours_otherwise(board: Board, cluster: Cluster, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which images the person gave another label than the cluster's name: they do not join it in a row."""
    state = board.state
    code = state.label_names.index(cluster.name) if cluster.name is not None else -1
    otherwise: NDArray[np.bool_] = (state.source[rows] == BY_YOU) & (state.given[rows] != code)
    return otherwise


def history_panel(board: Board) -> None:
    """List what was done, newest first, each with the way back to before it; older steps follow by pages."""
    shown = int(st.session_state.setdefault(_SHOWN, _HISTORY_PAGE))
    events, steps = board.history.actions(shown)
    if not events:
        return
    with st.expander(f"History ({count(steps, 'step')})", icon=":material/history:"):
        for event in reversed(events):
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
        if steps > shown:
            st.button(
                f"Older ({steps - shown:,})",
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
    with st.expander(f"{count(len(board.state.conflicts), 'conflict')} with your labels", icon=":material/warning:"):
        st.caption("Where your labels and this clustering disagree, your labels win.")
        for conflict in board.state.conflicts[:50]:
            st.markdown(escape(conflict.sentence))
            strip(board.rows.ids[conflict.rows[:10]], size=44)
