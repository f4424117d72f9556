"""A data set's cover: a few of its pictures side by side, so that it is known by its looks before its name is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import streamlit as st

from engine.core.workspace import Workspace
from engine.images.datasets import Dataset
from engine.images.memory import remembered

_PICTURES = 8
_NEAR = 500  # rows from where a picture is looked for; the next may be those of another data set


def cover_ids(workspace: Workspace, dataset: Dataset) -> list[int]:
    """Return up to eight readable images spread over a data set; none for vectors and before a scan."""
    if dataset.kind == "vectors":
        return []

    def ask(db: sqlite3.Connection) -> list[int]:
        least, most = db.execute("SELECT min(id), max(id) FROM image WHERE dataset = ?", (dataset.id,)).fetchone()
        if least is None:
            return []
        good = "dataset = ? AND content IS NOT NULL AND failure IS NULL"
        found: dict[int, None] = {}
        for part in range(_PICTURES):  # by id, and not through the index, which would be read to its end
            row = db.execute(
                "SELECT id FROM (SELECT id, dataset, content, failure FROM image WHERE id >= ? ORDER BY id LIMIT ?)"
                f" WHERE {good} LIMIT 1",
                (least + part * (most + 1 - least) // _PICTURES, _NEAR, dataset.id),
            ).fetchone()
            if row is not None:
                found.setdefault(int(row[0]))
        first = db.execute(f"SELECT id FROM image WHERE {good} ORDER BY path LIMIT ?", (dataset.id, _PICTURES))
        return list(dict.fromkeys([*found, *(int(row[0]) for row in first)]))[:_PICTURES]

    return remembered(workspace, dataset.id, "cover", ask, keep=32)


def cover(ids: Sequence[int]) -> None:
    """Draw a cover of two rows; an empty one is a quiet ground of the same size."""
    cells = "".join(f'<img src="/thumb/{int(image)}" loading="lazy" alt="">' for image in ids)
    st.html(f'<div class="k-cover k-cover-{min(len(ids), _PICTURES)}">{cells}</div>')
