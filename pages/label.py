"""Label: one cluster at a time. Is it one thing? Drop what is odd, grow it, name it, go to the next."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.gallery import gallery, gallery_order
from engine.images.sources import shown as readable
from engine.labels.audit import audit_sample, purity_bound
from engine.labels.state import LOCKED, UNSORTED, Cluster
from engine.neighbors import search
from pages.shared.actions import do, recent_labels, tell, undo_redo
from pages.shared.board import Board, open_board
from pages.shared.frame import first_do, heading
from pages.shared.naming_panel import naming_panel
from pages.shared.pictures import strip
from pages.shared.selection_bar import keys, selection_bar
from pages.shared.state import choose, current, escape
from pages.shared.words import count

GALLERY = "label_gallery"
_ORDERS = {"odd": "odd ones first", "typical": "typical first"}
_GROW_PAGE = 60


def _pick(board: Board) -> Cluster | None:
    """Let the person choose a cluster; unnamed and large ones come first."""
    clusters = [cluster for cluster in board.state.clusters if cluster.id != UNSORTED]
    if not clusters:
        return None
    clusters.sort(key=lambda cluster: (cluster.name is not None, -cluster.size))
    ids = [cluster.id for cluster in clusters]
    wanted = st.query_params.get("cluster", "")
    at = ids.index(int(wanted)) if wanted.lstrip("-").isdigit() and int(wanted) in ids else 0
    named = sum(cluster.name is not None for cluster in clusters)
    left, previous, following, right = st.columns([5, 1.4, 1.4, 4], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Cluster",
        ids,
        index=at,
        format_func=lambda item: f"{board.state.title(item)} ({board.state.find(item).size:,})",  # type: ignore[union-attr]
        key=f"label_pick_{board.state.version}_{at}",
    )
    if previous.button(
        "", icon=":material/chevron_left:", disabled=at == 0, shortcut="Alt+Left", help="Previous cluster"
    ):
        choose(cluster=str(ids[at - 1]))
        st.rerun()
    if following.button(
        "", icon=":material/chevron_right:", disabled=at + 1 >= len(ids), shortcut="Alt+Right", help="Next cluster"
    ):
        choose(cluster=str(ids[at + 1]))
        st.rerun()
    right.progress(named / len(clusters), text=f"{named:,} of {count(len(clusters), 'cluster')} named")
    if chosen is not None and str(chosen) != wanted:
        choose(cluster=str(chosen))
    return board.state.find(int(chosen)) if chosen is not None else None


def _name(board: Board, cluster: Cluster) -> None:
    names = list(dict.fromkeys([*recent_labels(board), *(c.name for c in board.state.clusters if c.name)]))
    with st.form(f"name_{cluster.id}_{board.state.version}", border=False):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        text = left.selectbox(
            "Name", names, index=names.index(cluster.name) if cluster.name in names else None,
            accept_new_options=True, placeholder="What is this?", key=f"text_{cluster.id}_{board.state.version}",
        )  # fmt: skip
        if right.form_submit_button("Name it", type="primary", width="stretch") and text:
            do(lambda: board.history.rename(board.state, cluster.id, text), galleries=(GALLERY,))
            st.rerun()


def _members(board: Board, cluster: Cluster) -> None:
    rows = board.state.rows(cluster.id).astype(np.int64)
    order = gallery_order(GALLERY, "odd")
    typical = np.nan_to_num(board.prototypes.typicality[rows], nan=-2.0)
    ordered = rows[np.argsort(typical if order == "odd" else -typical, kind="stable")]
    version = f"{board.version}-{cluster.id}-{order}"

    def captions(at: NDArray[np.int64]) -> list[str]:
        return [readable(board.rows.paths[row]) for row in ordered[at]]

    chosen = gallery(
        GALLERY, board.rows.ids[ordered], version=version, captions=captions, orders=_ORDERS, order=order, height=520
    )
    selection_bar(board, ordered[chosen.selected], key="label_bar", gallery=GALLERY)
    keys(board, chosen.activated, ordered[chosen.selected], gallery=GALLERY, shown=ordered)


def _twin(board: Board, cluster: Cluster) -> None:
    """Ask whether the nearest other cluster is the same thing."""
    found = board.prototypes
    at = int(np.searchsorted(found.clusters, cluster.id))
    if len(found.clusters) < 2 or at >= len(found.clusters):
        return
    near = found.centers @ found.centers[at]
    near[at] = -np.inf
    for other in np.argsort(-near):
        twin = int(found.clusters[other])
        if (min(twin, cluster.id), max(twin, cluster.id)) in board.state.apart:
            continue
        st.markdown("##### Same thing?")
        st.caption(f"{escape(board.state.title(twin))}, cosine {near[other]:.2f}")
        strip(board.rows.ids[found.rows_of(twin, 6)], size=64)
        with st.container(horizontal=True):
            if st.button("Merge", icon=":material/merge:", shortcut="Alt+M", help="They become one cluster"):
                do(lambda twin=twin: board.history.merge(board.state, [cluster.id, twin]), galleries=(GALLERY,))  # type: ignore[misc]
                st.rerun()
            if st.button("Different", icon=":material/call_split:", help="They are not offered again"):
                do(lambda twin=twin: board.history.apart(board.state, cluster.id, twin))  # type: ignore[misc]
                st.rerun()
        return


def _audit(board: Board, cluster: Cluster) -> None:
    """Show random images; the wrong ones are ticked; out comes the exact bound."""
    st.markdown(
        "##### Audit", help="Look at random images and mark the wrong ones: an exact bound on the purity follows"
    )
    rows = board.state.rows(cluster.id)
    size = min(59, len(rows))
    key = f"audit_{board.run.folder.name}_{cluster.id}"
    if not st.toggle("Check a random sample", key=f"{key}_on"):
        return
    sample = audit_sample(rows, size, random_state=0)
    strip(board.rows.ids[sample], size=56)
    wrong = st.number_input("How many of these are wrong", 0, size, 0, key=f"{key}_wrong")
    bound = purity_bound(len(sample), int(wrong), population=len(rows))
    st.markdown(f"At least **{bound:.0%}** of this cluster is right, with 95% confidence.")
    if st.button("Keep this result", icon=":material/verified:", help="The bound is exported with these labels"):
        do(lambda: board.history.audit(board.state, cluster.id, checked=len(sample), wrong=int(wrong)))
        st.rerun()


def _grow(board: Board, cluster: Cluster) -> None:
    """Show the nearest images that are not in the cluster yet; take all of a page or none."""
    st.markdown("##### Grow")
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
    if st.button(f"Take {count(far, 'image')}", icon=":material/add:"):
        do(lambda: board.history.move(board.state, outside[:far], cluster.id), galleries=(GALLERY,))
        st.rerun()


def _history(board: Board) -> None:
    events = [event for event in board.history.events() if event.kind not in ("undo", "redo")][-30:]
    if not events:
        return
    with st.expander("History", icon=":material/history:"):
        for event in reversed(events):
            left, right = st.columns([5, 1], vertical_alignment="center")
            text = escape(event.sentence)
            left.markdown(text if event.effective else f":gray[~~{text}~~]")
            if event.effective and right.button(
                "", icon=":material/restore:", key=f"back_{event.id}", help="Back to before this", type="tertiary"
            ):
                do(lambda event=event: board.history.jump_back(event.before), galleries=(GALLERY,))  # type: ignore[misc]
                st.rerun()


def _conflicts(board: Board) -> None:
    if not board.state.conflicts:
        return
    with st.expander(f"{count(len(board.state.conflicts), 'conflict')} with earlier labels", icon=":material/warning:"):
        st.caption("Your labels were made on another clustering. Where the two disagree, your labels win.")
        for conflict in board.state.conflicts[:50]:
            st.markdown(escape(conflict.sentence))
            strip(board.rows.ids[conflict.rows[:10]], size=44)


def page() -> None:
    """Draw the screen."""
    now = current()
    tell()
    board = open_board(now)
    buttons = heading("Label", "One cluster at a time: drop what does not belong, name it, go on.")
    if board is None:
        first_do(
            now,
            "Cluster the images first; then you can name and correct the clusters here.",
            "pages/cluster.py",
            "Cluster",
        )
        return
    with buttons:
        undo_redo(board)
    cluster = _pick(board)
    if cluster is None:
        st.info("Every image is unsorted. Choose another clustering, or group images on Explore.")
        return
    with st.container(key="stack_label"):
        main, rail = st.columns([7, 3], gap="medium")
    with main:
        _name(board, cluster)
        _members(board, cluster)
    with rail:
        if board.rows.dataset.kind != "vectors":
            _twin(board, cluster)
            _grow(board, cluster)
            _audit(board, cluster)
        naming_panel(board)
        _conflicts(board)
        _history(board)


page()
