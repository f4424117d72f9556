"""The Python face of the drop zone: mounts it and hands each path that was dropped to the page, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import streamlit as st

from components import transfer


@cache
def _component() -> Callable[..., Mapping[str, Any]]:
    return st.components.v2.component("kindred_drop", js=transfer.asset("drop/drop.js"), isolate_styles=False)


def drop_zone(key: str, *, around: str) -> str:
    """Let the container with the key `around` take what is dragged onto it; returns a dropped path in one run, or "".

    Parameters
    ----------
    key : str
        Unique key.
    around : str
        Key of the container.
    """
    said = _component()(key=key, data={"around": around}, **transfer.named("path"))
    path = said.get("path")
    return path.strip() if isinstance(path, str) else ""
