"""The Python face of the watch: mounts it with the version that the page was drawn from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from components import transfer


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("kindred_watch", js=transfer.asset("watch/watch.js"), isolate_styles=False)


def watch(key: str, *, address: str, version: str, seconds: float = 3.0) -> None:
    """Run the page again when the text at an address is no longer `version`; draws nothing.

    It asks from the browser and not in a fragment of the page: a page on which nothing happens costs no run, and no
    run of a fragment can fall between two drawings of the page.

    Parameters
    ----------
    key : str
        Unique key.
    address : str
        Path on this server that answers with a version as text.
    version : str
        What it answered, or would have, when the page was drawn.
    seconds : float
        Between two questions, above 0. A hidden page does not ask.
    """
    data = {"key": key, "address": address, "version": version, "seconds": seconds}
    _component()(key=key, data=data, **transfer.named("changed"))
