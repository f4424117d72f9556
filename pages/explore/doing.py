"""What Explore does with the actions of its workbench that are its own; pages/shared/selected.py does the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import Action
from components.gallery.face import clear_gallery
from components.map.face import clear_map, focus_on_map
from components.workbench.face import map_key
from engine.labels.state import UNSORTED
from pages.explore.coloring import chosen_colors, color_by, colors_of
from pages.explore.search_box import ask_by_picture
from pages.shared.actions import carry_out
from pages.shared.board import Board
from pages.shared.clusters import choose_clusters, filter_groups
from pages.shared.filters import ask_where, forget_view, keep_view, view_called
from pages.shared.selected import Own, go_to, under_cursor
from pages.shared.similar import GALLERY, leave_found, more_like, show_found, shown_found
from pages.shared.state import choose, settle

MAP = map_key(GALLERY)
_SEARCH = "search_asked"
Rows = NDArray[np.int64]


def own_actions(board: Board) -> Own:
    """Return the actions by name; each is given the action and the images that it is about."""
    doing = _Doing(board)
    return {
        "show_on_map": doing.show_on_map,
        "search": doing.look_for,
        "picture": doing.look_for_picture,
        "open": doing.open_point,
        "category": doing.choose_category,
        "choose": doing.choose,
        "merge_groups": doing.merge,
        "open_group": doing.open_cluster,
        "filter_groups": lambda action, _rows: filter_groups(action.text),
        "color": lambda action, _rows: color_by(action.text),
        "show_all": doing.show_all,
        "where": lambda action, _rows: ask_where(action.text),
        "keep_view": lambda action, _rows: keep_view(board, action.text) if action.text.strip() else None,
        "forget_view": lambda action, _rows: forget_view(board, action.text),
        "view": doing.open_view,
    }


def search_asked() -> bool:
    """Return, once, whether the search was asked for by its key."""
    return bool(settle(lambda: st.session_state.pop(_SEARCH, False)))


@dataclass(frozen=True)
class _Doing:
    board: Board

    def show_on_map(self, action: Action, _rows: Rows) -> None:
        found = under_cursor(self.board, action)
        if len(found):
            focus_on_map(MAP, int(found[0]))

    def look_for(self, _action: Action, _rows: Rows) -> None:
        settle(lambda: st.session_state.update({_SEARCH: self.board.rows.dataset.kind != "vectors"}))

    def look_for_picture(self, action: Action, _rows: Rows) -> None:
        ask_by_picture(action.text)

    def open_point(self, action: Action, _rows: Rows) -> None:
        if action.position is not None:
            show_found(self.board, more_like(self.board, np.array([action.position]))[:121], "neighbours of one image")

    def choose_category(self, action: Action, _rows: Rows) -> None:
        by = chosen_colors(self.board)
        codes, legend, _ = colors_of(self.board, by)
        if action.position is None or not action.position < len(legend):
            return
        if by == "cluster":
            clusters = [*(cluster.id for cluster in self.board.state.clusters), UNSORTED]
            choose_clusters([clusters[action.position]])
        else:
            rows = np.flatnonzero(codes == action.position)
            show_found(self.board, rows, legend[action.position].name, ranked=False)

    def choose(self, action: Action, _rows: Rows) -> None:
        leave_found()
        choose_clusters(action.values)

    def merge(self, action: Action, _rows: Rows) -> None:
        history, state, clusters = self.board.history, self.board.state, list(action.values)
        carry_out(
            lambda: history.merge(state, clusters, label=action.text or None, include_yours=action.also),
            then=lambda event: choose_clusters([int(event.detail["into"])]),
        )

    def open_cluster(self, action: Action, _rows: Rows) -> None:
        if action.value is not None:
            choose_clusters([action.value])
            go_to("label")

    def open_view(self, action: Action, _rows: Rows) -> None:
        asked = view_called(self.board, action.text)
        ask_where(asked.pop("where", None) or "")
        filter_groups(asked.pop("filter", None) or "")
        color_by(asked.pop("color", None) or "cluster")
        choose(**asked)

    def show_all(self, _action: Action, _rows: Rows) -> None:
        if shown_found(self.board) is not None:
            leave_found()
        else:
            choose_clusters([])
            clear_map(MAP)
            clear_gallery(GALLERY)
