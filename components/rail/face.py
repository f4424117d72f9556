"""The Python face of the rail: mounts the button that folds it; Python is never asked and never told."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from components import transfer


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("kindred_rail", js=transfer.asset("rail/rail.js"), isolate_styles=False)


def rail(key: str) -> None:
    """Draw the button that folds the rail.

    It also gives Ctrl+Z and Ctrl+Shift+Z to the buttons that carry the attribute's classes `st-key-undo` and
    `st-key-redo`, except while a text is being written, where these keys belong to the text.

    Parameters
    ----------
    key : str
        Unique key.
    """
    _component()(key=key, data={"key": key})
