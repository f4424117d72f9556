"""What the workbench shows about the cluster that is worked on: name, sources, twin, what could join, history."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.workbench.protocol import AuditMessage, InspectorMessage
from engine.geometry.neighbors import search
from engine.labels.state import BY_YOU, LOCKED, SOURCE_NAMES, Cluster
from pages.shared.actions import recent_labels
from pages.shared.board import Board
from pages.shared.marks import words_of
from pages.shared.state import settle

_GROW = 60
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
            {"id": event.id, "before": event.before, "sentence": event.sentence, "effective": event.effective}
            for event in reversed(events)
        ],
        "steps": steps,
        "conflicts": [
            {"sentence": conflict.sentence, "looks": board.rows.ids[conflict.rows[:10]].tolist() if pictures else []}
            for conflict in state.conflicts[:_CONFLICTS]
        ],
        "suggests": board.now.configuration is not None and board.now.configuration.reads_text,
        "acted": acted,
    }


def show_older() -> None:
    """Let the history show a page more."""
    shown = int(st.session_state.get(_SHOWN, _HISTORY_PAGE))
    settle(lambda: st.session_state.update({_SHOWN: shown + _HISTORY_PAGE}))


def twin_of(board: Board, cluster: Cluster) -> tuple[int, float] | None:
    """Return the nearest cluster that is not called different or otherwise, and the cosine between the centres."""
    found = board.prototypes
    at = int(np.searchsorted(found.clusters, cluster.id))
    if len(found.clusters) < 2 or at >= len(found.clusters):
        return None
    near = found.centers @ found.centers[at]
    near[at] = -np.inf
    for other in np.argsort(-near)[:-1]:
        twin = int(found.clusters[other])
        told_apart = (min(twin, cluster.id), max(twin, cluster.id)) in board.state.apart
        known = board.state.find(twin)
        named_otherwise = cluster.name and known and known.name and known.name != cluster.name
        if not told_apart and not named_otherwise:
            return twin, float(near[other])
    return None


def could_join(board: Board, cluster: Cluster) -> NDArray[np.int64]:
    """Return the nearest images outside a cluster, nearest first, without those that are locked or called otherwise."""
    outside = _nearest_outside(board, cluster.id, board.members)
    outside = outside[board.state.status[outside] != LOCKED]
    return outside[~_yours_otherwise(board, cluster, outside)][:_GROW]


@st.cache_resource(show_spinner=False, max_entries=16)
def _nearest_outside(_board: Board, cluster: int, members: str) -> NDArray[np.int64]:
    """Return the images outside a cluster that are nearest to its centre; a label or a name changes nothing of it."""
    at = int(np.searchsorted(_board.prototypes.clusters, cluster))
    centre = _board.prototypes.centers[at : at + 1]
    size = len(_board.state.rows(cluster))
    found, _ = search(_board.rows.vectors, centre, min(len(_board.rows), size + 4 * _GROW))
    outside: NDArray[np.int64] = found[0][_board.state.cluster[found[0]] != cluster].astype(np.int64)
    return outside


def _yours_otherwise(board: Board, cluster: Cluster, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which images the person gave another label than the cluster's name: they do not join it in a row."""
    state = board.state
    code = state.label_names.index(cluster.name) if cluster.name is not None else -1
    otherwise: NDArray[np.bool_] = (state.source[rows] == BY_YOU) & (state.given[rows] != code)
    return otherwise
