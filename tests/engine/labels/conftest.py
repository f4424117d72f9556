"""A data set in the catalog, images in it, and a history to write."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.catalog import open_catalog
from engine.labels.events import LabelHistory


def add_dataset(workspace, name="photos"):
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute(
            "INSERT INTO dataset (id, name, kind, location, created) VALUES (?, ?, 'folder', x'2f', 0)", (name, name)
        )
    return name


def make_contents(n, seed=0):
    """Random content ids, some of them with zero bytes at the end."""
    raw = np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)
    raw[:: max(n // 3, 1), 14:] = 0
    return np.frombuffer(raw.tobytes(), "S16")


@pytest.fixture
def history(workspace):
    return LabelHistory(workspace, add_dataset(workspace))


@pytest.fixture
def contents():
    return make_contents(12)


@pytest.fixture
def base():
    """Three clusters of 4, 4 and 3, and one noise image."""
    return np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, -1], np.int32)
