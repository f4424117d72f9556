"""A click is carried out before a newer message may end the run that it begins.

Streamlit takes a message off its queue, ends the run before it, and then looks for a still newer message before it has
looked into the first: what was clicked in that one is gone. The newer message is looked at right after the callbacks
anyway, so nothing waits longer.
"""

from __future__ import annotations

from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.state.safe_session_state import SafeSessionState


def keep_messages_whole() -> None:
    """Let every session of this server look into a message before it looks for the next one."""
    SafeSessionState.on_script_will_rerun = _look_into  # type: ignore[method-assign]


def _look_into(self: SafeSessionState, fresh_widget_states: WidgetStates | None, **options: Any) -> None:  # noqa: ANN401
    with self._lock:
        self._state.on_script_will_rerun(fresh_widget_states, **options)
