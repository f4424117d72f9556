"""The Python face of the name field: mounts it and hands each name that was entered to the page, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import streamlit as st

from components import transfer
from components.actions import fresh_actions


@cache
def _component() -> Callable[..., Mapping[str, Any]]:
    return transfer.component("name_field")


def name_field(
    key: str,
    *,
    subject: int,
    value: str,
    names: Sequence[str],
    on_name: Callable[[int, str], None],
    label: str = "Name",
    button: str = "Name it",
    placeholder: str = "What is this?",
) -> None:
    """Draw the field for one subject; a name that is entered goes to `on_name` before the page runs.

    Parameters
    ----------
    key : str
        Unique key. While it stays the same the field keeps its focus, also when the subject changes.
    subject : int
        What is named, at least 0; what was typed for another one and not entered is kept for it.
    value : str
        Its present name, empty for none.
    names : sequence of str
        Suggestions.
    on_name : callable
        Given the subject and the text, without outer white space and never empty.
    label, button, placeholder : str
        Words of the field.
    """
    memory: dict[str, Any] = st.session_state.setdefault(f"_kindred_name_field:{key}", {})
    data = {
        "key": key,
        "subject": int(subject),
        "value": value,
        "names": list(names),
        "label": label,
        "button": button,
        "placeholder": placeholder,
        "acted": memory.get("acted", 0.0),
    }
    with st.container(gap=None):
        transfer.send_code("name_field", key)
        _component()(key=key, data=data, on_event_change=partial(_carry_out, key, memory, on_name))


def _carry_out(key: str, memory: dict[str, Any], on_name: Callable[[int, str], None]) -> None:
    """Hand each name that has just come to the page's function; runs before the page, which nothing can end."""
    said = st.session_state.get(key)
    event = said.get("event") if isinstance(said, Mapping) else None
    for action, item in fresh_actions(memory, event):
        if action.action == "name" and action.id is not None and isinstance(item.get("text"), str):
            on_name(action.id, item["text"].strip())
