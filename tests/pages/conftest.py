"""AppTest of the whole app over a small real workspace; caches of the server are cleared between tests."""

from __future__ import annotations

import json
import re
from html import unescape
from itertools import count
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app.py"


@pytest.fixture
def app(workspace, monkeypatch):
    """The app on an empty workspace, not run yet; no warm worker is started and nothing's speed measured.

    Jobs that a page starts on its own, such as a map, end with the test.
    """
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    from engine.jobs import job

    started, spawn = [], job._spawn

    def spawning(*given, **options):
        started.append(spawn(*given, **options))
        return started[-1]

    monkeypatch.setattr(job, "_spawn", spawning)
    monkeypatch.setattr("engine.jobs.job.prepare_worker", lambda workspace: None)
    monkeypatch.setattr("engine.embeddings.encoders.speed.start_measuring", lambda workspace, pairs: None)
    monkeypatch.setattr("pages.distil.presets.start_measuring", lambda asked: None)
    monkeypatch.setattr("pages.distil.presets._KNOWN", {})
    st.cache_resource.clear()
    st.cache_data.clear()
    yield AppTest.from_file(str(APP), default_timeout=60)
    for process in started:
        process.kill()
        process.wait()
    st.cache_resource.clear()
    st.cache_data.clear()


class Bench:
    """What the pages tell their workbenches, and what a person asks for in one; scripts do not run in an AppTest."""

    def __init__(self) -> None:
        self.told = {}
        self.time = count(1)

    def __getitem__(self, key):
        return self.told[key]

    def groups(self, app, key):
        """The cards of the list at the left."""
        packed = app.session_state[f"_kindred_channel:{key}:groups"]["bytes"]
        return json.loads(packed[packed.index(b"[{") : packed.rindex(b"]") + 1])

    def said(self, app, key, places=(), *, together=False):
        """The selection of some half-open ranges of places in what the gallery shows."""
        version = list(app.session_state[f"_kindred_gallery:{key}"]["seen"])[-1]
        kind = {"k": "ranges", "r": [*places]} if places else {"k": "none"}
        return {"v": version, "c": 99, "t": next(self.time), "g": together, **kind}

    def ask(self, app, bench, action, places=(), *, together=False, run=True, **told):
        """Ask for something, on what is selected at some places."""
        said = self.said(app, bench, places, together=together)
        told = {"key": "", "selection": said, **told}
        app.session_state[bench] = {"event": [{"t": next(self.time), "action": action, **told}]}
        return app.run() if run else app

    def draw(self, app, key, polygon):
        """Draw a lasso on the map."""
        version = app.session_state[f"_kindred_map:{key}_map"]["version"]
        regions = [{"kind": "lasso", "op": "new", "polygon": polygon}]
        said = {"v": version, "c": 0, "t": next(self.time), "regions": regions}
        app.session_state[key] = {"regions": said}
        return app.run()


@pytest.fixture
def bench(monkeypatch):
    """Listen to what the pages tell their workbenches."""
    from components.workbench import face

    bench, component = Bench(), face._component

    def listening():
        def mount(**given):
            bench.told[given["key"]] = given["data"]
            return component()(**given)

        return mount

    monkeypatch.setattr(face, "_component", listening)
    return bench


def facts(app) -> dict[str, str]:
    """The figures that stand in lines on the page, each by its word."""
    shown = " ".join(found.proto.body for found in app.main.get("html"))
    pairs = re.findall(r'<span title="[^"]*"><b>(.*?)</b> (.*?)</span>', shown)
    return {unescape(word): unescape(value) for value, word in pairs}
