"""Export: take the labels out, as tables or folders, with what is known of their quality."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from engine.errors import KindredError
from engine.export.csv import write_csv
from engine.export.labels import LabelTable, label_table, write_labels_json
from pages.shared.actions import tell
from pages.shared.board import Board, open_board
from pages.shared.frame import first_do, heading
from pages.shared.state import current, escape, show_error
from pages.shared.words import count


def _table(board: Board) -> LabelTable:
    return label_table(
        board.now.workspace,
        board.rows.dataset.id,
        board.rows.contents,
        board.base,
        board.confidence,
        state=board.state,
    )


def _downloads(board: Board, table: LabelTable) -> None:
    """Offer the tables as files; each is made when its button is pressed."""
    folder = board.now.workspace.cache / "exports"
    name = board.rows.dataset.id

    def csv() -> bytes:
        write_csv(folder / f"{name}.csv", table.columns())
        return (folder / f"{name}.csv").read_bytes()

    def json() -> bytes:
        write_labels_json(folder / f"{name}.json", table)
        return (folder / f"{name}.json").read_bytes()

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button(
            "CSV", csv, f"{name}.csv", "text/csv", type="primary", icon=":material/download:", on_click="ignore"
        )
        st.download_button(
            "JSON", json, f"{name}.json", "application/json", icon=":material/download:", on_click="ignore"
        )


def page() -> None:
    """Draw the screen."""
    now = current()
    tell()
    heading("Export", "Take your labels with you. Originals are only read.")
    board = open_board(now)
    if board is None:
        first_do(now, "Cluster the images first; then their labels can be exported.", "pages/cluster.py", "Cluster")
        return
    try:
        table = _table(board)
    except KindredError as error:
        show_error(error)
        return
    labelled = sum(label is not None for label in table.label)
    st.markdown(
        f"**{count(len(table), 'file')}** in {count(len(board.state.clusters), 'cluster')}, "
        f"**{labelled:,}** with a label. :gray[{escape(board.run.name)}]"
    )
    _downloads(board, table)
    st.dataframe(
        pd.DataFrame(table.take(range(min(200, len(table)))).columns()), hide_index=True, width="stretch", height=320
    )


page()
