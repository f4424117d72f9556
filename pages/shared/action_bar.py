"""The bar at the foot of a page that stays in view: what the page is about to do, and the one button that does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

_STYLE = """<style>
div:has(> [class*="st-key-action_bar_"]) { position: sticky; bottom: 0; z-index: 20; }
[class*="st-key-action_bar_"] { padding: 10px 2px; background: var(--k-ground, light-dark(#FBFBFA, #131417));
  border-top: 1px solid var(--k-line, light-dark(#E0E1E3, #2C2F35)); }
</style>"""


@contextmanager
def action_bar(name: str) -> Iterator[None]:
    """Draw into the bar of a page; `name` is that of the page."""
    st.html(_STYLE)
    with st.container(key=f"action_bar_{name}"):
        yield
