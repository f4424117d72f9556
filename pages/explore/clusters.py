"""The list of clusters: prototypes, name, size, quality; filter, sort, choose one or several."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from engine.labels.state import UNSORTED
from pages.shared.board import Board
from pages.shared.held import hold
from pages.shared.pictures import strip_address
from pages.shared.state import choose, chosen_clusters, settle

_SHOWN = 2
_ASKED = "explore_clusters_asked"


def cluster_table(board: Board, *, key: str, height: int = 560) -> list[int]:
    """Draw the list and return the chosen clusters; the choice is in the address, so that a reload shows it again."""
    text = st.text_input(
        "Filter",
        key=f"{key}_filter",
        bind="query-params",
        placeholder="Filter by name",
        label_visibility="collapsed",
        icon=":material/search:",
    )
    table = _table(board, text.strip().casefold())
    ids = table["id"].tolist()
    known = {*(cluster.id for cluster in board.state.clusters), UNSORTED}
    chosen = [cluster for cluster in chosen_clusters() if cluster in known]
    pictures = board.rows.dataset.kind != "vectors"
    # The browser knows the choice by places, so a list of other clusters, or a choice made elsewhere, is a new one.
    asked = st.session_state.get(_ASKED, 0)
    name = f"{key}_{hashlib.blake2b(repr(ids).encode(), digest_size=8).hexdigest()}_{asked}"
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=height,
        row_height=44 if pictures else None,
        column_order=[*(["looks"] if pictures else []), "name", "images", "quality"],
        on_select=lambda: _choose(name, ids),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [ids.index(cluster) for cluster in chosen if cluster in ids]}},
        key=name,
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
    if "cluster" not in st.query_params and chosen:
        choose(cluster=",".join(map(str, chosen)))
    return chosen


def _choose(name: str, ids: list[int]) -> None:
    """Note what was chosen in the list."""
    event = settle(lambda: st.session_state.get(name)) or {}
    rows = event.get("selection", {}).get("rows", [])
    choose(cluster=",".join(str(ids[row]) for row in rows if row < len(ids)) or None)


def choose_clusters(clusters: Sequence[int]) -> None:
    """Choose clusters otherwise than in the list: by the map's legend, after a split."""
    choose(cluster=",".join(str(cluster) for cluster in clusters) or None)
    settle(lambda: st.session_state.update({_ASKED: st.session_state.get(_ASKED, 0) + 1}))


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
    order = {cluster: place for place, cluster in enumerate(_order(board))}
    rows.sort(key=lambda row: order[row["id"]])
    unsorted = board.state.rows(UNSORTED)
    if len(unsorted) and text in board.state.title(UNSORTED).casefold():
        looks = strip_address(board.rows.ids[unsorted[:_SHOWN]])
        rows.append({"id": UNSORTED, "looks": looks, "name": board.state.title(UNSORTED), "images": len(unsorted)})
    return pd.DataFrame(rows, columns=["id", "looks", "name", "images", "quality"])


def _order(board: Board) -> list[int]:
    """Return the clusters, large ones first; while the person is here each keeps its place, and new ones follow."""
    fresh = [cluster.id for cluster in sorted(board.state.clusters, key=lambda cluster: -cluster.size)]
    kept = hold("explore_list", f"{board.run.folder.name}-{board.rows.embedding.key}", np.array(fresh, np.int64))[0]
    return kept.tolist()
