"""What runs of Streamlit need with `runner.fastReruns` off, as it is here; with it on they have it by themselves.

With it, each message that ends a run starts the next one in a new thread; without it, one thread goes on.
"""

from __future__ import annotations

from typing import Any

from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.state.safe_session_state import SafeSessionState


def begin_at_the_top() -> None:
    """Draw what follows into the page itself; called at the beginning of each whole run.

    A fragment that runs by itself leaves its own place behind as the one to draw into. A whole run that waited for its
    end and follows in the same thread would draw the page in there, and then take that place away.
    """
    context_dg_stack.set(get_default_dg_stack_value())


def keep_messages_whole() -> None:
    """Let every session of this server look into a message before it looks for the next one.

    Streamlit takes a message off its queue, ends the run before it, and then looks for a still newer message before it
    has looked into the first: what was clicked in that one is gone. The newer message is looked at right after the
    callbacks anyway, so nothing waits longer.
    """
    SafeSessionState.on_script_will_rerun = _look_into  # type: ignore[method-assign]


def _look_into(self: SafeSessionState, fresh_widget_states: WidgetStates | None, **options: Any) -> None:  # noqa: ANN401
    with self._lock:
        self._state.on_script_will_rerun(fresh_widget_states, **options)
