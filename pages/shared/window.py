"""Which window of the app a step was made in: Ctrl+Z takes back a person's own steps and asks before others'."""

from __future__ import annotations

import hashlib
import time

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.core.catalog import TERMINAL
from engine.labels.log import Event

_SESSIONS: dict[str, tuple[str, float]] = {}  # by window: Streamlit's id of its session, and when it was first seen


def this_window() -> str:
    """Return the name of the window that the script runs for; empty outside the app."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return ""
    window = hashlib.blake2b(context.session_id.encode(), digest_size=6).hexdigest()
    _SESSIONS.setdefault(window, (context.session_id, time.time()))
    return window


def made_elsewhere(event: Event) -> str:
    """Return "in a terminal" or "in another window" for a step that was not made in this window; empty for its own.

    What a window did that has been closed since, before this one was opened or loaded again, counts as its own.
    """
    if event.window == TERMINAL:
        return "in a terminal"
    here = this_window()
    if not event.window or event.window == here:
        return ""
    session, _ = _SESSIONS.get(event.window, ("", 0.0))
    is_open = bool(session) and runtime.exists() and runtime.get_instance().is_active_session(session)
    _, opened = _SESSIONS.get(here, ("", 0.0))
    return "in another window" if is_open or event.made > opened else ""
