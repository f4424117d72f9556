"""AppTest of the whole app over a small real workspace; caches of the server are cleared between tests."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app.py"


@pytest.fixture
def app(workspace, monkeypatch):
    """The app on an empty workspace, not run yet; no warm worker is started and no encoder's speed measured."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    monkeypatch.setattr("engine.jobs.job.prepare_worker", lambda workspace: None)
    monkeypatch.setattr("engine.embeddings.encoders.speed.start_measuring", lambda workspace, pairs: None)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield AppTest.from_file(str(APP), default_timeout=60)
    st.cache_resource.clear()
    st.cache_data.clear()


def facts(app) -> dict[str, str]:
    """The figures that stand in lines on the page, each by its word."""
    shown = " ".join(found.proto.body for found in app.main.get("html"))
    pairs = re.findall(r'<span title="[^"]*"><b>(.*?)</b> (.*?)</span>', shown)
    return {unescape(word): unescape(value) for value, word in pairs}
