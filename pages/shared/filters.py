"""Filters over everything that is known of an image: their place in the address, their histograms, and views by name.

A filter is written `name:low..high`, `name:=one|another` or `path:~text`; several are joined by `;`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.workbench.protocol import ColumnItem, FiltersMessage
from engine.core.errors import StorageError
from engine.core.files import read_json, write_json
from engine.images.measures import load_measures
from engine.images.sources import shown as readable
from engine.images.traces import TAKEN
from engine.labels.state import SOURCE_NAMES
from pages.shared.board import Board
from pages.shared.marks import words_of
from pages.shared.state import settle

_BINS = 32
_CHOICES = 200  # of a column; the most frequent ones
_KEPT = ("cluster", "source", "where", "color", "drawn", "found", "filter")  # what a view by name brings back
_TITLES = {"file size": "file size (kB)", "changed": "date of the file"}


@dataclass(frozen=True)
class Column:
    """One thing to filter by: a number an image, or a word an image out of `choices` (its place, -1 for none)."""

    values: NDArray[np.float64] | None = None
    codes: NDArray[np.int64] | None = None
    choices: tuple[str, ...] = ()


@st.cache_resource(show_spinner=False, max_entries=4)
def _measures(_board: Board, key: str) -> dict[str, Column]:
    found = load_measures(_board.now.workspace, _board.rows.dataset.id)
    at = _board.rows.embedding.rows
    columns = {name: Column(values=values[at]) for name, values in found.numbers.items()}
    for name, words in (*found.words.items(), ("folder", found.folders)):
        names, codes = np.unique(words[at].astype(str), return_inverse=True)
        if len(names) > 1:
            columns[name] = Column(codes=codes.astype(np.int64), choices=tuple(names.tolist()))
    return columns


def measured(board: Board) -> dict[str, Column]:
    """Return what was measured on the images of a board, and their folders."""
    return _measures(board, f"{board.rows.embedding.key}-{board.rows.dataset.scanned}")


def columns_of(board: Board) -> dict[str, Column]:
    """Return everything that the images of a board can be filtered by, by name."""
    state = board.state
    found = dict(measured(board))
    if np.unique(board.confidence[:100_000]).size > 1:
        found["confidence"] = Column(values=board.confidence.astype(np.float64))
    if state.label_names:
        found["label"] = Column(codes=state.codes.astype(np.int64), choices=tuple(state.label_names))
        found["who said it"] = Column(
            codes=state.source.astype(np.int64), choices=tuple(words_of(name) for name in SOURCE_NAMES)
        )
    return found


def title_of(name: str) -> str:
    """Return a column's name with its unit."""
    return _TITLES.get(name, name)


def asked_where() -> str:
    """Return the filters that the address holds."""
    return str(st.query_params.get("where", ""))


def ask_where(where: str) -> None:
    """Keep these filters in the address; an empty text is none."""
    settle(lambda: _address("where", where))


def _address(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def kept_rows(board: Board, where: str) -> NDArray[np.bool_] | None:
    """Return which images pass all filters; None where there are none. What cannot be read is left out."""
    if not where:
        return None
    columns, passed = columns_of(board), np.ones(len(board.rows), dtype=bool)
    for part in where.split(";"):
        name, _, rule = part.partition(":")
        name = unquote(name)
        if name == "path" and rule.startswith("~"):
            passed &= _named(board, unquote(rule[1:]).casefold())
        elif name in columns:
            passed &= _passes(columns[name], rule)
    return passed


def _passes(column: Column, rule: str) -> NDArray[np.bool_]:
    if column.values is not None:
        low, _, high = rule.partition("..")
        try:
            inside: NDArray[np.bool_] = (column.values >= float(low)) & (column.values <= float(high))
        except ValueError:
            return np.ones(len(column.values), dtype=bool)
        return inside
    assert column.codes is not None
    wanted = {unquote(choice) for choice in rule.removeprefix("=").split("|")}
    at = [place for place, choice in enumerate(column.choices) if choice in wanted]
    return np.isin(column.codes, at)


def _named(board: Board, text: str) -> NDArray[np.bool_]:
    return _named_like(board, f"{board.rows.embedding.key}-{text}", text)


@st.cache_resource(show_spinner=False, max_entries=8)
def _named_like(_board: Board, key: str, text: str) -> NDArray[np.bool_]:
    return np.array([text in readable(path).casefold() for path in _board.rows.paths], dtype=bool)


def filters_of(board: Board) -> FiltersMessage:
    """Return the filters for the workbench: what holds now, what there is with its histogram, and the kept views."""
    return {
        "where": asked_where(),
        "columns": _items(board, board.version),
        "views": list(_views(board)),
    }


@st.cache_resource(show_spinner=False, max_entries=4)
def _items(_board: Board, version: str) -> list[ColumnItem]:
    return [_item(name, column) for name, column in columns_of(_board).items()]


def _item(name: str, column: Column) -> ColumnItem:
    item: ColumnItem = {
        "name": name,
        "title": title_of(name),
        "low": 0.0,
        "high": 0.0,
        "bins": [],
        "choices": [],
        "dates": name in ("changed", TAKEN),
    }
    if column.values is not None:
        known = column.values[np.isfinite(column.values)]
        counts, edges = np.histogram(known, bins=_BINS)
        return item | {"low": float(edges[0]), "high": float(edges[-1]), "bins": counts.tolist()}
    assert column.codes is not None
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.choices))
    most = np.argsort(-counts, kind="stable")[:_CHOICES]
    choices: list[list[str | int]] = [[column.choices[at], int(counts[at])] for at in most.tolist() if counts[at]]
    return item | {"choices": choices}


def _views(board: Board) -> dict[str, dict[str, str]]:
    """Return the views that were kept for a data set, by name."""
    path = board.now.workspace.library / "views" / f"{board.rows.dataset.id}.json"
    if not path.exists():
        return {}
    try:
        found = read_json(path)
        return {str(name): {str(k): str(v) for k, v in view.items()} for name, view in found.items()}
    except (StorageError, AttributeError, TypeError):
        return {}


def keep_view(board: Board, name: str) -> None:
    """Keep what is looked at now under a name; one that is known means it from now on."""
    views = _views(board)
    views[name[:80]] = {key: str(st.query_params[key]) for key in _KEPT if key in st.query_params}
    _write(board, views)


def forget_view(board: Board, name: str) -> None:
    """Forget a view."""
    _write(board, {other: view for other, view in _views(board).items() if other != name})


def _write(board: Board, views: dict[str, dict[str, str]]) -> None:
    path = board.now.workspace.library / "views" / f"{board.rows.dataset.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, views)


def view_called(board: Board, name: str) -> dict[str, str | None]:
    """Return what a view by name sets in the address; nothing for an unknown one."""
    view = _views(board).get(name)
    return {} if view is None else {key: view.get(key) for key in _KEPT}
