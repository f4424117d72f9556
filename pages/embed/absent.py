"""Weights that are not here: which files, where to put them, and what works now, before any job begins."""

from __future__ import annotations

import streamlit as st

from engine.embeddings.encoders.availability import Choice, forget_network, instructions, why_offline
from engine.embeddings.encoders.weights import AbsentWeightsError
from pages.shared.actions import pressed
from pages.shared.state import escape

_WAIT = 2.5  # seconds in which a hub that can be reached has answered


def why_not_now(chosen: Choice) -> bool:
    """Return whether embedding with this choice has to wait for weights that cannot be downloaded now."""
    if chosen.availability.state == "gated":
        return True
    return chosen.availability.state == "download" and bool(why_offline(wait=_WAIT))


def absent_panel(chosen: Choice, instead: Choice, count: str) -> bool:
    """Say what is missing and where it goes, ready to be copied; return whether the other encoder is to be used.

    Parameters
    ----------
    chosen : Choice
        Its weights are not on this machine.
    instead : Choice
        What works now.
    count : str
        "2,524 images".
    """
    found = chosen.availability
    if found.wanted is None:
        return False
    with st.container(border=True, key="absent_weights"):
        if found.state == "gated":
            st.warning(f"{escape(found.sentence)}  \n{escape(found.hint)}", icon=":material/lock:")
            st.code("hf auth login", language="bash")
        else:
            why = why_offline(wait=_WAIT)
            error = AbsentWeightsError(found.wanted, f" and {why}" if why else "")
            st.warning(escape(error.sentence) + "  \n" + escape(error.hint), icon=":material/cloud_off:")
            st.code(instructions(found.wanted), language="bash", wrap_lines=True)
        with st.container(horizontal=True):
            used = pressed(
                f"Embed {count} with {instead.entry.title} now",
                key="embed_instead",
                type="primary",
                icon=":material/play_arrow:",
            )
            if pressed("Try again", icon=":material/refresh:", key="absent_again"):
                forget_network()
                st.rerun()
            if pressed("Close", key="absent_close", type="tertiary"):
                forget()
                st.rerun()
    return used


def remember(chosen: Choice) -> None:
    """Show the panel for this choice from now on."""
    st.session_state["absent_weights_of"] = chosen


def remembered() -> Choice | None:
    """Return the choice whose weights were found missing."""
    found: Choice | None = st.session_state.get("absent_weights_of")
    return found


def forget() -> None:
    """Show the panel no more."""
    st.session_state.pop("absent_weights_of", None)
