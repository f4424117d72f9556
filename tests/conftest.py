"""What every test shares: one thread per process, a workspace of its own, the real data where it lies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("KINDRED_SAMPLES", "off")  # nothing is made ready in the background

import numpy as np
import pytest
from hypothesis import settings

from engine.core.workspace import Workspace

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a shell runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("kindred", deadline=None)  # a busy machine is no failure
settings.load_profile("kindred")

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty workspace that is also the process's default."""
    monkeypatch.setenv("KINDRED_WORKSPACE", str(tmp_path / "workspace"))
    return Workspace.open()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def shared_data(name: str) -> Path:
    """Return a path under ../shared/data, or skip the test with the reason."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"real data {name} is not here")
    return path
