"""The audit of a cluster: an answer for each image of a random sample gives an exact bound on the cluster's purity."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.gallery.face import clear_gallery, gallery
from engine.images.sources import shown as readable
from engine.labels.audit import audit_sample, purity_bound
from engine.labels.state import Cluster
from pages.shared.actions import carry_out
from pages.shared.board import Board
from pages.shared.state import settle
from pages.shared.words import count

GALLERY = "audit_gallery"
_AUDITED = 59  # with none wrong: at least 95% pure at 95% confidence


def _key(board: Board, cluster: Cluster) -> str:
    return f"audit_{board.run.folder.name}_{cluster.id}"


def audited(board: Board, cluster: Cluster) -> bool:
    """Return whether the cluster is being audited now."""
    return bool(st.session_state.get(_key(board, cluster)))


def _switch(board: Board, cluster: Cluster, on: bool) -> None:
    settle(lambda: st.session_state.update({_key(board, cluster): on}))
    clear_gallery(GALLERY)


def seal(board: Board, cluster: Cluster) -> None:
    """Show what an audit has proven, and the way to one."""
    st.markdown(
        "##### Audit",
        help="You answer for each image of a random sample whether it belongs; an exact bound on the purity follows",
    )
    if audited(board, cluster):
        st.caption("Under way: answer on the left.")
        return
    bounds = board.state.bound[board.state.rows(cluster.id)]
    if (sealed := int(np.isfinite(bounds).sum())) > 0:
        part = "" if sealed == len(bounds) else f", for {sealed:,} of {count(len(bounds), 'image')}"
        st.markdown(f":material/verified: At least **{np.nanmin(bounds):.0%}** right, with 95% confidence{part}")
    st.button("Check a random sample", icon=":material/fact_check:", on_click=_switch, args=(board, cluster, True))


def audit_panel(board: Board, cluster: Cluster) -> None:
    """Draw the sample and the answers; they count once every image of the sample was on the screen."""
    rows = board.state.to_audit(cluster.id)
    sample = audit_sample(rows, min(_AUDITED, len(rows)), random_state=0)
    st.markdown(f"**{count(len(sample), 'random image')}.** Look at each and select those that do not belong here.")
    view = f"{board.run.folder.name}-{board.rows.embedding.key}-{cluster.id}-{len(rows)}"
    chosen = gallery(
        GALLERY,
        board.rows.ids[sample],
        version=view,
        captions=lambda at: [readable(board.rows.paths[row]) for row in sample[at]],
        keys={},
        buttons={},
        hints={"Click": "this one is wrong", "Enter": "look closer"},
        want_seen=True,
        height=520,
        label="Images of the sample",
    )
    wrong = sample[chosen.selected]
    bound = purity_bound(len(sample), len(wrong), population=len(rows))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Keep: {len(wrong):,} wrong, the others right" if len(wrong) else "All right",
            key="audit_keep",
            icon=":material/verified:",
            type="primary",
            disabled=not chosen.all_seen,
            help="The bound is exported with these labels",
            on_click=_keep,
            args=(board, cluster, sample, wrong),
        )
        st.button("Stop", icon=":material/close:", type="tertiary", on_click=_switch, args=(board, cluster, False))
        if chosen.all_seen:
            words = f"**{len(wrong):,} wrong** of {len(sample):,}: at least **{bound:.0%}** right, with 95% confidence."
        else:
            words = ":gray[Scroll to the last image first: the answer is for all of them.]"
        st.markdown(words, width="content")


def _keep(board: Board, cluster: Cluster, sample: NDArray[np.int64], wrong: NDArray[np.int64]) -> None:
    """Keep the answers as an event and go back to the cluster."""
    if carry_out(lambda: board.history.audit(board.state, cluster.id, shown=sample, wrong=wrong)):
        _switch(board, cluster, False)
