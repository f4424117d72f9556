"""A consensus equals its definition, does not care about cluster numbers, and never counts noise as agreement."""

from itertools import combinations

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.evaluation.consensus import consensus
from engine.geometry.neighbors import NeighborGraph


def graph_over(n, k, seed=0):
    rng = np.random.default_rng(seed)
    near = np.array([rng.choice(np.delete(np.arange(n), row), k, replace=False) for row in range(n)], np.int32)
    return NeighborGraph(near, np.ones((n, k), np.float32))


def test_the_dispute_is_the_share_of_run_pairs_that_differ_on_a_neighbour(rng):
    labels = [rng.integers(-1, 4, 40) for _ in range(3)]
    graph = graph_over(40, 6)
    found = consensus(labels, graph, k=5)
    for row in range(40):
        differing = []
        for near in graph.indices[row, :5]:
            same = [run[row] >= 0 and run[row] == run[near] for run in labels]
            differing += [one != two for one, two in combinations(same, 2)]
        assert found.disputed[row] == pytest.approx(np.mean(differing), abs=1e-6)


def test_the_core_is_what_every_run_keeps_together():
    one = np.repeat([0, 1], 30)
    two = np.repeat([5, 3, 9], 20)  # other numbers, one cluster more
    near = np.array([[(row // 10 * 10) + (row + step) % 10 for step in (1, 2, 3)] for row in range(60)], np.int32)
    found = consensus([one, two], NeighborGraph(near, np.ones(near.shape, np.float32)))
    assert not found.disputed.any()
    assert found.settled_share == 1
    cells = [found.groups[:20], found.groups[20:30], found.groups[30:40], found.groups[40:]]
    assert all(len(set(cell.tolist())) == 1 for cell in cells)
    assert np.bincount(found.groups).tolist() == [20, 20, 10, 10]


def test_cluster_numbers_mean_nothing(rng):
    labels, graph = [rng.integers(0, 4, 50) for _ in range(2)], graph_over(50, 5)
    renamed = [np.array([7, 3, 9, 1])[labels[0]], labels[1]]
    one, two = consensus(labels, graph), consensus(renamed, graph)
    assert (one.disputed == two.disputed).all()
    assert one.agreement == pytest.approx(two.agreement)
    assert one.border().tolist() == two.border().tolist()


def test_the_border_is_disputed_first_and_holds_what_a_run_set_aside():
    near = np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]], np.int32)
    graph = NeighborGraph(near, np.ones((6, 2), np.float32))
    found = consensus([np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, -1])], graph)
    assert found.disputed.tolist() == pytest.approx([0.5, 0.5, 1, 0.5, 0.5, 1])
    assert found.border().tolist() == [2, 5, 0, 1, 3, 4]
    single = consensus([np.array([0, 0, 1]), np.array([0, 0, 1])], NeighborGraph(near[:3], np.ones((3, 2))))
    assert single.groups.tolist() == [0, 0, -1]
    alone = consensus([np.array([0, 0, -1]), np.array([0, 0, -1])], NeighborGraph(near[:3], np.ones((3, 2))))
    assert alone.disputed[2] == 0
    assert alone.groups.tolist() == [0, 0, -1]


def test_likeness_is_the_mean_agreement_with_the_others():
    labels = [np.repeat([0, 1], 10), np.repeat([1, 0], 10), np.tile([0, 1], 10)]
    found = consensus(labels, graph_over(20, 4))
    assert found.agreement[0, 1] == 1
    assert found.likeness[0] == pytest.approx((1 + found.agreement[0, 2]) / 2)


def test_too_few_runs_and_other_images_are_refused():
    graph = graph_over(10, 3)
    with pytest.raises(InputError, match="two runs"):
        consensus([np.zeros(10, int)], graph)
    with pytest.raises(InputError, match="different images"):
        consensus([np.zeros(10, int), np.zeros(9, int)], graph)
