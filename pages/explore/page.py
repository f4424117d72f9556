"""Explore: clusters, map and gallery side by side; what is chosen in one is shown in the others."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import Action
from components.gallery.face import gallery, gallery_order
from components.gallery.selection import GallerySelection
from components.map.events import MapEvent
from components.map.face import focus_on_map, scatter_map
from engine.geometry.neighbors import search
from engine.geometry.projection import ProjectionSettings
from engine.images.sources import shown as readable
from engine.labels.state import UNSORTED
from pages.explore.clusters import cluster_table
from pages.explore.coloring import choose_colors, chosen_colors, colors_of
from pages.explore.search_box import search_box, search_dialog
from pages.shared.actions import do, pressed, undo_redo
from pages.shared.board import Board, map_points, open_board
from pages.shared.frame import first_do, heading
from pages.shared.pictures import strip
from pages.shared.selection_bar import keys, selection_bar, under_cursor
from pages.shared.similar import FOUND, GALLERY, more_like, show_found
from pages.shared.state import Current, choose, current, escape
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

MAP = "explore_map"
_ORDERS = {"typical": "typical first", "odd": "odd ones first", "path": "by file name", "unsure": "least certain first"}


def _map(now: Current, board: Board, mask: NDArray[np.bool_] | None, made: str) -> MapEvent:
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
    by = choose_colors(board)
    colors, legend, colors_version = colors_of(board, by)
    return scatter_map(
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
        height=560,
    )


def _ordered(board: Board, rows: NDArray[np.int64], order: str) -> NDArray[np.int64]:
    if order == "path":
        return rows
    if order == "unsure":
        return rows[np.argsort(board.confidence[rows], kind="stable")]
    typical = np.nan_to_num(board.prototypes.typicality[rows], nan=-2.0)
    return rows[np.argsort(typical if order == "odd" else -typical, kind="stable")]


def _gallery(board: Board, rows: NDArray[np.int64], made: str) -> tuple[GallerySelection, NDArray[np.int64]]:
    order = gallery_order(GALLERY, "typical")
    ordered = rows if made.startswith("looking") else _ordered(board, rows, order)
    state = board.state
    names = state.label_names

    def captions(at: NDArray[np.int64]) -> list[str]:
        found = []
        for row in ordered[at]:
            label = names[state.codes[row]] if state.codes[row] >= 0 else state.title(int(state.cluster[row]))
            found.append(f"{readable(board.rows.paths[row])} · {label}")
        return found

    viewing = st.session_state.get("explore_viewing")
    chosen = gallery(
        GALLERY,
        board.rows.ids[ordered],
        version=f"{made}-{order}-{board.version}",
        captions=captions,
        badges=np.minimum(state.codes[ordered] + 1, 255).astype(np.uint8),
        badges_version=f"{made}-{order}-{board.version}",
        badge_names=names[:254],
        orders=_ORDERS,
        order=order,
        neighbours=_neighbours(board, viewing),
        height=600,
    )
    if chosen.viewing != viewing:
        st.session_state["explore_viewing"] = chosen.viewing
        if chosen.viewing is not None:
            st.rerun()
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
    board: Board, clusters: list[int], event_mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], str, str]:
    """Return the rows to show, what names them, and the words above the gallery."""
    looking = st.session_state.get(FOUND)
    if looking:
        rows = np.array(looking["rows"], dtype=np.int64)
        return rows[rows < len(board.rows)], f"looking-{hash(tuple(looking['rows']))}", looking["words"]
    if event_mask is not None and event_mask.any():
        inside = np.flatnonzero(event_mask)
        if clusters:
            inside = inside[np.isin(board.state.cluster[inside], clusters)]
        return inside, f"drawn-{hash(inside.tobytes())}", "drawn on the map"
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
        choose(cluster=str(clusters[0]))
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
        name = st.text_input("Name", placeholder="keep the name there is", key=f"merge_name_{chosen}")
        if pressed("Merge", key="merge_chosen", type="primary"):
            do(lambda: board.history.merge(board.state, chosen, label=name.strip() or None), galleries=(GALLERY,))
            st.rerun()


def _narrow_switch() -> None:
    """On a narrow screen show the map or the pictures, not both; wide screens hide the switch."""
    with st.container(key="narrow_switch"):
        shown = st.segmented_control(
            "Show", ["map", "pictures"], default="pictures", required=True, key="narrow", label_visibility="collapsed"
        )
    hidden = "pane_pictures" if shown == "map" else "pane_map"
    st.html(f"<style>@media (max-width: 800px) {{ .st-key-{hidden} {{ display: none; }} }}</style>")


def _carry_out(board: Board, event: MapEvent, chosen: GallerySelection) -> None:
    """Do what was asked for by keys and buttons of gallery and map."""

    def show_on_map(action: Action, _rows: NDArray[np.int64]) -> bool:
        found = under_cursor(board, action)
        if len(found):
            focus_on_map(MAP, int(found[0]))
        return len(found) > 0

    def look_for(_action: Action, _rows: NDArray[np.int64]) -> bool:
        if board.rows.dataset.kind != "vectors":
            search_dialog(board)
        return False

    if event.opened is not None:
        show_found(more_like(board, np.array([event.opened]))[:121], "neighbours of one image")
        st.rerun()
    if event.category is not None:
        codes, legend, _ = colors_of(board, chosen_colors())
        if legend:
            show_found(np.flatnonzero(codes == event.category), legend[event.category].name)
            st.rerun()
    drawn = np.flatnonzero(event.mask) if event.mask is not None else None
    own = {"show_on_map": show_on_map, "search": look_for}
    keys(board, (*chosen.actions, *event.actions), gallery=GALLERY, maps=(MAP,), drawn=drawn, own=own)


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
    if found := st.session_state.get(FOUND):
        mask = np.zeros(len(board.rows), dtype=bool)
        mask[[row for row in found["rows"] if row < len(mask)]] = True
        made = f"looking-{hash(tuple(found['rows']))}"
    with middle, st.container(key="pane_map"):
        event = _map(now, board, mask, made)
    rows, made, words = _focus(board, clusters, event.mask)
    with right, st.container(key="pane_pictures"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":gray[{escape(words)}]", width="content")
            if st.session_state.get(FOUND) and pressed("Back", icon=":material/arrow_back:", type="tertiary"):
                del st.session_state[FOUND]
                st.rerun()
        chosen, ordered = _gallery(board, rows, made)
    selected = ordered[chosen.selected]
    if not len(selected) and event.mask is not None and event.mask.any():
        selected = rows
    selection_bar(board, selected, key="explore_bar", gallery=GALLERY, maps=(MAP,))
    _carry_out(board, event, chosen)


page()
