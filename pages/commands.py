"""What the command palette offers, and where a chosen line leads: a page, a cluster, a label, an image, an action."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import streamlit as st

from components.palette.face import Entry, Group, palette
from engine.geometry.neighbors import search
from engine.images.sources import shown
from engine.images.tables import load_images
from pages.registry import SCREENS
from pages.shared.actions import do, press
from pages.shared.board import history_of, open_board
from pages.shared.screen import Screen
from pages.shared.similar import show_found
from pages.shared.state import Current, choose, current
from pages.shared.tasks import start_scan
from pages.shared.undo import undo_here

_GO = "palette_go"
_IMAGES, _CLUSTER, _EXPLORE, _LABEL, _EXPORT = (
    f"pages/{name}/page.py" for name in ("images", "cluster", "explore", "label", "export")
)


def command_palette(now: Current, screen: Screen) -> None:
    """Draw the palette; then go where a choice leads."""
    parameters = {"run": now.run.folder.name if now.run else ""}
    address = f"/find/{now.dataset.id}?{urlencode(parameters)}" if now.dataset else ""
    palette("palette", _groups(now), address=address, on_choice=lambda kind, value: _choose(screen, kind, value))
    if go := st.session_state.pop(_GO, None):
        st.switch_page(go, query_params=current().parameters | _kept_parameters())


def _kept_parameters() -> dict[str, str]:
    return {name: str(st.query_params[name]) for name in ("cluster", "found", "name") if st.query_params.get(name)}


def _groups(now: Current) -> list[Group]:
    pages: list[Entry] = [
        {
            "kind": "page",
            "value": screen.path,
            "title": screen.title,
            "hint": screen.step(now).figure if now.dataset else "",
        }
        for screen in SCREENS
    ]
    return [{"title": "Go to", "entries": pages}, {"title": "Do", "entries": _acts(now)}]


def _figure(now: Current, screen: Screen) -> str:
    return screen.step(now).figure if now.dataset is not None else ""


def _acts(now: Current) -> list[Entry]:
    acts: list[Entry] = []
    if now.dataset is not None:
        history = history_of(now.workspace, now.dataset)
        for value, title, event in (("undo", "Undo", history.next_undo()), ("redo", "Redo", history.next_redo())):
            if event is not None:
                acts.append({"kind": "act", "value": value, "title": title, "hint": event.sentence})
    if now.configuration is not None:
        acts.append({"kind": "act", "value": "sweep", "title": "Find good clusters"})
    if now.run is not None:
        acts.append({"kind": "act", "value": "export", "title": "Export the labels"})
    if now.dataset is not None:
        acts.append({"kind": "act", "value": "scan", "title": "Read the images again"})
    acts.append({"kind": "act", "value": "add", "title": "Open other images"})
    acts.append({"kind": "here", "value": "rail", "title": "Fold or unfold the rail"})
    return acts


def _choose(screen: Screen, kind: str, value: str) -> None:
    """Carry out a choice, before the page runs; a place to go to is left to the run that follows."""
    now = current()
    if kind == "page":
        _go(next(one.file for one in SCREENS if one.path == value))
    elif kind == "cluster":
        choose(cluster=value, found=None)
        _go(_LABEL if screen.file == _LABEL else _EXPLORE)
    elif kind == "label":
        _labelled(now, value)
    elif kind == "image":
        _image(now, int(value))
    elif kind == "act":
        _act(now, value)


def _go(file: str) -> None:
    st.session_state[_GO] = file


def _act(now: Current, value: str) -> None:
    if now.dataset is not None and value in ("undo", "redo"):
        history = history_of(now.workspace, now.dataset)
        undo_here(history) if value == "undo" else do(history.redo)
    elif now.dataset is not None and value == "scan":
        start_scan(now.workspace, now.dataset)
        _go(_IMAGES)
    elif value == "sweep":
        press("Find good clusters")
        _go(_CLUSTER)
    elif value == "export":
        _go(_EXPORT)
    elif value == "add":
        st.session_state["adding"] = True
        _go(_IMAGES)


def _labelled(now: Current, label: str) -> None:
    """Show the images with a label on Explore."""
    board = open_board(now)
    if board is not None and label in board.state.label_names:
        rows = np.flatnonzero(board.state.codes == board.state.label_names.index(label)).astype(np.int64)
        show_found(board, rows, label, ranked=False)
        _go(_EXPLORE)


def _image(now: Current, image: int) -> None:
    """Show one image: on Explore with what is most like it, without a clustering on Images by its name."""
    board = open_board(now)
    if now.dataset is None:
        return
    row = np.flatnonzero(board.rows.ids == image) if board is not None else np.empty(0, np.int64)
    if board is not None and len(row):
        others, _ = search(board.rows.vectors, board.rows.vectors[row], 121)
        rows = np.concatenate([row, others[0][others[0] != row[0]]]).astype(np.int64)
        show_found(board, rows, f"like {shown(board.rows.paths[row[0]])}")
        _go(_EXPLORE)
        return
    table = load_images(now.workspace, now.dataset.id)
    at = np.flatnonzero(table.ids == image)
    if len(at):
        st.query_params["name"] = shown(table.paths[at[0]])
        _go(_IMAGES)
