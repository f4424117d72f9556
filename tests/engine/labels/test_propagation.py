"""Spreading labels: against the dense solution in float64, and as a person expects."""

from __future__ import annotations

import numpy as np
import pytest

import engine.labels.propagation as propagation
from engine.core.errors import InputError
from engine.geometry.neighbors import NeighborGraph
from engine.labels.propagation import PropagationSettings, propagate, walk_matrix


def graph_of(vectors, k):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1)[:, :k]
    return NeighborGraph(order.astype(np.int32), np.take_along_axis(similarity, order, 1).astype(np.float32))


@pytest.fixture
def blobs(rng):
    truth = np.repeat(np.arange(4), 40)
    return graph_of(np.eye(4, 10)[truth] + 0.15 * rng.normal(size=(160, 10)), 12), truth


@pytest.mark.parametrize("chunk", [1, 3, 32])
def test_it_is_the_dense_solution(blobs, monkeypatch, chunk):
    monkeypatch.setattr(propagation, "CHUNK", chunk)
    graph, truth = blobs
    labels = np.full(160, -1)
    labels[::16] = truth[::16]
    labels[5] = 7  # a class of its own
    found = propagate(graph, labels, settings=PropagationSettings(reach=0.8, n_neighbors=8, tolerance=1e-7))
    walk = walk_matrix(graph, 8).toarray().astype(np.float64)
    np.testing.assert_allclose(walk.sum(axis=1), 1, atol=1e-5)
    given = labels >= 0
    one_hot = (labels[given][:, None] == np.arange(8)).astype(float)
    inner = 0.8 * walk[np.ix_(~given, ~given)]
    chance = np.linalg.solve(np.eye(len(inner)) - inner, 0.8 * walk[np.ix_(~given, given)] @ one_hot)
    ranked = np.sort(chance, axis=1)
    np.testing.assert_allclose(found.confidence[~given], ranked[:, -1], atol=1e-4)
    np.testing.assert_allclose(found.margin[~given], ranked[:, -1] - ranked[:, -2], atol=2e-4)
    clear = ranked[:, -1] - ranked[:, -2] > 1e-3
    np.testing.assert_array_equal(found.labels[~given][clear], chance.argmax(axis=1)[clear])
    np.testing.assert_array_equal(found.labels[given], labels[given])
    assert (found.confidence[given] == 1).all()


def test_a_presumed_label_is_the_dense_solution_of_walks_that_sometimes_end(blobs):
    graph, truth = blobs
    labels = np.full(160, -1)
    labels[::16] = truth[::16]
    likely = np.where(np.arange(160) % 3 == 0, (truth + 1) % 4, -1)
    options = PropagationSettings(reach=0.8, n_neighbors=8, trust=0.25, tolerance=1e-7)
    found = propagate(graph, labels, presumed=likely, settings=options)
    walk = walk_matrix(graph, 8).toarray().astype(np.float64)
    given, some = labels >= 0, (labels < 0) & (likely >= 0)
    ends = np.where(given, labels, likely)[:, None] == np.arange(4)
    weight = np.where(given, 1.0, np.where(some, 0.25, 0.0))
    chance = np.linalg.solve(np.eye(160) - 0.8 * walk * (1 - weight), 0.8 * walk @ (weight[:, None] * ends))
    ranked = np.sort(chance, axis=1)
    np.testing.assert_allclose(found.confidence[~given], ranked[~given, -1], atol=1e-4)
    clear = ~given & (ranked[:, -1] - ranked[:, -2] > 1e-3)
    np.testing.assert_array_equal(found.labels[clear], chance.argmax(axis=1)[clear])
    assert found.given.tolist() == given.tolist()


def test_labels_given_to_images_spread_through_what_is_presumed(blobs):
    graph, truth = blobs
    presumed = np.where(truth == 3, 2, truth)  # two groups under one name
    nothing = propagate(graph, np.full(160, -1), presumed=presumed)
    np.testing.assert_array_equal(nothing.labels, presumed)
    labels = np.full(160, -1)
    labels[120:140] = 3
    found = propagate(graph, labels, presumed=presumed)
    assert (found.labels[140:] == 3).mean() > 0.9
    np.testing.assert_array_equal(found.labels[:120], truth[:120])


def test_few_labels_find_the_blobs_and_confidence_tells_right_from_wrong(blobs):
    graph, truth = blobs
    labels = np.full(160, -1)
    labels[[0, 40, 80, 120]] = [0, 1, 2, 3]
    found = propagate(graph, labels)
    right = found.labels == truth
    assert right.mean() > 0.95
    assert found.confidence.min() >= 0
    assert found.confidence.max() <= 1


def test_the_queue_has_the_least_certain_first_and_no_given_ones(blobs):
    graph, _ = blobs
    labels = np.full(160, -1)
    labels[[0, 40]] = [0, 1]
    found = propagate(graph, labels)
    queue = found.queue()
    assert not found.given[queue].any()
    assert (np.diff(found.margin[queue]) >= 0).all()
    assert len(found.queue(limit=5)) == 5


def test_what_no_walk_reaches_stays_without_a_label():
    indices = np.array([[1], [0], [3], [2]], np.int32)
    found = propagate(NeighborGraph(indices, np.full((4, 1), 0.9, np.float32)), np.array([5, -1, -1, -1]))
    assert found.labels.tolist() == [5, 5, -1, -1]
    assert found.confidence[2:].tolist() == [0, 0]
    assert found.queue().tolist() == [1]


def test_a_graph_with_missing_neighbours_and_exact_duplicates():
    indices = np.array([[1, -1], [0, 2], [1, -1]], np.int32)
    similarities = np.array([[1, 0], [1, 0.5], [0.5, 0]], np.float32)
    found = propagate(NeighborGraph(indices, similarities), np.array([0, -1, -1]))
    assert found.labels.tolist() == [0, 0, 0]
    assert 1 > found.confidence[1] > found.confidence[2] > 0


def test_everything_given_or_nothing_given(blobs):
    graph, truth = blobs
    assert (propagate(graph, truth).confidence == 1).all()
    with pytest.raises(InputError, match="nothing can spread"):
        propagate(graph, np.full(160, -1))
    with pytest.raises(InputError):
        propagate(graph, truth[:5])
