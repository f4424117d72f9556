"""One clustering out of many equals its definition in float64, and keeps the promises of a vote."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from engine.core.errors import InputError
from engine.core.labels import by_size
from engine.evaluation.agreement import ari_between, nmi
from engine.evaluation.consensus import combine
from engine.geometry.neighbors import NeighborGraph
from tests.engine.evaluation.test_consensus import graph_over


def noisy(truth, share, seed, names=None):
    """Return the labels with a share of them drawn anew, renamed."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(len(truth)) < share, rng.integers(0, truth.max() + 1, len(truth)), truth)
    return labels if names is None else np.asarray(names)[labels]


def by_definition(members, weights, near, start):
    """Vote one image and one member at a time, in float64; return winners and their share."""
    weights = np.asarray(weights, np.float64) / np.sum(weights)
    reference = np.asarray(members[start]).copy()
    n_clusters = reference.max() + 1
    for _ in range(50):
        votes = np.zeros((len(reference), n_clusters))
        for member, weight in zip(members, weights, strict=True):
            if member.max() + 1 == n_clusters:
                table = np.array(
                    [[((member == a) & (reference == b)).sum() for b in range(n_clusters)] for a in range(n_clusters)]
                )
                name = linear_sum_assignment(-table)[1]
                for row, label in enumerate(member):
                    if label >= 0:
                        votes[row, name[label]] += weight
                continue
            for row, label in enumerate(member):
                kept = [at for at in near[row] if label >= 0 and member[at] == label and reference[at] >= 0]
                for at in kept:
                    votes[row, reference[at]] += weight / len(kept)
        stays = (reference >= 0) & (votes[np.arange(len(votes)), reference] >= votes.max(axis=1) - 1e-9)
        winners = np.where(stays, reference, np.where(votes.max(axis=1) > 0, votes.argmax(axis=1), -1))
        if (winners == reference).all():
            break
        reference = winners
    return reference, votes.max(axis=1)


def test_the_vote_is_as_defined_with_noise_weights_and_other_numbers_of_clusters(rng):
    truth = np.repeat(np.arange(4), 30)
    members = [noisy(truth, share, seed) for seed, share in enumerate((0.2, 0.3, 0.4))]
    members.append(noisy(np.repeat(np.arange(6), 20), 0.2, 9))  # other numbers of clusters
    members.append(np.where(rng.random(120) < 0.3, -1, noisy(truth // 2, 0.1, 5)))
    weights = [1.0, 0.7, 0.4, 0.9, 0.61]
    graph = graph_over(120, 8)
    found = combine(members, weights=weights, n_clusters=4, graph=graph, k=7)
    tried = [by_definition(members, weights, graph.indices[:, :7], start) for start in range(3)]
    share = np.asarray(weights) / sum(weights)
    alike = [sum(s * nmi(m, labels) for s, m in zip(share, members, strict=True)) for labels, _ in tried]
    labels, sure = tried[int(np.argmax(alike))]
    assert found.reference == int(np.argmax(alike))
    assert found.likeness == pytest.approx(max(alike))
    assert ari_between(found.labels, labels) == 1
    assert found.confidence == pytest.approx(sure, abs=1e-6)


def test_members_that_are_all_the_same_give_that_clustering():
    truth = np.random.default_rng(1).integers(0, 5, 200)
    found = combine([truth, np.array([3, 0, 4, 1, 2])[truth], truth])
    assert np.array_equal(found.labels, by_size(truth))
    assert (found.confidence == 1).all() and found.likeness == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_of_a_members_clusters_mean_nothing(seed):
    truth = np.repeat(np.arange(5), 40)
    members = [noisy(truth, 0.3, 10 * seed + at) for at in range(4)] + [noisy(np.repeat(np.arange(8), 25), 0.3, seed)]
    rng = np.random.default_rng(seed)
    renamed = [rng.permutation(member.max() + 1)[member] for member in members]
    graph = graph_over(200, 6, seed)
    one, two = (combine(some, n_clusters=5, graph=graph) for some in (members, renamed))
    assert ari_between(one.labels, two.labels) == 1
    assert one.confidence == pytest.approx(two.confidence)


@pytest.mark.parametrize("seed", range(5))
def test_rubbish_of_little_weight_changes_nothing_and_the_vote_is_better_than_its_voters(seed):
    truth = np.repeat(np.arange(6), 50)
    members = [noisy(truth, 0.35, 10 * seed + at, np.random.default_rng(at).permutation(6)) for at in range(5)]
    rubbish = np.random.default_rng(seed).integers(0, 6, 300)
    weights = [1.0, 0.9, 0.83, 0.79, 0.71]  # no two sums are equal, so that no tie is there to be decided
    without, with_it = combine(members, weights=weights), combine([*members, rubbish], weights=[*weights, 1e-6])
    assert np.array_equal(without.labels, with_it.labels)
    assert ari_between(truth, without.labels) > max(ari_between(truth, member) for member in members) + 0.1


def test_noise_abstains_and_what_all_abstain_from_is_noise():
    one, two = np.array([0, 0, 0, 1, 1, -1]), np.array([1, 1, -1, 0, 0, -1])
    found = combine([one, two], weights=[3, 1])
    assert found.labels.tolist() == [0, 0, 0, 1, 1, -1]
    assert found.confidence.tolist() == pytest.approx([1, 1, 0.75, 1, 1, 0])


def test_a_finer_member_votes_along_the_neighbours_that_it_keeps_together():
    near = np.array([[(row // 5 * 5) + (row + step) % 5 for step in (1, 2)] for row in range(20)], np.int32)
    graph = NeighborGraph(near, np.ones(near.shape, np.float32))
    coarse, fine = np.repeat([0, 1], 10), np.repeat([0, 1, 2, 3], 5)
    wrong = coarse.copy()
    wrong[0] = 1
    found = combine([wrong, coarse, fine], weights=[1, 0.5, 0.7], n_clusters=2, graph=graph)
    assert ari_between(found.labels, coarse) == 1


@pytest.mark.parametrize(
    ("members", "options", "sentence"),
    [
        ([[0, 1]], {}, "two clusterings"),
        ([[0, 1], [0, 1, 1]], {}, "different images"),
        ([[0, 1], [0, 1]], {"weights": [1]}, "weights"),
        ([[0, 1], [0, 1]], {"weights": [0, 0]}, "weights"),
        ([[0, 1], [0, 1]], {"n_clusters": 3}, "has 3 clusters"),
        ([[-1, -1], [-1, -1]], {}, "noise"),
        ([[0, 1], [0, 0]], {}, "graph"),
    ],
)
def test_what_cannot_be_combined_is_refused_in_a_sentence(members, options, sentence):
    with pytest.raises(InputError, match=sentence):
        combine([np.asarray(member) for member in members], **options)
