"""Which neighbours two embeddings have in common."""

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.evaluation.neighborhoods import common_neighbors, kept_share, neighbor_agreement
from engine.geometry.neighbors import NeighborGraph, build_graph


def graph(indices):
    indices = np.asarray(indices, np.int32)
    return NeighborGraph(indices, np.ones(indices.shape, np.float32))


def test_the_share_is_that_of_the_sets_whatever_their_order(rng):
    count, k = 5000, 12
    first = np.stack([rng.permutation(count)[:k] for _ in range(count)]).astype(np.int32)
    second = np.empty_like(first)
    for at, row in enumerate(first):
        second[at] = rng.permutation(np.r_[row[: at % (k + 1)], count + np.arange(k)][:k])
    found = kept_share(graph(first), graph(second), k)
    slow = [len(set(one) & set(two)) / k for one, two in zip(first.tolist(), second.tolist(), strict=True)]
    assert found == pytest.approx(slow)
    in_second, in_first = common_neighbors(first, second)
    assert [set(a[m]) for a, m in zip(first, in_second, strict=True)] == [
        set(b[m]) for b, m in zip(second, in_first, strict=True)
    ]


def test_the_same_vectors_turned_and_stretched_keep_every_neighbour(rng):
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0].astype(np.float32)
    assert kept_share(build_graph(vectors), build_graph(3 * vectors @ turn)).mean() > 0.999


def test_unrelated_vectors_share_what_chance_gives(rng):
    count, k = 2000, 40
    graphs = [build_graph(rng.normal(size=(count, 16)).astype(np.float32), k=k) for _ in range(2)]
    assert kept_share(*graphs, k).mean() == pytest.approx(k / (count - 1), rel=0.15)


def test_fewer_neighbours_than_asked_for_are_compared_as_they_are():
    assert kept_share(graph([[1, 2], [0, 2], [0, 1]]), graph([[1], [2], [0]]), 10).tolist() == [1, 0, 1]
    assert kept_share(graph(np.empty((1, 0))), graph(np.empty((1, 0)))).tolist() == [1]


def test_other_images_are_refused():
    with pytest.raises(InputError, match="same images"):
        kept_share(graph([[1], [0]]), graph([[1], [0], [1]]))


def test_neighbor_agreement_is_counted_pair_by_pair():
    rng = np.random.default_rng(4)
    labels, neighbors = rng.integers(-1, 4, 60), np.array([rng.permutation(60)[:12] for _ in range(60)])
    same = [labels[i] == labels[j] and labels[i] >= 0 for i in range(60) for j in neighbors[i, :10]]
    chance = sum((np.count_nonzero(labels == c) / 60) ** 2 for c in range(4))
    assert neighbor_agreement(neighbors, labels) == pytest.approx((np.mean(same) - chance) / (1 - chance))
    assert neighbor_agreement(neighbors, np.zeros(60, int)) == 0
    assert neighbor_agreement(neighbors, np.full(60, -1)) == 0
    pairs = np.arange(60) // 2
    assert neighbor_agreement((np.arange(60) ^ 1)[:, None], pairs) == 1
