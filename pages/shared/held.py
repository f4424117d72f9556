"""The order of a gallery: images stay where they are while a person works, until that person asks for a new order."""

from __future__ import annotations

import hashlib

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared.state import settle

_HELD = "held_orders"


def hold(gallery: str, view: str, fresh: NDArray[np.int64]) -> tuple[NDArray[np.int64], str, bool]:
    """Return the rows to show in a gallery, what names them, and whether a new order would be another one.

    Parameters
    ----------
    gallery : str
        The gallery's key.
    view : str
        Names what is looked at: while it stays the same, rows keep their places, also those that belong elsewhere by
        now; rows that came to it follow at the end.
    fresh : (m,) int64
        The rows that belong to it now, each once, as they would be sorted now.
    """
    orders = st.session_state.setdefault(_HELD, {})
    kept = orders.get(gallery)
    if kept is None or kept[0] != view:
        kept = (view, fresh, _name(view, fresh))
    rows = kept[1]
    known = np.zeros(int(max(rows.max(initial=-1), fresh.max(initial=-1))) + 1, bool)
    known[rows] = True
    new = fresh[~known[fresh]]
    if len(new):
        rows = np.concatenate([rows, new])
        kept = (view, rows, _name(view, rows))
    orders[gallery] = kept
    return rows, kept[2], not np.array_equal(rows, fresh)


def _name(view: str, rows: NDArray[np.int64]) -> str:
    return f"{view}-{hashlib.blake2b(rows.tobytes(), digest_size=8).hexdigest()}"


def refresh_order(gallery: str) -> None:
    """Let a gallery be sorted anew."""
    settle(lambda: st.session_state.setdefault(_HELD, {}).pop(gallery, None))


def forget_orders() -> None:
    """Let every gallery be sorted anew: the person went to another screen."""
    st.session_state.pop(_HELD, None)
