"""Doing and undoing: a click is never lost, what it did is said in one sentence, and there is a way back.

A component's message ends the page's run early and starts it anew, and the second run no longer knows of a click on a
plain button. So no button acts by its return value alone. What concerns exactly what was drawn (undo, merge, set
aside) is carried out by `on_click=do`, before the page runs. What depends on the page's controls or starts a job asks
`pressed`, which keeps the click until a run has come to the button.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from engine.core.errors import KindredError
from engine.labels.log import Event
from pages.shared.board import Board
from pages.shared.state import escape, settle

_CARRIED_OUT = "carried_out"  # the menu that was chosen in last, and what was chosen


def carry_out(
    action: Callable[..., Event],
    *args: Any,  # noqa: ANN401 - what the action takes
    then: Callable[[Event], None] | None = None,
) -> bool:
    """Carry out a label action; the sentence appears in the next run. Returns False when it was refused.

    Parameters
    ----------
    action : function
        Writes one event; it touches nothing of Streamlit.
    *args
        What it is given.
    then : function, optional
        Is given the event: leads to where the work goes on.
    """
    try:
        event = action(*args)
    except KindredError as error:
        say(f"{error.sentence} {error.hint}", ":material/error:")
        return False
    say(event.sentence if event.kind in ("undo", "redo") else f"{event.sentence}. Undo with Ctrl+Z.")
    if then is not None:
        then(event)
    return True


def do(
    action: Callable[..., Event],
    *args: Any,  # noqa: ANN401 - what the action takes
    then: Callable[[Event], None] | None = None,
) -> None:
    """Carry out a label action, as a button's `on_click`; the arguments are those of `carry_out`."""
    carry_out(action, *args, then=then)


def do_with(key: str, action: Callable[[Any], Event], *, then: Callable[[Event], None] | None = None) -> None:
    """Carry out an action on what was chosen in the menu `key`, as its `on_change`.

    The key holds the version of the labels, so that the menu is a new, empty one after each action. Emptying it would
    not do: the browser repeats the choice with the next message of a component, and the action would be done twice. A
    message that was under way when the menu went repeats it too, so what was chosen last in it is remembered.
    """
    chosen = settle(lambda: st.session_state.get(key))
    if chosen is not None and settle(lambda: st.session_state.get(_CARRIED_OUT)) != (key, chosen):
        settle(lambda: st.session_state.update({_CARRIED_OUT: (key, chosen)}))
        do(action, chosen, then=then)


def pressed(label: str, *, key: str = "", button: Callable[..., Any] = st.button, **options: Any) -> bool:  # noqa: ANN401
    """Draw a button; return, once for each press, whether it was pressed since a run last came to it.

    Parameters
    ----------
    label : str
    key : str
        The button's key, where its label changes or stands twice on the page.
    button : function
        `st.button` or `st.form_submit_button`.
    **options
        The button's own.
    """
    key = key or f"press_{label}"
    presses: set[str] = st.session_state.setdefault("presses", set())
    button(label, key=key, on_click=presses.add, args=(key,), **options)
    found = key in presses
    presses.discard(key)
    return found


def press(label: str) -> None:
    """Press a button of `pressed` that another page draws: the next run that comes to it finds it pressed."""
    st.session_state.setdefault("presses", set()).add(f"press_{label}")


def forget_presses() -> None:
    """Forget what was pressed and not come to, at the end of a whole run: the button is not on the page any more."""
    st.session_state.setdefault("presses", set()).clear()


def say(sentence: str, icon: str = ":material/check:") -> None:
    """Say a sentence in the next run."""
    settle(lambda: st.session_state.update(told=(escape(sentence), icon)))


def tell() -> None:
    """Show what was last said, once."""
    told = st.session_state.get("told")
    if told:
        st.toast(told[0], icon=told[1], duration="long")
        settle(lambda: st.session_state.pop("told", None))


def recent_labels(board: Board) -> list[str]:
    """Return up to nine labels, the last used first: what the keys 1-9 give."""
    names: dict[str, None] = {}
    for event in reversed(board.history.effective()[0][-200:]):
        groups = (*event.detail.get("labels", ()), *event.detail.get("parts", ()))
        for text in (event.detail.get("label"), *(group[0] for group in groups)):
            if text:
                names.setdefault(str(text))
    return list(names)[:9]
