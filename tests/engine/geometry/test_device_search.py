"""The search on a device, run on the CPU: the same neighbours as float64, whatever tiles, memory and precision."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.vectors import unit
from engine.geometry import device_search, neighbors
from engine.geometry.device_search import DeviceSearch
from engine.geometry.neighbors import build_graph


def vectors(count=700, width=24, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(12, width))
    return unit((centers[rng.integers(12, size=count)] + 0.3 * rng.normal(size=(count, width))).astype(np.float32))


def reference(base, queries, k):
    """The k largest cosines of each query in float64, falling, equal ones in the order of the rows."""
    products = queries.astype(np.float64) @ base.astype(np.float64).T
    order = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(products, order, 1)


@pytest.fixture
def small(monkeypatch):
    """Tiles, blocks and groups so small that a few hundred rows make many."""
    monkeypatch.setattr(device_search, "_TILE", 128)
    monkeypatch.setattr(device_search, "_QUERIES", 100)
    monkeypatch.setattr(device_search, "_RANKED", 30)
    monkeypatch.setattr(device_search, "_GROUP", 8)


@pytest.mark.parametrize("memory", [None, 700 * 24 * 5, 0])
@pytest.mark.parametrize("half", [True, False])
def test_it_finds_what_float64_finds(small, half, memory):
    base = vectors()
    rows, values = DeviceSearch(base, "cpu", half=half, memory=memory)(base[:333], 9)
    order, exact = reference(base, base[:333], 9)
    assert np.abs(values - exact).max() < 1e-5
    assert (rows == order).mean() > 0.999  # float32 may exchange two that differ by less than its rounding


def test_a_memory_map_serves_and_is_not_read_whole(small, tmp_path):
    base = vectors(500)
    np.save(tmp_path / "base.npy", base)
    kept = np.load(tmp_path / "base.npy", mmap_mode="r")
    found = DeviceSearch(kept, "cpu", memory=0)
    assert found._tiles is None and found._whole is None
    rows, _ = found(base[:50], 5)
    assert (rows == reference(base, base[:50], 5)[0]).mean() > 0.99


def test_equal_rows_come_in_their_order_and_every_row_can_be_asked_for(small):
    base = np.repeat(vectors(5), 40, axis=0)
    rows, values = DeviceSearch(base, "cpu")(base[:1], 30)
    assert rows[0].tolist() == list(range(30))
    assert np.allclose(values, 1, atol=1e-5)
    rows, _ = DeviceSearch(base, "cpu")(base[:3], len(base))
    assert np.array_equal(np.sort(rows, axis=1), np.tile(np.arange(200), (3, 1)))


def test_the_graph_is_the_same_on_a_device_and_says_where_it_was_searched(monkeypatch):
    base = vectors()
    plain = build_graph(base, k=10, device="cpu")
    monkeypatch.setattr(neighbors, "accelerator", lambda wanted="auto": "cpu")
    told = []

    class Told:
        def update(self, *_, **__):
            pass

        def say(self, sentence):
            told.append(sentence)

        def stop_requested(self):
            return False

    graph = build_graph(base, k=10, progress=Told())
    assert np.abs(graph.similarities - plain.similarities).max() < 1e-5
    assert (graph.indices == plain.indices).mean() > 0.999
    assert told == ["Neighbours are searched on cpu."]
