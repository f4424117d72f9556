"""The graph against a slow reference, duplicates, the cache on disk, and approximate recall."""

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.geometry import neighbors
from engine.geometry.neighbors import build_graph, cached_graph, search


def reference(x, k):
    x = x.astype(np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarities = x @ x.T
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1)[:, :k]
    return order, np.take_along_axis(similarities, order, 1)


def test_the_graph_is_the_exact_one(rng):
    x = rng.standard_normal((700, 24)).astype(np.float32) * rng.uniform(0.1, 9, (700, 1)).astype(np.float32)
    graph = build_graph(x, k=10)
    order, similarities = reference(x, 10)
    assert graph.recall == 1.0
    assert graph.indices.dtype == np.int32 and graph.similarities.dtype == np.float32
    np.testing.assert_allclose(graph.similarities, similarities, atol=1e-6)
    assert (graph.indices == order).mean() > 0.999
    assert np.all(np.diff(graph.similarities, axis=1) <= 0)


def test_a_row_is_never_its_own_neighbour_even_among_duplicates(rng):
    x = np.repeat(rng.standard_normal((5, 8)).astype(np.float32), 40, axis=0)
    graph = build_graph(x, k=16)
    assert not (graph.indices == np.arange(200)[:, None]).any()
    np.testing.assert_allclose(graph.similarities, 1, atol=1e-5)
    assert all(len(set(row)) == 16 for row in graph.indices.tolist())
    assert np.array_equal(graph.indices // 40, np.repeat(np.arange(5), 40)[:, None] * np.ones((1, 16), int))


def test_k_is_clipped_when_there_are_few_rows(rng):
    x = rng.standard_normal((6, 4)).astype(np.float32)
    graph = build_graph(x, k=64)
    assert graph.k == 5
    assert all(sorted([*row, i]) == list(range(6)) for i, row in enumerate(graph.indices.tolist()))
    assert build_graph(x[:1]).indices.shape == (1, 0)


def test_nan_is_refused_by_name_of_the_row(rng):
    x = rng.standard_normal((20, 4)).astype(np.float32)
    x[7, 2] = np.nan
    with pytest.raises(InputError, match="row 7"):
        build_graph(x)


def test_zero_rows_have_similarity_zero(rng):
    x = rng.standard_normal((30, 4)).astype(np.float32)
    x[3] = 0
    assert np.all(build_graph(x, k=5).similarities[3] == 0)


def test_the_inverted_file_reaches_and_reports_its_recall(rng, monkeypatch):
    monkeypatch.setattr(neighbors, "FLAT_LIMIT", 100)
    centres = rng.standard_normal((30, 16))
    x = (centres[rng.integers(30, size=3000)] + 0.6 * rng.standard_normal((3000, 16))).astype(np.float32)
    graph = build_graph(x, k=10, device="cpu")
    order, _ = reference(x, 10)
    measured = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(graph.indices.tolist(), order.tolist(), strict=True)])
    assert 0.93 <= graph.recall <= 1.0
    assert abs(measured - graph.recall) < 0.04
    assert not (graph.indices == np.arange(3000)[:, None]).any() and graph.indices.min() >= 0


def test_search_finds_unseen_queries_in_blocks_as_at_once(rng):
    x = rng.standard_normal((900, 12)).astype(np.float32)
    queries = rng.standard_normal((300, 12)).astype(np.float32)
    many, many_similarities = search(x, queries, 7)
    few, few_similarities = search(x, queries[:20], 7)
    assert np.array_equal(many[:20], few)
    np.testing.assert_allclose(many_similarities[:20], few_similarities, atol=1e-6)
    assert search(x, x[5], 3)[0][0, 0] == 5
    assert search(x[:4], queries[:2], 64)[0].shape == (2, 4)


def test_a_subset_keeps_the_order_of_what_remains(rng):
    x = rng.standard_normal((400, 8)).astype(np.float32)
    rows = np.sort(rng.choice(400, 300, replace=False))
    graph = build_graph(x, k=40).subset(rows)
    exact = build_graph(x[rows], k=graph.k)
    assert graph.k >= 15
    assert np.array_equal(graph.indices, exact.indices)


def test_the_cache_answers_the_second_time_and_mends_itself(workspace, rng, monkeypatch):
    x = rng.standard_normal((120, 6)).astype(np.float32)
    first = cached_graph(workspace, "abc", x, k=12)
    assert isinstance(first.indices, np.memmap)

    def never(*args, **options):
        raise AssertionError("built again")

    with monkeypatch.context() as patch:
        patch.setattr(neighbors, "build_graph", never)
        again = cached_graph(workspace, "abc", x, k=8)
        assert again.k == 8 and np.array_equal(again.indices, first.indices[:, :8])
        with pytest.raises(AssertionError, match="built again"):
            cached_graph(workspace, "abc", x[:100], k=8)
    (workspace.neighbors("abc") / "indices.npy").write_bytes(b"torn")
    mended = cached_graph(workspace, "abc", x, k=12)
    assert np.array_equal(mended.indices, build_graph(x, k=12).indices)
