"""What can be done with selected images: label, move, set aside, split, confirm, lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import Action
from components.gallery.face import select_in_gallery
from components.workbench.protocol import BarMessage
from engine.labels.around import parts_of
from engine.labels.log import Event
from pages.shared.actions import do, recent_labels, say
from pages.shared.board import Board
from pages.shared.held import refresh_order
from pages.shared.label_keys import arrange_keys, key_labels
from pages.shared.similar import GALLERY, more_like, refine, show_found
from pages.shared.state import Current, choose, settle
from pages.shared.undo import undo_here

_RARER = {
    "less_like": "Less like these",
    "lock": "Lock: no action changes them",
    "unlock": "Unlock",
    "unlabel": "Remove the label",
}
Own = Mapping[str, Callable[[Action, NDArray[np.int64]], None]]


def bar_of(board: Board, own: Mapping[str, str] = MappingProxyType({})) -> BarMessage:
    """Return what the selection bar offers: the page's `own` actions with their titles, labels, and the rarer ones."""
    names = dict.fromkeys([*recent_labels(board), *(c.name for c in board.state.clusters if c.name)])
    return {
        "own": [list(pair) for pair in own.items()],
        "names": list(names),
        "parts": True,
        "more": [list(pair) for pair in _RARER.items()],
    }


def new_clusters(board: Board, event: Event) -> list[int]:
    """Return the clusters that an event has made of parts of those on the board."""
    known = {cluster.id for cluster in board.state.clusters}
    state = board.history.state(board.rows.contents, board.base, run=board.run.folder.name)
    made = [cluster.id for cluster in state.clusters if cluster.id not in known]
    return made if event.kind == "split" else []


def act(
    board: Board,
    actions: Sequence[Action],
    *,
    gallery: str,
    own: Own,
    then: Callable[[Event], None] | None = None,
) -> None:
    """Carry out what was asked for by keys and buttons of the workbench, in order; for use in a callback.

    Parameters
    ----------
    actions : sequence of Action
        Each concerns the images that were selected at its moment, else the one under the cursor.
    gallery : str
        The key of the workbench.
    own : mapping of str to function
        What the page itself does with an action and its rows.
    then : function, optional
        Leads to new clusters after a split.
    """
    for action in actions:
        rows = _concerned(board, action)
        if action.action in own:
            own[action.action](action, rows)
        elif action.action in ("undo", "redo"):
            undo_here(board.history) if action.action == "undo" else do(board.history.redo)
        elif action.action == "refresh_order":
            refresh_order(gallery)
        elif action.action == "arrange":
            arrange_keys(board, action.labels)
        elif action.action == "filter":
            choose(source=action.text or None)
        elif action.action == "label" and action.key.isdigit():
            _label(board, rows, int(action.key), **_how(action))
        elif len(rows):
            _on_selected(board, action, rows, then, gallery=gallery)


def _on_selected(
    board: Board, action: Action, rows: NDArray[np.int64], then: Callable[[Event], None] | None, *, gallery: str
) -> None:
    """Carry out an action on images; one that is not known here is left alone."""
    history, state, how = board.history, board.state, _how(action)
    yours = how["include_yours"]
    match action.action:
        case "label_as" if action.text.strip():
            do(partial(history.label, state, rows, action.text.strip(), **how))
        case "unlabel":
            do(partial(history.label, state, rows, None, **how))
        case "reject":
            do(partial(history.reject, state, rows, **how))
        case "confirm":
            do(history.confirm, state, rows)
        case "move" if action.value is not None:
            do(partial(history.move, state, rows, action.value, **how), then=then)
        case "split_off":
            as_group = how["as_group"]
            do(lambda: history.split(state, rows, as_group=as_group, include_yours=yours), then=then)
        case "split" if action.value is not None:
            do(
                lambda: history.split(
                    state, rows, parts_of(board.rows.vectors, rows, action.value or 2), include_yours=yours
                ),
                then=then,
            )
        case "lock" | "unlock":
            do(history.lock if action.action == "lock" else history.unlock, state, rows)
        case "more_like" | "less_like":
            less = action.action == "less_like"
            refine(board, rows, less=less, fresh=gallery != GALLERY)
            select_in_gallery(GALLERY, board.rows.ids[rows[:0] if less else rows])
            go_to("explore")
        case "neighbours" if action.id is not None:
            show_found(board, more_like(board, under_cursor(board, action))[:121], "neighbours of one image")


def go_to(screen: str) -> None:
    """Go to another screen at the next chance; for use in a callback, where Streamlit cannot switch pages."""
    st.session_state["go_to"] = screen


def go_on(now: Current) -> None:
    """Go where `go_to` said."""
    screen = settle(lambda: st.session_state.pop("go_to", None))
    if screen:
        chosen = {name: str(st.query_params[name]) for name in ("cluster", "found") if name in st.query_params}
        st.switch_page(f"pages/{screen}/page.py", query_params=now.parameters | chosen)


def _how(action: Action) -> dict[str, bool]:
    """Return whether an action is on images that were chosen together, and if so whether on those by the person too."""
    together = action.ids is not None and len(action.ids) > 0 and action.together
    return {"as_group": together, "include_yours": together and action.also}


def _label(board: Board, rows: NDArray[np.int64], place: int, **how: bool) -> None:
    """Give the rows the label that a digit stands for."""
    names = key_labels(board)
    if place > len(names):
        say(f"Key {place} has no label yet: a new label takes the next free key.", ":material/info:")
    elif not len(rows):
        say("Select an image first.", ":material/info:")
    else:
        do(partial(board.history.label, board.state, rows, names[place - 1], **how))


def _concerned(board: Board, action: Action) -> NDArray[np.int64]:
    """Return the rows that an action is about."""
    if action.ids is not None and len(action.ids):
        return np.flatnonzero(np.isin(board.rows.ids, action.ids))
    return under_cursor(board, action)


def under_cursor(board: Board, action: Action) -> NDArray[np.int64]:
    """Return the row of the image under the cursor, pinned or open; none where there is no such image."""
    return np.flatnonzero(board.rows.ids == action.id) if action.id is not None else np.empty(0, np.int64)
