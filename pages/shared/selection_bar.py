"""What can be done with selected images: label, move, set aside, split, confirm, lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import Action
from components.gallery.face import select_in_gallery
from engine.labels.log import Event
from engine.labels.state import LOCKED
from pages.shared.actions import do, do_with, pressed, recent_labels, say
from pages.shared.board import Board
from pages.shared.held import refresh_order
from pages.shared.label_keys import arrange_keys, key_labels
from pages.shared.similar import GALLERY, more_like, show_found
from pages.shared.state import settle
from pages.shared.words import count

_NEW = "New cluster"


def selection_bar(
    board: Board,
    chosen: NDArray[np.int64],
    *,
    key: str,
    as_group: bool = False,
    then: Callable[[Event], None] | None = None,
) -> None:
    """Draw the bar for the chosen rows of the board.

    Parameters
    ----------
    as_group : bool
        They were chosen together (a lasso, Ctrl+A), not one by one: what the person labelled keeps its label.
    then : function, optional
        Leads to new clusters after a split.
    """
    if not len(chosen):
        st.caption("Select images by click, Shift, Ctrl, drag or Ctrl+A; draw on the map. Press ? for all keys.")
        return
    state, history = board.state, board.history
    label_key, move_key = f"{key}_label_{state.version}", f"{key}_move_{state.version}"
    with st.container(horizontal=True, vertical_alignment="bottom", border=True):
        st.markdown(f"**{count(len(chosen), 'image')} selected**", width="content")
        also = as_group and include_yours(board, chosen, key=yours_key(key))
        how: dict[str, Any] = {"as_group": as_group, "include_yours": also}
        known = [cluster.id for cluster in board.state.clusters]
        names = list(dict.fromkeys([*recent_labels(board), *(c.name for c in state.clusters if c.name)]))
        st.selectbox(
            "Label as",
            names,
            index=None,
            placeholder="Label as",
            key=label_key,
            accept_new_options=True,
            label_visibility="collapsed",
            width=200,
            on_change=do_with,
            args=(label_key, lambda label: history.label(state, chosen, label, **how)),
        )
        st.selectbox(
            "Move to",
            [_NEW, *known],
            index=None,
            placeholder="Move to",
            key=move_key,
            width=180,
            format_func=lambda item: item if item == _NEW else state.title(item),
            label_visibility="collapsed",
            on_change=do_with,
            args=(
                move_key,
                lambda to: (
                    history.split(state, chosen, **how) if to == _NEW else history.move(state, chosen, int(to), **how)
                ),
            ),
            kwargs={"then": then},
        )
        st.button(
            "Set aside",
            icon=":material/block:",
            key=f"{key}_reject",
            help="Not of this cluster: they become unsorted, in no cluster (x)",
            on_click=lambda: do(lambda: history.reject(state, chosen, **how)),
        )
        st.button(
            "Confirm",
            icon=":material/done_all:",
            key=f"{key}_confirm",
            help="These are right as they are",
            on_click=do,
            args=(history.confirm, state, chosen),
        )
        if pressed(
            "More like these", icon=":material/add_photo_alternate:", key=f"{key}_more", help="Explore shows them"
        ):
            show_found(board, more_like(board, chosen), f"like {count(len(chosen), 'selected image')}")
            select_in_gallery(GALLERY, board.rows.ids[chosen])
            st.switch_page("pages/explore/page.py", query_params=board.now.parameters)
        with st.popover("More", icon=":material/more_horiz:"):
            _rarer(board, chosen, key, how, then)


def yours_key(bar: str) -> str:
    """Return the key of the choice that a bar offers to include what the person labelled."""
    return f"{bar}_yours"


def include_yours(board: Board, rows: NDArray[np.int64], *, key: str) -> bool:
    """Say how many of a group the person labelled one by one, and offer that an action on the group changes them too.

    Nothing is drawn where there are none.
    """
    mine = board.state.by_you(rows)
    if not mine:
        return False
    with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small"):
        st.markdown(
            f"{mine:,} of them labelled by you {'keeps its' if mine == 1 else 'keep their'} label", width="content"
        )
        return st.checkbox("Change them too", key=key)


def _rarer(
    board: Board,
    chosen: NDArray[np.int64],
    key: str,
    how: Mapping[str, bool],
    then: Callable[[Event], None] | None,
) -> None:
    state, history, yours = board.state, board.history, how["include_yours"]
    parts = st.slider(
        "Split by re-clustering into", 2, 12, 2, key=f"{key}_parts", help="k-means on the selected images only"
    )
    st.button(
        "Split",
        icon=":material/call_split:",
        key=f"{key}_split",
        on_click=lambda: do(
            lambda: history.split(state, chosen, _groups(board, chosen, parts), include_yours=yours), then=then
        ),
    )
    locked = bool(np.all(state.status[chosen] == LOCKED))
    st.button(
        "Unlock" if locked else "Lock",
        icon=":material/lock:",
        key=f"{key}_lock",
        on_click=do,
        args=(history.unlock if locked else history.lock, state, chosen),
    )
    st.button(
        "Remove label",
        icon=":material/label_off:",
        key=f"{key}_unlabel",
        on_click=lambda: do(lambda: history.label(state, chosen, None, **how)),
    )


def _groups(board: Board, chosen: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    from engine.clustering.kmeans import KMeans, KMeansSettings

    settings = KMeansSettings(n_clusters=parts)
    return KMeans(settings).fit(board.rows.vectors[chosen]).labels_.astype(np.int64)


def new_clusters(board: Board, event: Event) -> list[int]:
    """Return the clusters that an event has made of parts of those on the board."""
    known = {cluster.id for cluster in board.state.clusters}
    state = board.history.state(board.rows.contents, board.base, run=board.run.folder.name)
    made = [cluster.id for cluster in state.clusters if cluster.id not in known]
    return made if event.kind == "split" else []


Own = Mapping[str, Callable[[Action, NDArray[np.int64]], None]]


def act(
    board: Board, actions: Sequence[Action], *, gallery: str, bar: str, drawn: NDArray[np.int64] | None = None, own: Own
) -> None:
    """Carry out what was asked for by key or button in the gallery and on the map, in order; for use in a callback.

    Parameters
    ----------
    actions : sequence of Action
        Each concerns the images that were selected at its moment, else the one under the cursor.
    gallery : str
        The key of the page's gallery.
    bar : str
        The key of the page's selection bar, which may offer to include what the person labelled.
    drawn : (m,) int64, optional
        Rows drawn on the map: what its keys concern.
    own : mapping of str to function
        What the page itself does with an action and its rows.
    """
    history, state = board.history, board.state
    for action in actions:
        rows = _concerned(board, action, drawn)
        if action.action in own:
            own[action.action](action, rows)
        elif action.action in ("undo", "redo"):
            do(history.undo if action.action == "undo" else history.redo)
        elif action.action == "refresh_order":
            refresh_order(gallery)
        elif action.action == "arrange":
            arrange_keys(board, action.labels)
        elif action.action == "label" and action.key.isdigit():
            _label(board, rows, int(action.key), **_how(action, drawn, bar))
        elif not len(rows):
            continue
        elif action.action == "reject":
            do(partial(history.reject, state, rows, **_how(action, drawn, bar)))
        elif action.action == "neighbours" and action.id is not None:
            show_found(board, more_like(board, under_cursor(board, action))[:121], "neighbours of one image")


def _how(action: Action, drawn: NDArray[np.int64] | None, bar: str) -> dict[str, bool]:
    """Return whether an action is on images that were chosen together, and if so whether on those by the person too."""
    picked = action.ids is not None and len(action.ids) > 0
    together = action.together if picked else drawn is not None and len(drawn) > 0
    also = together and bool(settle(lambda: st.session_state.get(yours_key(bar), False)))
    return {"as_group": together, "include_yours": also}


def _label(board: Board, rows: NDArray[np.int64], place: int, **how: bool) -> None:
    """Give the rows the label that a digit stands for."""
    names = key_labels(board)
    if place > len(names):
        say(f"Key {place} has no label yet: a new label takes the next free key.", ":material/info:")
    elif not len(rows):
        say("Select an image first.", ":material/info:")
    else:
        do(partial(board.history.label, board.state, rows, names[place - 1], **how))


def _concerned(board: Board, action: Action, drawn: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the rows that an action is about."""
    if action.ids is not None and len(action.ids):
        return np.flatnonzero(np.isin(board.rows.ids, action.ids))
    if drawn is not None and len(drawn):
        return drawn
    return under_cursor(board, action)


def under_cursor(board: Board, action: Action) -> NDArray[np.int64]:
    """Return the row of the image under the cursor, pinned or open; none where there is no such image."""
    return np.flatnonzero(board.rows.ids == action.id) if action.id is not None else np.empty(0, np.int64)
