"""What stands beside a cluster on Label: its twin, what could join it, the audit, conflicts, the history."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.geometry.neighbors import search
from engine.labels.audit import purity_bound
from engine.labels.state import LOCKED, Cluster
from pages.shared.actions import do, pressed
from pages.shared.board import Board
from pages.shared.pictures import strip
from pages.shared.state import escape
from pages.shared.words import count

_AUDITED = 59  # with none wrong: at least 95% pure at 95% confidence
_GROW_PAGE = 60

Answers = tuple[NDArray[np.int64], NDArray[np.int64]]


def audit_key(board: Board, cluster: Cluster) -> str:
    """Return the name under which the session knows that a cluster is being audited."""
    return f"audit_{board.run.folder.name}_{cluster.id}"


def auditing(board: Board, cluster: Cluster) -> int:
    """Return how many images of the cluster are to be audited now; 0 while none are."""
    return (
        min(_AUDITED, len(board.state.to_audit(cluster.id))) if st.session_state.get(audit_key(board, cluster)) else 0
    )


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


def twin_panel(board: Board, cluster: Cluster, twin: int, cosine: float, *, gallery: str) -> None:
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
            args=(board.history.merge, board.state, [cluster.id, twin]),
            kwargs={"galleries": (gallery,)},
        )
        st.button(
            "Different",
            icon=":material/call_split:",
            help="They are not offered again",
            on_click=do,
            args=(board.history.apart, board.state, cluster.id, twin),
        )


def audit_panel(board: Board, cluster: Cluster, answers: Answers) -> None:
    """Turn the answers for a random sample, what was shown and what of it is wrong, into an exact bound."""
    shown, bad = answers
    wrong = len(bad)
    st.markdown(
        "##### Audit", help="Look at random images and select the wrong ones: an exact bound on the purity follows"
    )
    checked = auditing(board, cluster)
    bounds = board.state.bound[board.state.rows(cluster.id)]
    if not checked:
        proven = np.nanmin(bounds) if np.isfinite(bounds).any() else None
        if proven is not None:
            st.markdown(f":material/verified: At least **{proven:.0%}** right, with 95% confidence")
        if pressed("Check a random sample", icon=":material/fact_check:"):
            st.session_state[audit_key(board, cluster)] = True
            st.rerun()
        return
    bound = purity_bound(checked, wrong, population=len(board.state.to_audit(cluster.id)))
    st.markdown(f"{checked:,} shown, **{wrong:,} wrong**: at least **{bound:.0%}** right, with 95% confidence.")
    with st.container(horizontal=True):
        if pressed("Keep this result", icon=":material/verified:", help="The bound is exported with these labels"):
            do(lambda: board.history.audit(board.state, cluster.id, shown=shown, wrong=bad))
            del st.session_state[audit_key(board, cluster)]
            st.rerun()
        if pressed("Stop", key="audit_stop", icon=":material/close:", type="tertiary"):
            del st.session_state[audit_key(board, cluster)]
            st.rerun()


def grow_panel(board: Board, cluster: Cluster, *, gallery: str) -> None:
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
    if pressed(f"Take {count(far, 'image')}", key=f"grow_take_{cluster.id}", icon=":material/add:"):
        do(lambda: board.history.move(board.state, outside[:far], cluster.id), galleries=(gallery,))
        st.rerun()


def history_panel(board: Board, *, gallery: str) -> None:
    """List what was done, newest first, each with the way back to before it."""
    events = [event for event in board.history.events() if event.kind not in ("undo", "redo")][-30:]
    if not events:
        return
    with st.expander("History", icon=":material/history:"):
        for event in reversed(events):
            left, right = st.columns([5, 1], vertical_alignment="center")
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
                    kwargs={"galleries": (gallery,)},
                )


def conflicts_panel(board: Board) -> None:
    """List where the labels and this clustering disagree."""
    if not board.state.conflicts:
        return
    with st.expander(f"{count(len(board.state.conflicts), 'conflict')} with earlier labels", icon=":material/warning:"):
        st.caption("Your labels were made on another clustering. Where the two disagree, your labels win.")
        for conflict in board.state.conflicts[:50]:
            st.markdown(escape(conflict.sentence))
            strip(board.rows.ids[conflict.rows[:10]], size=44)
