"""Explore: clusters, map and gallery side by side; what is chosen in one is shown in the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import Action
from components.gallery.face import gallery, gallery_order, gallery_viewing
from components.gallery.selection import GallerySelection
from components.map.events import MapEvent
from components.map.face import clear_map, draw_on_map, focus_on_map, scatter_map
from components.map.polygon import write_regions
from engine.geometry.neighbors import search
from engine.geometry.projection import ProjectionSettings
from engine.images.sources import shown as readable
from engine.labels.log import Event
from engine.labels.state import UNSORTED
from pages.explore.clusters import choose_clusters, cluster_table
from pages.explore.coloring import choose_colors, chosen_colors, colors_of
from pages.explore.search_box import search_box, search_dialog, search_waits
from pages.shared.actions import carry_out, pressed, undo_redo
from pages.shared.board import Board, map_points, open_board
from pages.shared.frame import first_do, heading
from pages.shared.held import hold
from pages.shared.label_keys import key_labels
from pages.shared.marks import marks, of_source, source_filter
from pages.shared.pictures import strip
from pages.shared.selection_bar import act, include_yours, new_clusters, selection_bar, under_cursor
from pages.shared.selections import keep_drawing, kept_drawing
from pages.shared.similar import GALLERY, Found, leave_found, more_like, show_found, shown_found
from pages.shared.state import Current, choose, chosen_selection, current, escape, settle
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

MAP = "explore_map"
_BAR = "explore_bar"
_SEARCH = "search_asked"
_ORDERS = {"typical": "typical first", "odd": "odd ones first", "path": "by file name", "unsure": "least certain first"}
OnGallery = Callable[[Sequence[Action]], None]
OnMap = Callable[[Sequence[Action], NDArray[np.bool_] | None], None]


def _map(now: Current, board: Board, mask: NDArray[np.bool_] | None, made: str, on_actions: OnMap) -> MapEvent:
    settings = ProjectionSettings()
    xy, version, final = map_points(now, board.rows, settings)
    if not final and now.dataset is not None and now.configuration is not None:
        job = newest(now.workspace, "map", now.dataset, config_key=now.configuration.key)
        if job is None or job.state == "done":
            start_job(
                now.workspace,
                "map",
                "Drawing the map",
                now.dataset,
                config_key=now.configuration.key,
                settings=settings.model_dump(mode="json"),
            )
            st.rerun()
        if job is not None and job.active:
            st.caption("A first map (PCA); the better one (UMAP) is being drawn.")
    if name := chosen_selection("drawn"):
        draw_on_map(MAP, version, kept_drawing(now.workspace, name, version))
    by = choose_colors(board)
    colors, legend, colors_version = colors_of(board, by)
    event = scatter_map(
        MAP,
        xy,
        version=version,
        ids=board.rows.ids if board.rows.dataset.kind != "vectors" else None,
        colors=colors,
        colors_version=colors_version,
        legend=legend,
        color_label=by,
        highlight=mask,
        highlight_version=made,
        on_actions=on_actions,
        height=560,
    )
    drawn = keep_drawing(now.workspace, version, write_regions(event.regions)) if event.mask is not None else ""
    if drawn != name:
        choose(drawn=drawn or None)
    return event


def _ordered(board: Board, rows: NDArray[np.int64], order: str) -> NDArray[np.int64]:
    if order == "path":
        return rows
    if order == "unsure":
        return rows[np.argsort(board.confidence[rows], kind="stable")]
    typical = np.nan_to_num(board.prototypes.typicality[rows], nan=-2.0)
    return rows[np.argsort(typical if order == "odd" else -typical, kind="stable")]


def _gallery(
    board: Board, rows: NDArray[np.int64], view: str, home: list[int], on_actions: OnGallery
) -> tuple[GallerySelection, NDArray[np.int64]]:
    order = gallery_order(GALLERY, "typical")
    ranked = view.startswith("ranked")
    view = f"{board.run.folder.name}-{board.rows.embedding.key}-{view}-{'' if ranked else order}"
    ordered, version, stale = hold(GALLERY, view, rows if ranked else _ordered(board, rows, order))
    state = board.state

    def captions(at: NDArray[np.int64]) -> list[str]:
        found = []
        for row in ordered[at].tolist():
            label = state.label_of(row) or state.title(int(state.cluster[row]))
            found.append(f"{readable(board.rows.paths[row])} · {label}")
        return found

    viewing = gallery_viewing(GALLERY)
    chosen = gallery(
        GALLERY,
        board.rows.ids[ordered],
        version=version,
        view=view,
        stale=stale,
        captions=captions,
        **marks(board, ordered, home=home),
        badges_version=f"{version}-{board.version}",
        chips=key_labels(board),
        hints={"X": "set aside", "N": "neighbours", "P": "on the map", "Ctrl+Z": "undo", "?": "all keys"},
        orders={} if ranked else _ORDERS,
        order="" if ranked else order,
        neighbours=_neighbours(board, viewing),
        height=560,
        on_actions=on_actions,
    )
    return chosen, ordered


def _neighbours(board: Board, image: int | None) -> dict[int, list[int]]:
    """Return the neighbours of the image that is open full screen."""
    if image is None:
        return {}
    row = np.flatnonzero(board.rows.ids == image)
    if not len(row):
        return {}
    found, _ = search(board.rows.vectors, board.rows.vectors[row], 17)
    return {image: board.rows.ids[found[0][found[0] != row[0]][:16]].tolist()}


def _focus(
    board: Board, clusters: list[int], found: Found | None, event_mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], str, str]:
    """Return the rows to show, what names them, and the words above the gallery."""
    if found is not None:
        kind = "ranked" if found.ranked else "listed"
        words = found.words + (", nearest first" if found.ranked else "")
        return found.rows, f"{kind}-{found.name}", words
    if event_mask is not None and event_mask.any():
        inside = np.flatnonzero(event_mask)
        drawn = f"drawn-{chosen_selection('drawn')}-{clusters}"
        if clusters:
            inside = inside[np.isin(board.state.cluster[inside], clusters)]
        return inside, drawn, "drawn on the map"
    if clusters:
        words = ", ".join(board.state.title(cluster) for cluster in clusters[:4])
        return board.state.rows(*clusters).astype(np.int64), f"clusters-{clusters}", words
    return np.arange(len(board.rows)), "all", "All images"


def _cluster_actions(board: Board, clusters: list[int]) -> None:
    """What can be done with the clusters chosen in the list: open one, or merge several after a look at them."""
    if len(clusters) == 1:
        if clusters[0] == UNSORTED:
            st.caption("In no cluster: what the method called noise and what you set aside. Label it or move it.")
            return
        if pressed("Name and correct it", icon=":material/label:"):
            st.switch_page("pages/label/page.py", query_params=board.now.parameters | {"cluster": str(clusters[0])})
        return
    chosen = [cluster for cluster in clusters if cluster != UNSORTED]
    if len(chosen) < 2:
        return
    size = len(board.state.rows(*chosen))
    with st.popover(f"Merge {count(len(chosen), 'cluster')}", icon=":material/merge:"):
        st.markdown(f"They become one cluster of {count(size, 'image')}.")
        for cluster in chosen[:8]:
            st.caption(escape(board.state.title(cluster)))
            if board.rows.dataset.kind != "vectors":
                strip(board.rows.ids[board.prototypes.rows_of(cluster, 6)], size=44)
        key = f"merge_name_{chosen}"
        st.text_input("Name", placeholder="keep the name there is", key=key)
        also = include_yours(board, board.state.rows(*chosen), key=f"merge_yours_{chosen}")
        st.button("Merge", key="merge_chosen", type="primary", on_click=_merge, args=(board, chosen, key, also))


def _merge(board: Board, clusters: list[int], key: str, also: bool) -> None:
    """Merge the chosen clusters under the name that was typed, and stay with what they became."""
    name = str(settle(lambda: st.session_state.get(key)) or "").strip()
    carry_out(
        lambda: board.history.merge(board.state, clusters, label=name or None, include_yours=also),
        then=lambda event: choose_clusters([int(event.detail["into"])]),
    )


def _narrow_switch() -> None:
    """On a narrow screen show the map or the pictures, not both; wide screens hide the switch."""
    with st.container(key="narrow_switch"):
        shown = st.segmented_control(
            "Show", ["map", "pictures"], default="pictures", required=True, key="narrow", label_visibility="collapsed"
        )
    hidden = "pane_pictures" if shown == "map" else "pane_map"
    st.html(f"<style>@media (max-width: 800px) {{ .st-key-{hidden} {{ display: none; }} }}</style>")


def _acting(board: Board) -> tuple[OnGallery, OnMap]:
    """Return what carries out the keys and buttons of gallery and map."""

    def show_on_map(action: Action, _rows: NDArray[np.int64]) -> None:
        found = under_cursor(board, action)
        if len(found):
            focus_on_map(MAP, int(found[0]))

    def look_for(_action: Action, _rows: NDArray[np.int64]) -> None:
        settle(lambda: st.session_state.update({_SEARCH: board.rows.dataset.kind != "vectors"}))

    def open_point(action: Action, _rows: NDArray[np.int64]) -> None:
        if action.position is not None:
            show_found(board, more_like(board, np.array([action.position]))[:121], "neighbours of one image")

    def category(action: Action, _rows: NDArray[np.int64]) -> None:
        by = chosen_colors()
        codes, legend, _ = colors_of(board, by)
        if action.position is None or not action.position < len(legend):
            return
        if by == "cluster":
            clusters = [*(cluster.id for cluster in board.state.clusters), UNSORTED]
            choose_clusters([clusters[action.position]])
        else:
            show_found(board, np.flatnonzero(codes == action.position), legend[action.position].name, ranked=False)

    own = {
        "show_on_map": show_on_map,
        "search": look_for,
        "open": open_point,
        "category": category,
    }

    def on_gallery(actions: Sequence[Action]) -> None:
        act(board, actions, gallery=GALLERY, bar=_BAR, own=own)

    def on_map(actions: Sequence[Action], mask: NDArray[np.bool_] | None) -> None:
        act(board, actions, gallery=GALLERY, bar=_BAR, drawn=None if mask is None else np.flatnonzero(mask), own=own)

    return on_gallery, on_map


def _show_all(found: bool) -> None:
    """Leave the answer to a search, or else the choice of clusters and what was drawn."""
    if found:
        leave_found()
    else:
        choose_clusters([])
        clear_map(MAP)


def page() -> None:
    """Draw the screen."""
    now = current()
    board = open_board(now)
    if board is None:
        heading("Explore", "Clusters, map and pictures side by side.")
        first_do(now, "Cluster the images first; then they are shown here.", "pages/cluster/page.py", "Cluster")
        return
    words = (
        f"{escape(board.run.name)}: {count(len(board.state.clusters), 'cluster')}, {count(len(board.rows), 'image')}"
    )
    with heading("Explore", words):
        search_box(board)
        undo_redo(board)
    _narrow_switch()
    with st.container(key="stack_explore"):
        left, middle, right = st.columns([33, 41, 41], gap="small")
    with left, st.container(key="pane_clusters"):
        clusters = cluster_table(board, key="explore_clusters", height=520)
        _cluster_actions(board, clusters)
    mask, made = None, ""
    if clusters:
        mask = np.isin(board.state.cluster, clusters)
        made = f"clusters-{clusters}-{board.version}"
    found = shown_found(board)
    if found is not None:
        mask = np.zeros(len(board.rows), dtype=bool)
        mask[found.rows] = True
        made = f"looking-{found.name}"
    on_gallery, on_map = _acting(board)
    with middle, st.container(key="pane_map"):
        event = _map(now, board, mask, made, on_map)
    rows, view, words = _focus(board, clusters, found, event.mask)
    with right, st.container(key="pane_pictures"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":gray[{escape(words)}]", width="content")
            if view != "all":
                st.button(
                    "Back" if found is not None else "Show all",
                    type="tertiary",
                    on_click=_show_all,
                    args=(found is not None,),
                )
            source = source_filter(board)
        home = clusters if view.startswith("clusters") else []
        chosen, ordered = _gallery(board, of_source(board, rows, source), f"{view}-{source}", home, on_gallery)
    selected = ordered[chosen.selected]
    together = chosen.together
    if not len(selected) and event.mask is not None and event.mask.any() and found is None:
        selected, together = rows, True
    selection_bar(board, selected, key=_BAR, as_group=together, then=lambda done: _show_parts(board, done))
    if st.session_state.pop(_SEARCH, False) or search_waits():
        search_dialog(board)
    if chosen.actions or event.left:
        on_gallery(chosen.actions)
        on_map(event.left, event.mask)
        st.rerun()


def _show_parts(board: Board, event: Event) -> None:
    """Choose the parts that were split off, so that they are shown."""
    made = new_clusters(board, event)
    if made:
        choose_clusters(made)


page()
