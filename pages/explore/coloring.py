"""What colours the map: clusters, labels, truth, confidence, or what was measured on the images."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.map.events import LegendEntry
from pages.shared.board import Board
from pages.shared.filters import measured, title_of
from pages.shared.state import settle

_BY = "color_by"


def colorings(board: Board) -> dict[str, str]:
    """Return what the map can be coloured by, with a title each."""
    named = ["cluster", "label", "confidence", *(["truth"] if any(board.rows.truth) else [])]
    return {name: name for name in named} | {name: title_of(name) for name in measured(board)}


def color_by(name: str) -> None:
    """Colour the map by this from the next run on, and keep it in the address."""
    settle(lambda: _keep(name))


def _keep(name: str) -> None:
    st.session_state[_BY] = name
    if name == "cluster":
        st.query_params.pop("color", None)
    else:
        st.query_params["color"] = name


def chosen_colors(board: Board) -> str:
    """Return what the map is coloured by."""
    name = str(st.session_state.get(_BY) or st.query_params.get("color", "") or "cluster")
    return name if name in colorings(board) else "cluster"


def colors_of(board: Board, by: str) -> tuple[NDArray[Any], list[LegendEntry], str]:
    """Return a value or a category per row, the legend (empty for values) and the colouring's version."""
    state = board.state
    if by == "confidence":
        return board.confidence, [], f"{board.version}-confidence"
    if by in (known := measured(board)):
        column, version = known[by], f"{board.rows.embedding.key}-{board.rows.dataset.scanned}-{by}"
        if column.values is not None:
            return column.values, [], version
        assert column.codes is not None
        return column.codes.astype(np.uint16), [LegendEntry(name or "(top folder)") for name in column.choices], version
    if by == "truth":
        names = sorted({name for name in board.rows.truth if name is not None})
        place = {name: at for at, name in enumerate(names)}
        codes = np.array([place.get(name, -1) if name is not None else -1 for name in board.rows.truth], dtype=np.int32)
        return (
            _with_noise(codes, len(names)),
            [*map(LegendEntry, names), LegendEntry("unknown", noise=True)],
            f"{board.version}-truth",
        )
    if by == "label":
        names = [name for name in state.label_names]
        return (
            _with_noise(state.codes, len(names)),
            [*map(LegendEntry, names), LegendEntry("no label", noise=True)],
            f"{board.version}-label",
        )
    clusters = [cluster.id for cluster in board.state.clusters]
    place_of = np.full(max([-1, *clusters]) + 2, -1, dtype=np.int32)
    place_of[clusters] = np.arange(len(clusters))
    codes = np.where(state.cluster >= 0, place_of[state.cluster], -1)
    legend = [LegendEntry(state.title(cluster)) for cluster in clusters]
    version = f"{board.rows.embedding.key}-{board.members}-cluster"
    return _with_noise(codes, len(clusters)), [*legend, LegendEntry("Unsorted", noise=True)], version


def _with_noise(codes: NDArray[np.int32], count_of: int) -> NDArray[np.uint16]:
    return np.where(codes < 0, count_of, codes).astype(np.uint16)
