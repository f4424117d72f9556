"""Explore: clusters, map and gallery side by side in the workbench; what is chosen in one is shown in the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import Action
from components.gallery.face import GalleryPane, gallery_order, gallery_viewing, select_in_gallery
from components.map.face import (
    MapPane,
    draw_on_map,
    drawn_regions,
    has_webgl,
    without_webgl,
)
from components.map.polygon import write_regions
from components.workbench.face import drawn_in_workbench, workbench
from engine.geometry.neighbors import search
from engine.geometry.projection import ProjectionSettings
from engine.images.sources import shown as readable
from engine.labels.log import Event
from pages.explore.coloring import chosen_colors, colorings, colors_of
from pages.explore.doing import MAP, own_actions, search_asked
from pages.explore.search_box import search_box, search_dialog, search_waits
from pages.shared.board import Board, map_points, open_board
from pages.shared.clusters import choose_clusters, groups_of, known_choice
from pages.shared.filters import asked_where, filters_of, kept_rows
from pages.shared.follow import follow
from pages.shared.frame import first_do, heading
from pages.shared.held import hold
from pages.shared.label_keys import key_labels
from pages.shared.marks import marks, of_source, sources
from pages.shared.selected import act, bar_of, go_on, new_clusters
from pages.shared.selections import keep_drawing, kept_drawing
from pages.shared.similar import GALLERY, Found, leave_found, shown_found
from pages.shared.state import Current, choose, chosen_selection, chosen_source, current, settle
from pages.shared.tasks import newest, start_job

_DRAWN = "explore_drawn"  # the drawing whose images were selected
_ORDERS = {"typical": "typical first", "odd": "odd ones first", "path": "by file name", "unsure": "least certain first"}


def _map(now: Current, board: Board, mask: NDArray[np.bool_] | None, made: str) -> MapPane:
    settings = ProjectionSettings()
    xy, version, final = map_points(now, board.rows, settings)
    note = ""
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
            note = "A first map (PCA); the better one (UMAP) is being drawn."
    by = chosen_colors(board)
    colors, legend, colors_version = colors_of(board, by)
    return MapPane(
        xy=xy,
        version=version,
        ids=board.rows.ids if board.rows.dataset.kind != "vectors" else None,
        colors=colors,
        colors_version=colors_version,
        legend=legend,
        color_label=by,
        colorings=colorings(board),
        names=True,
        note=note,
        highlight=mask,
        highlight_version=made,
    )


def _drawn(now: Current, pane: MapPane) -> NDArray[np.bool_] | None:
    """Return the points in what is drawn on the map, and keep it in the address."""
    name = chosen_selection("drawn")
    if name:
        draw_on_map(MAP, pane.version, kept_drawing(now.workspace, name, pane.version))
    mask = drawn_in_workbench(GALLERY, pane)
    drawn = keep_drawing(now.workspace, pane.version, write_regions(drawn_regions(MAP))) if mask is not None else ""
    if drawn != name:
        choose(drawn=drawn or None)
    return mask


def _ordered(board: Board, rows: NDArray[np.int64], order: str) -> NDArray[np.int64]:
    if order == "path":
        return rows
    if order == "unsure":
        return rows[np.argsort(board.confidence[rows], kind="stable")]
    typical = np.nan_to_num(board.prototypes.typicality[rows], nan=-2.0)
    return rows[np.argsort(typical if order == "odd" else -typical, kind="stable")]


def _gallery(board: Board, rows: NDArray[np.int64], view: str, words: str, home: list[int]) -> GalleryPane:
    order = gallery_order(GALLERY, "typical")
    ranked = view.startswith("ranked")
    source = chosen_source()
    name = f"{board.run.folder.name}-{board.rows.embedding.key}-{view}-{source}-{'' if ranked else order}"
    rows = of_source(board, rows, source)
    ordered, version, stale = hold(GALLERY, name, rows if ranked else _ordered(board, rows, order))
    state = board.state

    def captions(at: NDArray[np.int64]) -> list[str]:
        found = []
        for row in ordered[at].tolist():
            label = state.label_of(row) or state.title(int(state.cluster[row]))
            found.append(f"{readable(board.rows.paths[row])} · {label}")
        return found

    viewing = gallery_viewing(GALLERY)
    return GalleryPane(
        ids=board.rows.ids[ordered],
        version=version,
        view=name,
        stale=stale,
        captions=captions,
        **marks(board, ordered, home=home),
        badges_version=f"{version}-{board.version}",
        chips=key_labels(board),
        hints={"X": "set aside", "N": "neighbours", "P": "on the map", "W": "map alone", "?": "all keys"},
        orders={} if ranked else _ORDERS,
        order="" if ranked else order,
        neighbours=_neighbours(board, viewing),
        heading=words,
        back="" if view.startswith("all") else "Back" if view.startswith(("ranked", "listed")) else "Show all",
        filters=sources(board),
        filter=source,
    )


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
    board: Board, clusters: list[int], found: Found | None, drawn: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], str, str]:
    """Return the rows to show, what names them, and the words above the gallery."""
    if found is not None:
        kind = "ranked" if found.answer.ranked else "listed"
        words = found.answer.words + (", nearest first" if found.answer.ranked else "")
        return found.rows, f"{kind}-{found.name}", words
    if drawn is not None and drawn.any():
        inside = np.flatnonzero(drawn)
        name = f"drawn-{chosen_selection('drawn')}-{clusters}"
        if clusters:
            inside = inside[np.isin(board.state.cluster[inside], clusters)]
        return inside, name, "drawn on the map"
    if clusters:
        words = ", ".join(board.state.title(cluster) for cluster in clusters[:4])
        return board.state.rows(*clusters).astype(np.int64), f"clusters-{clusters}", words
    return np.arange(len(board.rows)), "all", "All images"


def _select_drawn(board: Board, rows: NDArray[np.int64], view: str) -> None:
    """Select what has just been drawn on the map, once; it was chosen together and not one by one."""
    before = st.session_state.get(_DRAWN)
    drawn = view if view.startswith("drawn") else ""
    if drawn != (before or ""):
        settle(lambda: st.session_state.update({_DRAWN: drawn}))
        if drawn:
            select_in_gallery(GALLERY, board.rows.ids[rows], together=True)


def page() -> None:
    """Draw the screen."""
    now = current()
    board = open_board(now)
    if board is None:
        heading("Explore", "")
        first_do(now, "Cluster the images first; then they are shown here.", "pages/cluster/page.py", "Cluster")
        return
    go_on(now)
    with heading("Explore", ""):
        search_box(board)
        follow(board)
    clusters = known_choice(board)
    mask, made = None, ""
    if clusters:
        mask = np.isin(board.state.cluster, clusters)
        made = f"clusters-{clusters}-{board.version}"
    found = shown_found(board)
    if found is not None:
        mask = np.zeros(len(board.rows), dtype=bool)
        mask[found.rows] = True
        made = f"looking-{found.name}"
    chart = replace(_map(now, board, mask, made), outlines=found is None)
    before = chosen_selection("drawn")
    drawn = _drawn(now, chart)
    if found is not None and chosen_selection("drawn") not in ("", before):  # drawn while an answer was shown
        leave_found()
        st.rerun()
    webgl = has_webgl(MAP)
    if not webgl:
        drawn = without_webgl(MAP, chart).mask
    rows, view, words = _focus(board, clusters, found, drawn)
    where = asked_where()
    if (passed := kept_rows(board, where)) is not None:
        rows, view = rows[passed[rows]], f"{view}-{where}"
        if chart.highlight is None:
            chart = replace(chart, highlight=passed, highlight_version=f"where-{where}-{board.version}")
    _select_drawn(board, rows, view)
    home = clusters if view.startswith("clusters") else []

    def on_actions(actions: Sequence[Action]) -> None:
        act(board, actions, gallery=GALLERY, own=own_actions(board), then=lambda event: _show_parts(board, event))

    reported = workbench(
        GALLERY,
        kind="explore",
        gallery=_gallery(board, rows, view, words, home),
        map=chart if webgl else None,
        groups=groups_of(board, clusters, actions={"open": "Name and correct", "merge": "Merge"}),
        bar=bar_of(board),
        filters=filters_of(board),
        takes_pictures=board.rows.dataset.kind != "vectors",
        on_actions=on_actions,
    )
    if search_asked() or search_waits():
        search_dialog(board)
    if actions := reported.gallery.actions:
        on_actions(actions)
        st.rerun()


def _show_parts(board: Board, event: Event) -> None:
    """Choose the parts that were split off, so that they are shown."""
    made = new_clusters(board, event)
    if made:
        choose_clusters(made)


page()
