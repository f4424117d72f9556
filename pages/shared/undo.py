"""Undo in a window: its own last step at once; a step that was made elsewhere is shown and asked about first."""

from __future__ import annotations

import time

import streamlit as st

from engine.labels.log import Event, EventLog
from pages.shared.actions import carry_out, do, say
from pages.shared.board import history_of
from pages.shared.state import Current, escape, settle
from pages.shared.window import made_elsewhere
from pages.shared.words import duration

_ASKED = "undo_asked"  # the step of somebody else that is asked about


def undo_here(history: EventLog) -> None:
    """Take back the last step; where it was made elsewhere, let `ask_undo` ask. For use in a callback."""
    last = history.next_undo()
    if last is None:
        say("There is nothing to undo.", ":material/info:")
    elif made_elsewhere(last):
        settle(lambda: st.session_state.update({_ASKED: last.id}))
    else:
        do(history.undo, last.id)


def own_last(history: EventLog) -> Event | None:
    """Return the last step in effect that was made in this window; None where there is none."""
    return next((event for event in reversed(history.effective()[0]) if not made_elsewhere(event)), None)


def ask_undo(now: Current) -> None:
    """Draw the question about a step that was made elsewhere, while it is open."""
    asked = settle(lambda: st.session_state.get(_ASKED))
    if asked is None or now.dataset is None:
        return
    history = history_of(now.workspace, now.dataset)
    last = history.next_undo()
    if last is None or last.id != asked:
        _close()
    else:
        _dialog(history, last)


def _close() -> None:
    settle(lambda: st.session_state.pop(_ASKED, None))


@st.dialog("Undo a step that was not made here?", on_dismiss=_close)
def _dialog(history: EventLog, last: Event) -> None:
    if settle(lambda: st.session_state.get(_ASKED)) is None:  # a button was pressed
        st.rerun()
    mine = own_last(history)
    ago = duration(time.time() - last.made).removeprefix("about ")
    st.markdown(f"The last step was made {made_elsewhere(last)}, {ago} ago:  \n**{escape(last.sentence)}**")
    if mine is None:
        st.markdown("There is no step of this window to undo.")
    else:
        st.markdown(f"Your last step in this window:  \n**{escape(mine.sentence)}**")
    with st.container(horizontal=True):
        if mine is not None:
            st.button("Undo mine", type="primary", key="undo_mine", on_click=_take_back, args=(history, mine))
        st.button("Undo the last step", key="undo_other", on_click=_take_back, args=(history, last))
        st.button("Undo nothing", key="undo_none", on_click=_close)


def _take_back(history: EventLog, event: Event) -> None:
    _close()
    carry_out(history.undo, event.id)
