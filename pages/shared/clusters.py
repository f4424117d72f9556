"""The list of clusters at the left of the workbench: pictures, name, size, quality; the choice is in the address."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from components.workbench.face import GroupsPane
from components.workbench.protocol import GroupItem
from engine.labels.state import UNSORTED
from pages.shared.board import Board
from pages.shared.state import choose, chosen_clusters, settle
from pages.shared.why import badges_of

_LOOKS = 4
_SORTS = {"size": "by size", "name": "by name", "unnamed": "unnamed first", "quality": "weakest first"}


def known_choice(board: Board) -> list[int]:
    """Return the clusters that are chosen and exist."""
    known = {*(cluster.id for cluster in board.state.clusters), UNSORTED}
    return [cluster for cluster in chosen_clusters() if cluster in known]


def choose_clusters(clusters: list[int] | tuple[int, ...]) -> None:
    """Choose clusters; none shows everything."""
    choose(cluster=",".join(str(cluster) for cluster in clusters) or None)


def groups_of(board: Board, chosen: list[int], *, actions: Mapping[str, str], first: str = "size") -> GroupsPane:
    """Return the list of clusters.

    Parameters
    ----------
    chosen : list of int
    actions : mapping of str to str
        As in `GroupsPane`.
    first : str
        The order at first, one of the choices.
    """
    return GroupsPane(
        items=lambda: _items(board),
        version=f"{board.version}-{board.members}",
        chosen=chosen,
        filter=str(st.query_params.get("filter", "")),
        sorts={first: _SORTS[first], **_SORTS},
        actions=actions,
    )


def filter_groups(text: str) -> None:
    """Keep the text that the list is filtered by in the address."""
    settle(lambda: _address(text))


def _address(text: str) -> None:
    if text:
        st.query_params["filter"] = text
    elif "filter" in st.query_params:
        del st.query_params["filter"]


def _items(board: Board) -> list[GroupItem]:
    found, quality, state = board.prototypes, board.quality, board.state
    pictures = board.rows.dataset.kind != "vectors"
    items: list[GroupItem] = []
    badges = badges_of(board)
    for place, cluster in enumerate(state.clusters):
        bounds = state.bound[state.rows(cluster.id)]
        audited = np.isfinite(bounds)
        items.append(
            {
                "id": cluster.id,
                "title": state.title(cluster.id),
                "size": cluster.size,
                "named": cluster.name is not None,
                "quality": round(quality[cluster.id], 3) if np.isfinite(quality.get(cluster.id, np.nan)) else None,
                "color": place,
                "looks": board.rows.ids[found.rows_of(cluster.id, _LOOKS)].tolist() if pictures else [],
                "note": f"audited: at least {np.nanmin(bounds):.0%} right" if audited.any() else "",
                "why": badges.get(cluster.id, ""),
            }
        )
    unsorted = state.rows(UNSORTED)
    if len(unsorted):
        items.append(
            {
                "id": UNSORTED,
                "title": state.title(UNSORTED),
                "size": len(unsorted),
                "named": False,
                "quality": None,
                "color": -1,
                "looks": board.rows.ids[unsorted[:_LOOKS]].tolist() if pictures else [],
                "note": "",
                "why": "",
            }
        )
    return items
