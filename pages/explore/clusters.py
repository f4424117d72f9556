"""The list of clusters: prototypes, name, size, quality; filter, sort, choose one or several."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from engine.labels.state import UNSORTED
from pages.shared.board import Board
from pages.shared.pictures import strip_address

_SHOWN = 2


def cluster_table(board: Board, *, key: str, height: int = 560) -> list[int]:
    """Draw the list and return the chosen clusters.

    The choice of one cluster is kept in the URL, so that a reload shows it again.
    """
    text = st.text_input(
        "Filter",
        key=f"{key}_filter",
        placeholder="Filter by name",
        label_visibility="collapsed",
        icon=":material/search:",
    )
    table = _table(board, text.strip().casefold())
    pictures = board.rows.dataset.kind != "vectors"
    event = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=height,
        row_height=44 if pictures else None,
        column_order=[*(["looks"] if pictures else []), "name", "images", "quality"],
        on_select="rerun",
        selection_mode="multi-row",
        key=f"{key}_{board.state.version}_{text}",
        column_config={
            "looks": st.column_config.ImageColumn("", width=80, help="Typical images, then unlike ones"),
            "name": st.column_config.TextColumn(
                "Cluster", width=80, help="Unsorted is what is in no cluster: the method's noise and what you set aside"
            ),
            "images": st.column_config.NumberColumn("Images", format="localized", width=58),
            "quality": st.column_config.ProgressColumn(
                "Quality",
                min_value=0.0,
                max_value=0.6,
                format="%.2f",
                width=58,
                help="Mean silhouette: how much nearer its images are to their own cluster than to the next one",
            ),
        },
    )
    chosen = [int(table["id"].iloc[row]) for row in event["selection"]["rows"] if row < len(table)]
    return chosen


def _table(board: Board, text: str) -> pd.DataFrame:
    found, quality = board.prototypes, board.quality
    rows: list[dict[str, Any]] = []
    for cluster in board.state.clusters:
        title = board.state.title(cluster.id)
        if text and text not in title.casefold():
            continue
        shown = board.rows.ids[found.rows_of(cluster.id, _SHOWN)].tolist()
        rows.append(
            {
                "id": cluster.id,
                "looks": strip_address(shown) if shown else None,
                "name": title,
                "images": cluster.size,
                "quality": max(0.0, quality[cluster.id]) if cluster.id in quality else None,
            }
        )
    rows.sort(key=lambda row: -row["images"])
    unsorted = board.state.rows(UNSORTED)
    if len(unsorted) and text in board.state.title(UNSORTED).casefold():
        looks = strip_address(board.rows.ids[unsorted[:_SHOWN]])
        rows.append({"id": UNSORTED, "looks": looks, "name": board.state.title(UNSORTED), "images": len(unsorted)})
    return pd.DataFrame(rows, columns=["id", "looks", "name", "images", "quality"])
