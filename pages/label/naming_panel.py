"""Names proposed by an encoder that reads text: a word per cluster, or none where chance would do as well."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from engine.core.files import read_json
from engine.embeddings.encoders.registry import find_encoder
from engine.labels.proposals import clusters_digest
from pages.shared.actions import do, pressed
from pages.shared.board import Board
from pages.shared.job_view import job_view
from pages.shared.tasks import newest, start_job
from pages.shared.words import count


@st.dialog("Suggest names")
def naming_dialog(board: Board) -> None:
    """Propose names for the clusters; only where the encoder reads text."""
    now = board.now
    if now.configuration is None or not now.configuration.reads_text:
        return
    job = newest(now.workspace, "name-clusters", board.rows.dataset, run=str(board.run.folder))
    if job_view(job):
        return
    words = st.text_area(
        "Words to choose from", placeholder="one a line; empty: common nouns", height=100, key="vocabulary"
    )
    if pressed("Suggest"):
        start_job(
            now.workspace,
            "name-clusters",
            "Naming the clusters",
            board.rows.dataset,
            run=str(board.run.folder),
            words=words,
        )
        st.rerun(scope="fragment")
    kept = board.run.folder / "names.json"
    if kept.exists():
        _proposals(board, now.configuration.encoder, read_json(kept))


def _proposals(board: Board, encoder: str, found: dict[str, Any]) -> None:
    if found.get("clusters") != clusters_digest(board.state):
        st.info("The clusters have changed since these names were suggested. Suggest names again.")
        return
    table = pd.DataFrame(found["proposals"])
    table.insert(0, "take", table["reliable"])
    chosen = st.data_editor(
        table, hide_index=True, width="stretch", disabled=[str(name) for name in table if name != "take"]
    )
    taken = chosen[chosen["take"].astype(bool)]
    names = {int(cluster): str(word) for cluster, word in zip(taken["cluster"], taken["word"], strict=True)}
    source, made_on = find_encoder(encoder).title, str(found["clusters"])
    st.button(
        f"Take {count(len(names), 'name')}",
        key="take_names",
        type="primary",
        disabled=not names,
        on_click=do,
        args=(partial(board.history.name, board.state, names, source=source, made_on=made_on),),
    )
