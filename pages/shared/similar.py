"""Images like some and unlike others, and what Explore shows in place of the chosen clusters: a search's answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.core.ids import Ids, positions
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace
from engine.embeddings.search import example_query, rank
from engine.labels.state import REJECTED
from engine.runs.rows import Rows
from pages.shared.board import Board
from pages.shared.selections import Answer, Asked, keep_found, kept_found
from pages.shared.state import choose, chosen_selection
from pages.shared.words import count

GALLERY = "explore"  # the workbench of Explore, which shows the answer
MOST = 240  # images that an answer holds
_AGAINST = 200  # images set aside that count against


@dataclass(frozen=True)
class Found:
    """What Explore shows in place of the chosen clusters.

    Attributes
    ----------
    name : str
        Stands in the address.
    rows : (m,) int64
        Rows of the board, in order.
    answer : Answer
        What was looked for.
    """

    name: str
    rows: NDArray[np.int64]
    answer: Answer


def show_found(
    board: Board, rows: NDArray[np.int64], words: str, *, ranked: bool = True, asked: Asked | None = None
) -> None:
    """Let the gallery of Explore show these rows from the next run on; `ranked` rows keep their own order."""
    choose(found=keep_found(board.now.workspace, Answer(board.rows.contents[rows], words, ranked, asked)))


def look_for(board: Board, query: Vectors, words: str) -> None:
    """Let Explore show the images most like a query of words or a picture; examples can refine it."""
    asked = Asked(words, np.asarray(query, np.float32), board.rows.embedding.key)
    found, _ = rank(board.rows.vectors, query, min(len(board.rows), MOST))
    show_found(board, found, f"most like {words}", asked=asked)


def refine(board: Board, chosen: NDArray[np.int64], *, less: bool = False, fresh: bool = False) -> None:
    """Let Explore show images like some rows, or unlike them; unless `fresh`, they refine the answer that it shows."""
    shown = None if fresh else shown_found(board)
    before = (shown.answer.asked if shown is not None else None) or Asked()
    contents = board.rows.contents[chosen]
    more, fewer = (_without(before.more, contents), _without(before.less, contents))
    more, fewer = (more, np.append(fewer, contents)) if less else (np.append(more, contents), fewer)
    query = before.start if before.embedding == board.rows.embedding.key and len(before.start) else None
    asked = Asked(before.words if query is not None else "", before.start, before.embedding, more, fewer)
    liked, unliked = (_rows(board, ids) for ids in (more, fewer))
    vectors, away = board.rows.vectors, unliked
    if not len(away):  # what was set aside counts against
        away = np.flatnonzero(board.state.status == REJECTED)[:_AGAINST]
    wanted = example_query(vectors[liked], vectors[away], start=query)
    found, _ = rank(vectors, wanted, min(len(board.rows), len(liked) + MOST), leave_out=unliked)
    show_found(board, found, _sentence(asked, fresh=shown is None or shown.answer.asked is None), asked=asked)


def _sentence(asked: Asked, *, fresh: bool) -> str:
    parts = [f"most like {asked.words}"] if asked.words else []
    kind = "selected image" if fresh else "image"
    parts += [
        f"{word} {count(len(ids), kind)}" for word, ids in (("like", asked.more), ("unlike", asked.less)) if len(ids)
    ]
    return ", ".join(parts)


def _without(ids: Ids, others: Ids) -> Ids:
    return ids[~np.isin(ids, others)]


def _rows(board: Board, ids: Ids) -> NDArray[np.int64]:
    rows = positions(board.rows.contents, ids)
    return rows[rows >= 0]


def shown_found(board: Board) -> Found | None:
    """Return what the address names, else what this session looked for last; None for nothing."""
    name = chosen_selection("found")
    return _found(board.now.workspace, board.rows, board.rows.embedding.key, name) if name else None


def leave_found() -> None:
    """Let the gallery of Explore show the chosen clusters again."""
    choose(found=None)


@st.cache_resource(show_spinner=False, max_entries=8)
def _found(_workspace: Workspace, _rows: Rows, key: str, name: str) -> Found | None:
    kept = kept_found(_workspace, name)
    if kept is None:
        return None
    rows = positions(_rows.contents, kept.contents)
    return Found(name, rows[rows >= 0], kept)


def more_like(board: Board, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows most like some rows, these included; what was set aside counts against."""
    against = board.rows.vectors[np.flatnonzero(board.state.status == REJECTED)[:_AGAINST]]
    query = example_query(board.rows.vectors[chosen], against)
    found, _ = rank(board.rows.vectors, query, min(len(board.rows), len(chosen) + MOST))
    return found
