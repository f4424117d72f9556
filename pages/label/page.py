"""Label: one cluster at a time. Is it one thing? Drop what is odd, grow it, name it, go to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import DEFAULT_KEYS, Action
from components.gallery.face import GalleryPane, gallery_acted, gallery_order
from components.workbench.face import workbench
from engine.images.sources import shown as readable
from engine.labels.log import Event
from engine.labels.state import Cluster
from pages.label.auditing import audit_gallery, audit_message, audited
from pages.label.doing import GALLERY, names_asked, own_actions, review_asked, unnamed_first
from pages.label.inspector import inspector_of, twin_of
from pages.label.naming_panel import naming_dialog
from pages.label.review import review
from pages.shared.board import Board, open_board
from pages.shared.changed import changed_panel
from pages.shared.clusters import groups_of
from pages.shared.follow import follow
from pages.shared.frame import first_do, heading
from pages.shared.held import hold
from pages.shared.import_labels import import_button
from pages.shared.label_keys import key_labels
from pages.shared.marks import marks, of_source, sources
from pages.shared.selected import act, bar_of, go_on, new_clusters
from pages.shared.state import choose, chosen_clusters, chosen_source, current

_BEFORE = "cluster_before"  # where the person came from: an undone split leads back there
_ORDERS = {"odd": "odd ones first", "typical": "typical first"}
_KEYS = {
    key: action
    for key, action in DEFAULT_KEYS.items()
    if action in ("label", "reject", "merge", "undo", "redo", "more_like", "less_like")
}


def _pick(board: Board) -> Cluster | None:
    """Return the cluster that the address names, else the one before, else the first that has no name."""
    clusters = unnamed_first(board)
    if not clusters:
        return None
    ids = [cluster.id for cluster in clusters]
    wanted = [cluster for cluster in chosen_clusters() if cluster in ids]
    before = st.session_state.get(_BEFORE)
    picked = wanted[0] if wanted else before if before in ids else ids[0]
    if wanted[:1] != [picked]:
        choose(cluster=str(picked))
    st.session_state[_BEFORE] = picked
    return board.state.find(picked)


def _members(board: Board, cluster: Cluster) -> GalleryPane:
    """Return the gallery of a cluster's images."""
    order, source = gallery_order(GALLERY, "odd"), chosen_source()
    rows = of_source(board, board.state.rows(cluster.id).astype(np.int64), source)
    typical = np.nan_to_num(board.prototypes.typicality[rows], nan=-2.0)
    fresh = rows[np.argsort(typical if order == "odd" else -typical, kind="stable")]
    view = f"{board.run.folder.name}-{board.rows.embedding.key}-{cluster.id}-{order}-{source}"
    ordered, version, stale = hold(GALLERY, view, fresh)

    def captions(at: NDArray[np.int64]) -> list[str]:
        said = ((readable(board.rows.paths[row]), board.state.label_of(row)) for row in ordered[at].tolist())
        return [f"{path} · {label}" if label else path for path, label in said]

    hints = {"X": "set aside", "G": "take what is near", "?": "all keys"}
    if twin := twin_of(board, cluster):
        hints = {"M": f"merge with {board.state.title(twin[0])}", **hints}
    return GalleryPane(
        ids=board.rows.ids[ordered],
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
        filters=sources(board),
        filter=source,
        empty="No image of this cluster has such a label." if source else "No images here.",
    )


def _cluster_page(board: Board) -> None:
    """One cluster, large; what can be done with it beside it."""
    cluster = _pick(board)
    if cluster is None:
        sentence = "Every image is unsorted. Choose another clustering, or group images on Explore."
        first_do(board.now, sentence, "pages/cluster/page.py", "Cluster")
        return
    checking = audited(board, cluster)

    def on_actions(actions: Sequence[Action]) -> None:
        own = own_actions(board, cluster)
        act(board, actions, gallery=GALLERY, own=own, then=lambda event: _show_parts(board, event))

    chosen = [found for found in chosen_clusters() if board.state.find(found)] or [cluster.id]
    reported = workbench(
        GALLERY,
        kind="label",
        gallery=audit_gallery(board, cluster) if checking else _members(board, cluster),
        groups=groups_of(board, chosen, actions={"merge": "Merge"}, first="unnamed"),
        bar=None if checking else bar_of(board),
        inspector=inspector_of(
            board, cluster, audit=audit_message(board, cluster, gallery=GALLERY), acted=gallery_acted(GALLERY)
        ),
        on_actions=on_actions,
    )
    if names_asked():
        naming_dialog(board)
    if actions := reported.gallery.actions:
        on_actions(actions)
        st.rerun()


def _show_parts(board: Board, event: Event) -> None:
    """Go to the first of the parts that a cluster was split into."""
    made = new_clusters(board, event)
    if made:
        choose(cluster=str(made[0]))


def page() -> None:
    """Draw the screen."""
    now = current()
    board = open_board(now)
    buttons = heading("Label", "")
    if board is None:
        first_do(
            now,
            "Cluster the images first; then you can name and correct the clusters here.",
            "pages/cluster/page.py",
            "Cluster",
        )
        return
    go_on(now)
    if review_asked():
        st.session_state["label_view"] = "Review"
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
        follow(board)
        import_button(now, board.rows.dataset)
    changed_panel(now)
    if view == "Review":
        review(board)
    else:
        _cluster_page(board)


page()
