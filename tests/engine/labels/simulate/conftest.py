"""A toy set that a simulated person can label: separate groups on the sphere, and a desk over a clustering of them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.vectors import unit
from engine.geometry.neighbors import build_graph
from engine.labels.simulate.desk import Desk, scratch_history
from engine.labels.simulate.measure import Judge
from tests.engine.labels.conftest import make_contents


def groups(sizes, spread=0.05, seed=0, dimension=16):
    """Return unit vectors around one far direction for each size, and the number of each one's group."""
    rng = np.random.default_rng(seed)
    centers = np.eye(dimension)[: len(sizes)]
    of = np.repeat(np.arange(len(sizes)), sizes)
    return unit((centers[of] + spread * rng.normal(size=(len(of), dimension))).astype(np.float32)), of


@pytest.fixture
def desk_of(workspace):
    """Build a desk: `desk_of(vectors, base, truth) -> (desk, judge)`."""

    def build(vectors, base, truth):
        judge = Judge(truth)
        history = scratch_history(workspace)
        graph = build_graph(vectors, k=min(8, len(vectors) - 1))
        desk = Desk(history, make_contents(len(vectors)), vectors, graph, np.asarray(base, np.int32), after=judge)
        return desk, judge

    return build
