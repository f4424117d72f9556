"""The Python face of the command palette: mounts it and hands each line that was chosen to the page, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypedDict

import streamlit as st

from components import transfer
from components.actions import fresh_actions


class Entry(TypedDict, total=False):
    """One line: its kind and value come back when it is chosen; `hint` and `picture` (an address) may be left out."""

    kind: str
    value: str
    title: str
    hint: str
    picture: str


class Group(TypedDict):
    """Lines under one title."""

    title: str
    entries: list[Entry]


@cache
def _component() -> Callable[..., Mapping[str, Any]]:
    return transfer.component("palette")


def palette(key: str, groups: Sequence[Group], *, address: str, on_choice: Callable[[str, str], None]) -> None:
    """Draw the palette's button; Ctrl+K opens it from anywhere.

    Parameters
    ----------
    key : str
        Unique key.
    groups : sequence of Group
        What is always there. A line of the kind "here" is carried out in the browser: its value names a part of the
        page, such as "rail".
    address : str
        Path on this server that answers `&text=` with further groups as JSON; empty for nothing to ask.
    on_choice : callable
        Given kind and value of the line that was chosen, before the page runs.
    """
    memory: dict[str, Any] = st.session_state.setdefault(f"_kindred_palette:{key}", {})
    data = {"key": key, "groups": list(groups), "address": address, "acted": memory.get("acted", 0.0)}
    with st.container(gap=None, width="content"):
        transfer.send_code("palette", key)
        _component()(key=key, data=data, on_event_change=partial(_carry_out, key, memory, on_choice))


def _carry_out(key: str, memory: dict[str, Any], on_choice: Callable[[str, str], None]) -> None:
    """Hand each choice that has just come to the page's function; runs before the page, which nothing can end."""
    said = st.session_state.get(key)
    event = said.get("event") if isinstance(said, Mapping) else None
    for action, item in fresh_actions(memory, event):
        if isinstance(item.get("value"), str):
            on_choice(action.action, item["value"])
