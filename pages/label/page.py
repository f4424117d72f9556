"""Label: one cluster at a time. Is it one thing? Drop what is odd, grow it, name it, go to the next."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import DEFAULT_KEYS, Action
from components.gallery.face import gallery, gallery_order
from engine.images.sources import shown as readable
from engine.labels.audit import audit_sample
from engine.labels.state import Cluster
from pages.label.label_rail import (
    Answers,
    audit_panel,
    auditing,
    conflicts_panel,
    grow_panel,
    history_panel,
    twin_of,
    twin_panel,
)
from pages.label.naming_panel import naming_panel
from pages.label.review import review
from pages.shared.actions import carry_out, recent_labels, undo_redo
from pages.shared.board import Board, open_board
from pages.shared.frame import first_do, heading
from pages.shared.pictures import strip
from pages.shared.selection_bar import keys, selection_bar
from pages.shared.state import choose, current, escape, settle
from pages.shared.words import count

GALLERY, AUDIT = "label_gallery", "audit_gallery"
_ORDERS = {"odd": "odd ones first", "typical": "typical first"}
_KEYS = {key: action for key, action in DEFAULT_KEYS.items() if action in ("label", "reject", "merge", "undo", "redo")}


def _sorted(board: Board) -> list[Cluster]:
    """Return the clusters, unnamed and large ones first."""
    return sorted(board.state.clusters, key=lambda cluster: (cluster.name is not None, -cluster.size))


def _pick(board: Board) -> Cluster | None:
    """Let the person choose a cluster."""
    clusters = _sorted(board)
    if not clusters:
        return None
    ids = [cluster.id for cluster in clusters]
    titles = {cluster.id: f"{board.state.title(cluster.id)} ({cluster.size:,})" for cluster in clusters}
    wanted = st.query_params.get("cluster", "")
    at = ids.index(int(wanted)) if wanted.lstrip("-").isdigit() and int(wanted) in ids else 0
    named = sum(cluster.name is not None for cluster in clusters)
    left, previous, following, right = st.columns([5, 1.2, 1.2, 4], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Cluster",
        ids,
        index=at,
        format_func=titles.__getitem__,
        key=f"label_pick_{board.state.version}_{at}",
    )
    for place, step, icon, shortcut, words in (
        (previous, at - 1, ":material/chevron_left:", "Alt+Left", "Previous cluster"),
        (following, at + 1, ":material/chevron_right:", "Alt+Right", "Next cluster"),
    ):
        there = 0 <= step < len(ids)
        place.button(
            "",
            icon=icon,
            disabled=not there,
            shortcut=shortcut,
            help=words,
            width="stretch",
            on_click=choose,
            kwargs={"cluster": str(ids[step])} if there else {},
        )
    right.progress(named / len(clusters), text=f"{named:,} of {count(len(clusters), 'cluster')} named")
    if chosen is not None and str(chosen) != wanted:
        choose(cluster=str(chosen))
    return board.state.find(int(chosen)) if chosen is not None else None


def _name(board: Board, cluster: Cluster) -> None:
    names = list(dict.fromkeys([*recent_labels(board), *(c.name for c in board.state.clusters if c.name)]))
    key = f"text_{cluster.id}_{board.state.version}"
    with st.form(f"name_{cluster.id}_{board.state.version}", border=False):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        left.selectbox(
            "Name",
            names,
            index=names.index(cluster.name) if cluster.name in names else None,
            accept_new_options=True,
            placeholder="What is this?",
            key=key,
        )
        right.form_submit_button(
            "Name it", type="primary", width="stretch", on_click=_rename, args=(board, cluster, key)
        )


def _rename(board: Board, cluster: Cluster, key: str) -> None:
    """Give the cluster the name that was typed, and go on to the largest that has none yet."""
    text = settle(lambda: st.session_state.get(key))
    if not text or not carry_out(lambda: board.history.rename(board.state, cluster.id, text), galleries=(GALLERY,)):
        return
    if cluster.name is None and any(c.name is None and c.id != cluster.id for c in _sorted(board)):
        choose(cluster=None)


def _members(board: Board, cluster: Cluster, twin: int | None) -> Answers:
    """Show the cluster's images, or the random sample of an audit; returns the sample and what of it is selected."""
    rows = board.state.rows(cluster.id).astype(np.int64)
    checked = auditing(board, cluster)
    if checked:
        st.markdown(f"**{count(checked, 'random image')}.** Select those that do not belong here.")
        ordered, key, order = audit_sample(board.state.to_audit(cluster.id), checked, random_state=0), AUDIT, ""
    else:
        order = gallery_order(GALLERY, "odd")
        typical = np.nan_to_num(board.prototypes.typicality[rows], nan=-2.0)
        ordered, key = rows[np.argsort(typical if order == "odd" else -typical, kind="stable")], GALLERY

    def captions(at: NDArray[np.int64]) -> list[str]:
        return [readable(board.rows.paths[row]) for row in ordered[at]]

    chosen = gallery(
        key,
        board.rows.ids[ordered],
        version=f"{board.version}-{cluster.id}-{order}",
        captions=captions,
        orders={} if checked else _ORDERS,
        order=order,
        keys={} if checked else _KEYS,
        buttons={},
        height=520,
    )
    if checked:
        return ordered, ordered[chosen.selected]
    selection_bar(board, ordered[chosen.selected], key="label_bar", gallery=GALLERY)
    _keys_in_use(board, twin)

    def merge(_action: Action, _rows: NDArray[np.int64]) -> bool:
        return twin is not None and carry_out(
            lambda: board.history.merge(board.state, [cluster.id, twin]), galleries=(GALLERY,)
        )

    keys(board, chosen.actions, gallery=GALLERY, own={"merge": merge})
    return ordered[:0], ordered[:0]


def _keys_in_use(board: Board, twin: int | None) -> None:
    """Say in one line what the keys do now."""
    said = [f"**{place}** {escape(name)}" for place, name in enumerate(recent_labels(board), start=1)]
    said.append("**X** set aside")
    if twin is not None:
        said.append(f"**M** merge with {escape(board.state.title(twin))}")
    st.caption(" · ".join([*said, "**Ctrl+Z** undo", "**?** all keys"]))


def _cluster_page(board: Board) -> None:
    """One cluster, large; what can be done with it beside it."""
    cluster = _pick(board)
    if cluster is None:
        st.info("Every image is unsorted. Choose another clustering, or group images on Explore.")
        return
    pictures = board.rows.dataset.kind != "vectors"
    twin = twin_of(board, cluster)
    with st.container(key="stack_label"):
        main, rail = st.columns([7, 3], gap="medium")
    with main:
        _name(board, cluster)
        if pictures:
            strip(board.rows.ids[board.prototypes.rows_of(cluster.id, 8)], size=84, wrap=False)
        answers = _members(board, cluster, twin[0] if twin else None)
    with rail:
        if pictures:
            if twin is not None:
                twin_panel(board, cluster, *twin, gallery=GALLERY)
            audit_panel(board, cluster, answers)
            grow_panel(board, cluster, gallery=GALLERY)
        naming_panel(board)
        conflicts_panel(board)
        history_panel(board, gallery=GALLERY)


def page() -> None:
    """Draw the screen."""
    now = current()
    board = open_board(now)
    buttons = heading("Label", "One cluster at a time: drop what does not belong, name it, go on.")
    if board is None:
        first_do(
            now,
            "Cluster the images first; then you can name and correct the clusters here.",
            "pages/cluster/page.py",
            "Cluster",
        )
        return
    with buttons:
        view = st.segmented_control(
            "View",
            ["Clusters", "Review"],
            default="Clusters",
            required=True,
            key="label_view",
            persist_state="session",
            label_visibility="collapsed",
        )
        undo_redo(board)
    if view == "Review":
        review(board)
    else:
        _cluster_page(board)


page()
