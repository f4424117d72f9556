"""What can be done with selected images: label, move, set aside, split, confirm, lock."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.gallery import GalleryEvent, select_in_gallery
from engine.errors import KindredError
from engine.labels.state import LOCKED, UNSORTED
from pages.shared.actions import do, recent_labels
from pages.shared.board import Board
from pages.shared.search_box import more_like, show_found
from pages.shared.state import escape, show_error
from pages.shared.words import count

_NEW = "New cluster"


def selection_bar(
    board: Board, chosen: NDArray[np.int64], *, key: str, gallery: str, maps: tuple[str, ...] = ()
) -> None:
    """Draw the bar for the chosen rows of the board; nothing when none are chosen."""
    if not len(chosen):
        st.caption("Select images by click, Shift, Ctrl, drag or Ctrl+A; draw on the map. Press ? for all keys.")
        return
    state, history = board.state, board.history
    done = {"galleries": (gallery,), "maps": maps}
    with st.container(horizontal=True, vertical_alignment="bottom", border=True):
        st.markdown(f"**{count(len(chosen), 'image')} selected**", width="content")
        known = [cluster.id for cluster in state.clusters if cluster.id != UNSORTED]
        names = list(dict.fromkeys([*recent_labels(board), *(c.name for c in state.clusters if c.name)]))
        label = st.selectbox(
            "Label as", names, index=None, placeholder="Label as", key=f"{key}_label", accept_new_options=True,
            label_visibility="collapsed", width=200,
        )  # fmt: skip
        if label:
            del st.session_state[f"{key}_label"]
            do(lambda: history.label(state, chosen, label), **done)
            st.rerun()
        to = st.selectbox(
            "Move to", [_NEW, *known], index=None, placeholder="Move to", key=f"{key}_move", width=180,
            format_func=lambda item: item if item == _NEW else state.title(item), label_visibility="collapsed",
        )  # fmt: skip
        if to is not None:
            del st.session_state[f"{key}_move"]
            do(lambda: history.split(state, chosen) if to == _NEW else history.move(state, chosen, int(to)), **done)
            st.rerun()
        if st.button("Set aside", icon=":material/block:", key=f"{key}_reject", help="Not of this cluster (x)"):
            do(lambda: history.reject(state, chosen), **done)
            st.rerun()
        if st.button("Confirm", icon=":material/done_all:", key=f"{key}_confirm", help="These are right as they are"):
            do(lambda: history.confirm(state, chosen), **done)
            st.rerun()
        if st.button("More like these", icon=":material/add_photo_alternate:", key=f"{key}_more"):
            show_found(more_like(board, chosen), f"like {count(len(chosen), 'selected image')}")
            select_in_gallery(gallery, board.rows.ids[chosen])
            st.rerun()
        with st.popover("More", icon=":material/more_horiz:"):
            _rarer(board, chosen, key, done)


def _rarer(board: Board, chosen: NDArray[np.int64], key: str, done: dict[str, tuple[str, ...]]) -> None:
    state, history = board.state, board.history
    parts = st.slider(
        "Split by re-clustering into", 2, 12, 2, key=f"{key}_parts", help="k-means on the selected images only"
    )
    if st.button("Split", icon=":material/call_split:", key=f"{key}_split"):
        groups = _groups(board, chosen, parts)
        if groups is not None:
            do(lambda: history.split(state, chosen, groups), **done)
            st.rerun()
    locked = bool(np.all(state.status[chosen] == LOCKED))
    if st.button("Unlock" if locked else "Lock", icon=":material/lock:", key=f"{key}_lock"):
        do(lambda: history.unlock(state, chosen) if locked else history.lock(state, chosen), **done)
        st.rerun()
    if st.button("Remove label", icon=":material/label_off:", key=f"{key}_unlabel"):
        do(lambda: history.label(state, chosen, None), **done)
        st.rerun()


def _groups(board: Board, chosen: NDArray[np.int64], parts: int) -> NDArray[np.int64] | None:
    from engine.clustering.kmeans import KMeans, KMeansSettings

    try:
        settings = KMeansSettings(n_clusters=parts)
        return KMeans(settings).fit(board.rows.vectors[chosen]).labels_.astype(np.int64)
    except KindredError as error:
        show_error(error)
        return None


def keys(
    board: Board, event: GalleryEvent | None, chosen: NDArray[np.int64], *, gallery: str, shown: NDArray[np.int64]
) -> None:
    """Carry out a key or button that the gallery passed on; `shown` are the rows on display."""
    if event is None:
        return
    state, history = board.state, board.history
    target = chosen
    if not len(target) and event.position is not None and event.position < len(shown):
        target = shown[event.position : event.position + 1]
    if event.action == "label" and event.key.isdigit():
        names = recent_labels(board)
        place = int(event.key) - 1
        if place < len(names) and len(target):
            do(lambda: history.label(state, target, names[place]), galleries=(gallery,))
        else:
            st.session_state["told"] = (escape("That key has no label yet: use a label once first."), ":material/info:")
    elif event.action == "reject" and len(target):
        do(lambda: history.reject(state, target), galleries=(gallery,))
    elif event.action == "undo":
        do(history.undo, galleries=(gallery,))
    elif event.action == "redo":
        do(history.redo, galleries=(gallery,))
    elif event.action == "neighbours" and event.position is not None:
        show_found(more_like(board, shown[event.position : event.position + 1])[:121], "neighbours of one image")
    else:
        return
    st.rerun()
