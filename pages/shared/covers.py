"""A data set's cover: a few of its pictures side by side, so that it is known by its looks before its name is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import streamlit as st

from engine.core.workspace import Workspace
from engine.images.datasets import Dataset
from engine.images.memory import remembered

_PICTURES = 8


def cover_ids(workspace: Workspace, dataset: Dataset) -> list[int]:
    """Return up to eight readable images spread over a data set; none for vectors and before a scan."""
    if dataset.kind == "vectors":
        return []

    def ask(db: sqlite3.Connection) -> list[int]:
        least, most = db.execute("SELECT min(id), max(id) FROM image WHERE dataset = ?", (dataset.id,)).fetchone()
        if least is None:
            return []
        found: dict[int, None] = {}
        for part in range(_PICTURES):
            row = db.execute(
                "SELECT id FROM image WHERE dataset = ? AND id >= ? AND content IS NOT NULL AND failure IS NULL"
                " ORDER BY id LIMIT 1",
                (dataset.id, least + part * (most + 1 - least) // _PICTURES),
            ).fetchone()
            if row is not None:
                found.setdefault(int(row[0]))
        return list(found)

    return remembered(workspace, dataset.id, "cover", ask)


def cover(ids: Sequence[int]) -> None:
    """Draw a cover of two rows; an empty one is a quiet ground of the same size."""
    cells = "".join(f'<img src="/thumb/{int(image)}" loading="lazy" alt="">' for image in ids)
    st.html(f'<div class="k-cover k-cover-{min(len(ids), _PICTURES)}">{cells}</div>')
