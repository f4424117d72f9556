"""What the workbench shows about the cluster that is worked on: name, sources, twin, what could join, history."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.workbench.protocol import AuditMessage, InspectorMessage
from engine.labels import around
from engine.labels.state import SOURCE_NAMES, Cluster
from pages.label.coach import next_message
from pages.shared.actions import recent_labels
from pages.shared.board import Board
from pages.shared.marks import words_of
from pages.shared.state import settle
from pages.shared.why import badges_of
from pages.shared.window import made_elsewhere

_HISTORY_PAGE = 30
_CONFLICTS = 50
_LOOKS = 5
_SHOWN = "history_shown"


def inspector_of(board: Board, cluster: Cluster, *, audit: AuditMessage, acted: float) -> InspectorMessage:
    """Return everything about a cluster; `acted` is the time of the last action that was carried out."""
    state = board.state
    rows = state.rows(cluster.id)
    pictures = board.rows.dataset.kind != "vectors"
    twin = twin_of(board, cluster) if pictures else None
    sources = np.bincount(state.source[rows], minlength=len(SOURCE_NAMES))
    events, steps = board.history.actions(int(st.session_state.get(_SHOWN, _HISTORY_PAGE)))

    def looks(one: int, most: int) -> list[int]:
        found: list[int] = board.rows.ids[board.prototypes.rows_of(one, most)].tolist() if pictures else []
        return found

    return {
        "subject": cluster.id,
        "title": state.title(cluster.id),
        "why": badges_of(board).get(cluster.id, ""),
        "value": cluster.name or "",
        "names": list(dict.fromkeys([*recent_labels(board), *(c.name for c in state.clusters if c.name)])),
        "named": sum(other.name is not None for other in state.clusters),
        "total": len(state.clusters),
        "size": cluster.size,
        "yours": state.by_you(rows),
        "states": [[name, words_of(name), int(sources[code])] for code, name in enumerate(SOURCE_NAMES)],
        "looks": looks(cluster.id, 8),
        "twin": None
        if twin is None
        else {
            "id": twin[0],
            "title": state.title(twin[0]),
            "cosine": round(twin[1], 3),
            "own": looks(cluster.id, _LOOKS),
            "looks": looks(twin[0], _LOOKS),
        },
        "grow": board.rows.ids[could_join(board, cluster)].tolist() if pictures else [],
        "audit": audit if pictures else None,
        "history": [
            {
                "id": event.id,
                "before": event.before,
                "sentence": event.sentence,
                "effective": event.effective,
                "where": made_elsewhere(event),
            }
            for event in reversed(events)
        ],
        "steps": steps,
        "conflicts": [
            {"sentence": conflict.sentence, "looks": board.rows.ids[conflict.rows[:10]].tolist() if pictures else []}
            for conflict in state.conflicts[:_CONFLICTS]
        ],
        "suggests": board.now.configuration is not None and board.now.configuration.reads_text,
        "next": next_message(board, cluster, could_join(board, cluster) if pictures else np.empty(0, np.int64)),
        "acted": acted,
    }


def show_older() -> None:
    """Let the history show a page more."""
    shown = int(st.session_state.get(_SHOWN, _HISTORY_PAGE))
    settle(lambda: st.session_state.update({_SHOWN: shown + _HISTORY_PAGE}))


def twin_of(board: Board, cluster: Cluster) -> tuple[int, float] | None:
    """Return the nearest cluster that could be the same thing, and the cosine between the centres."""
    return around.twin_of(board.state, board.prototypes, cluster)


def could_join(board: Board, cluster: Cluster) -> NDArray[np.int64]:
    """Return the nearest images outside a cluster, nearest first, without those that are locked or called otherwise."""
    return around.could_join(board.state, cluster, _nearest_outside(board, cluster.id, board.members))


@st.cache_resource(show_spinner=False, max_entries=16)
def _nearest_outside(_board: Board, cluster: int, members: str) -> NDArray[np.int64]:
    """Return the images outside a cluster that are nearest to its centre; a label or a name changes nothing of it."""
    return around.nearest_outside(_board.rows.vectors, _board.prototypes, _board.state, cluster)
