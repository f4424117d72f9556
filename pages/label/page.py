"""Label: one cluster at a time. Is it one thing? Drop what is odd, grow it, name it, go to the next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from components.actions import DEFAULT_KEYS, Action
from components.gallery.face import gallery, gallery_order
from components.name_field.face import name_field
from engine.images.sources import shown as readable
from engine.labels.log import Event
from engine.labels.state import Cluster
from pages.label.audit_panel import audit_panel, audited, seal
from pages.label.label_rail import conflicts_panel, grow_panel, history_panel, twin_of, twin_panel
from pages.label.naming_panel import naming_panel
from pages.label.review import review
from pages.shared.actions import carry_out, recent_labels, say, undo_redo
from pages.shared.board import Board, open_board
from pages.shared.frame import first_do, heading
from pages.shared.held import hold
from pages.shared.label_keys import key_labels
from pages.shared.marks import marks, of_source, source_filter
from pages.shared.pictures import strip
from pages.shared.selection_bar import act, include_yours, new_clusters, selection_bar
from pages.shared.state import choose, chosen_clusters, current, settle
from pages.shared.words import count

GALLERY = "label_gallery"
_BAR = "label_bar"
_BEFORE = "cluster_before"  # where the person came from: an undone split leads back there
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
    wanted = [cluster for cluster in chosen_clusters() if cluster in ids]
    before = st.session_state.get(_BEFORE)
    at = ids.index(wanted[0]) if wanted else ids.index(before) if before in ids else 0
    named = sum(cluster.name is not None for cluster in clusters)
    left, previous, following, right = st.columns([5, 1.2, 1.2, 4], vertical_alignment="bottom")
    key = f"label_pick_{board.state.version}_{at}"
    left.selectbox(
        "Cluster",
        ids,
        index=at,
        format_func=titles.__getitem__,
        key=key,
        on_change=_picked,
        args=(key, ids[at]),
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
    if wanted[:1] != [ids[at]]:
        choose(cluster=str(ids[at]))
    st.session_state[_BEFORE] = ids[at]
    return board.state.find(ids[at])


def _picked(key: str, drawn: int) -> None:
    """Go to the cluster that was chosen in the menu.

    A late message repeats what stood in a menu that is gone by now, which counts as a change: it says the cluster that
    this menu was drawn with.
    """
    cluster = settle(lambda: st.session_state.get(key))
    if cluster is not None and cluster != drawn:
        choose(cluster=str(cluster))


def _name(board: Board, cluster: Cluster) -> tuple[DeltaGenerator, bool]:
    """Draw the field for the cluster's name.

    Returns the row below it, and whether the cluster's actions include what the person labelled: that choice stands at
    the end of the row, so that nothing moves when it comes.
    """

    def named(subject: int, text: str) -> None:
        following = [other for other in _sorted(board) if other.name is None and other.id != subject]
        rename = partial(board.history.rename, board.state, subject, text, include_yours=also)
        if text != board.state.title(subject) and not carry_out(rename):
            return
        if following:
            choose(cluster=str(following[0].id))
        elif cluster.name is None:
            say("Every cluster has a name now.")

    place = st.container()
    row = st.container(horizontal=True, vertical_alignment="center")
    before, after = row.container(horizontal=True, vertical_alignment="center", width="content"), row.container()
    with after:
        also = include_yours(board, board.state.rows(cluster.id), key=f"yours_{cluster.id}")
    names = list(dict.fromkeys([*recent_labels(board), *(c.name for c in board.state.clusters if c.name)]))
    with place:
        name_field("label_name", subject=cluster.id, value=cluster.name or "", names=names, on_name=named)
    return before, also


def _after_merge(event: Event) -> None:
    choose(cluster=str(event.detail["into"]))


def _members(board: Board, cluster: Cluster, twin: int | None, place: DeltaGenerator, also: bool) -> None:
    """Show the cluster's images, their filter in `place`; `also` includes what the person labelled in a merge."""
    order = gallery_order(GALLERY, "odd")
    with place:
        if board.rows.dataset.kind != "vectors":
            strip(board.rows.ids[board.prototypes.rows_of(cluster.id, 8)], size=64, wrap=False)
        source = source_filter(board)
    rows = of_source(board, board.state.rows(cluster.id).astype(np.int64), source)
    typical = np.nan_to_num(board.prototypes.typicality[rows], nan=-2.0)
    fresh = rows[np.argsort(typical if order == "odd" else -typical, kind="stable")]
    view = f"{board.run.folder.name}-{board.rows.embedding.key}-{cluster.id}-{order}-{source}"
    ordered, version, stale = hold(GALLERY, view, fresh)

    def captions(at: NDArray[np.int64]) -> list[str]:
        said = ((readable(board.rows.paths[row]), board.state.label_of(row)) for row in ordered[at].tolist())
        return [f"{path} · {label}" if label else path for path, label in said]

    def merge(_action: Action, _rows: NDArray[np.int64]) -> None:
        if twin is not None:
            merged = partial(board.history.merge, board.state, [cluster.id, twin], include_yours=also)
            carry_out(merged, then=_after_merge)

    def on_actions(actions: Sequence[Action]) -> None:
        act(board, actions, gallery=GALLERY, bar=_BAR, own={"merge": merge})

    hints = {"X": "set aside", "Ctrl+Z": "undo", "?": "all keys"}
    if twin is not None:
        hints = {"M": f"merge with {board.state.title(twin)}", **hints}
    chosen = gallery(
        GALLERY,
        board.rows.ids[ordered],
        version=version,
        view=view,
        stale=stale,
        captions=captions,
        **marks(board, ordered, home=(cluster.id,)),
        badges_version=f"{version}-{board.version}",
        chips=key_labels(board),
        hints=hints,
        orders=_ORDERS,
        order=order,
        keys=_KEYS,
        buttons={},
        height=520,
        empty="No image of this cluster has such a label." if source else "No images here.",
        on_actions=on_actions,
    )
    selection_bar(
        board,
        ordered[chosen.selected],
        key=_BAR,
        as_group=chosen.together,
        then=lambda event: _show_parts(board, event),
    )
    if chosen.actions:
        on_actions(chosen.actions)
        st.rerun()


def _show_parts(board: Board, event: Event) -> None:
    """Go to the first of the parts that a cluster was split into."""
    made = new_clusters(board, event)
    if made:
        choose(cluster=str(made[0]))


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
        place, also = _name(board, cluster)
        if audited(board, cluster):
            audit_panel(board, cluster)
        else:
            _members(board, cluster, twin[0] if twin else None, place, also)
    with rail:
        if pictures:
            if twin is not None:
                twin_panel(board, cluster, *twin, include_yours=also, then=_after_merge)
            seal(board, cluster)
            grow_panel(board, cluster)
        naming_panel(board)
        conflicts_panel(board)
        history_panel(board)


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
            bind="query-params",
            label_visibility="collapsed",
        )
        undo_redo(board)
    if view == "Review":
        review(board)
    else:
        _cluster_page(board)


page()
