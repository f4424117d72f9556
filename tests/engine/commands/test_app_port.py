"""A busy port: the app takes the next free one and says so; one that was asked for is refused."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
import tomllib

import pytest

from engine.commands import app
from engine.core.workspace import PROGRAM


@pytest.fixture
def busy(monkeypatch):
    """A port that something listens on, taken for the usual one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(app, "PORT", taken.getsockname()[1])
        yield taken.getsockname()[1]


@pytest.fixture
def started(monkeypatch):
    """The command lines that Streamlit was started with."""
    lines = []
    monkeypatch.setattr(runpy, "run_module", lambda *_, **__: lines.append(sys.argv[:]))
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    return lines


def test_a_busy_port_is_said_and_streamlit_takes_the_next(engine, busy, started):
    assert f"Port {busy} is in use, so the next free one is taken" in engine("app").out
    assert "--server.port" not in started[0]


def test_a_free_port_needs_no_word_and_one_that_was_asked_for_is_passed_on(engine, busy, started, monkeypatch):
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        free = trial.getsockname()[1]
    monkeypatch.setattr(app, "PORT", free)
    assert "in use" not in engine("app").out
    engine("app", "--port", free)
    assert started[1][-2:] == ["--server.port", str(free)]


def test_a_port_that_was_asked_for_is_refused_where_it_is_busy(refused, busy):
    assert refused("app", "--port", busy).startswith(f"Port {busy} is in use")
    assert "There is no port 70000" in refused("app", "--port", 70000)


def test_streamlit_itself_may_choose_and_make_passes_the_port_on():
    config = tomllib.loads((PROGRAM / ".streamlit" / "config.toml").read_text())
    assert "port" not in config["server"]  # a port that is set is one that Streamlit does not leave
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}

    def told(*words: str) -> str:
        ran = subprocess.run(["make", "-n", *words], cwd=PROGRAM, capture_output=True, text=True, env=outside)
        return ran.stdout.strip()

    assert told("run", "PORT=8600").endswith("-m engine app --port 8600")
    assert told("run").endswith("-m engine app")
