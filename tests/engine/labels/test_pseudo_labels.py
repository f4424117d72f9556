"""The vote against a slow reference, and its edges."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.pseudo_labels import LabelNames, cluster_centers, distances_to_centers, pseudo_label


def reference(embeddings, assignments, known, centers, k):
    """One cluster at a time, in float64."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    middle = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    found = {}
    for cluster in range(len(centers)):
        rows = np.flatnonzero(assignments == cluster)
        distance = {row: np.linalg.norm(unit[row] - middle[cluster]) for row in rows.tolist()}
        voters = sorted(rows.tolist(), key=distance.get)[:k]
        votes, summed = Counter(), defaultdict(float)
        for row in voters:
            if known[row]:
                votes[known[row]] += 1
                summed[known[row]] += distance[row]
        if votes:
            winner = min(votes, key=lambda name: (-votes[name], summed[name], int(name)))
            purity = votes[winner] / sum(votes.values())
            radius = max(distance[row] for row in voters)
            found[cluster] = (winner, purity, {row: purity * min(1, radius / distance[row]) for row in distance})
    return found


@pytest.mark.parametrize("share_known", [1.0, 0.3])
def test_the_vote_is_the_reference(rng, share_known):
    n, n_clusters = 600, 9
    centers = rng.normal(size=(n_clusters, 6))
    assignments = rng.integers(-1, n_clusters - 1, n)
    embeddings = (centers[assignments] + rng.normal(size=(n, 6))).astype(np.float32) * rng.uniform(0.1, 9, (n, 1))
    known = [str(rng.integers(0, 12)) if rng.random() < share_known else None for _ in range(n)]
    result = pseudo_label(embeddings, assignments, known, centers=centers, k=7)
    labels, confidence = result.label(assignments, result.distance)
    expected = reference(embeddings, assignments, known, centers, 7)
    for cluster in range(n_clusters):
        winner, purity, samples = expected.get(cluster, (None, 0.0, {}))
        assert result.names.decode(result.cluster_label[cluster : cluster + 1]) == [winner]
        assert result.cluster_confidence[cluster] == pytest.approx(purity)
        for row, value in samples.items():
            assert result.names.names[labels[row]] == winner
            assert confidence[row] == pytest.approx(value, rel=1e-4)
    assert result.empty_clusters == [n_clusters - 1]
    assert (labels[assignments < 0] == -1).all()
    assert (confidence[assignments < 0] == 0).all()
    assert confidence.min() >= 0
    assert confidence.max() <= 1


def angle(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_a_tie_goes_to_the_nearer_label():
    vectors = angle(0, 10, 20, 30)
    result = pseudo_label(vectors, np.zeros(4, int), ["dog", "cat", "cat", "dog"], centers=angle(18), k=4)
    assert result.names.decode(result.cluster_label) == ["cat"]
    assert result.cluster_confidence[0] == 0.5
    turned = pseudo_label(vectors, np.zeros(4, int), ["dog", "cat", "cat", "dog"], centers=angle(-60), k=4)
    assert turned.voters[0].tolist() == [0, 1, 2, 3]
    assert turned.names.decode(turned.cluster_label) == ["dog"], "the chords of 60 and 90 sum to less than of 70 and 80"


def test_only_the_k_nearest_vote():
    vectors = angle(0, 1, 40, 41, 42)
    known = ["a", "a", "b", "b", "b"]
    assert pseudo_label(vectors, np.zeros(5, int), known, centers=angle(0), k=2).cluster_confidence[0] == 1
    wide = pseudo_label(vectors, np.zeros(5, int), known, centers=angle(0), k=50)
    assert wide.names.decode(wide.cluster_label) == ["b"]
    assert wide.cluster_confidence[0] == pytest.approx(0.6)
    assert wide.voters[0].tolist() == [0, 1, 2, 3, 4] + [-1] * 45


def test_confidence_is_full_among_the_voters_and_falls_outside():
    vectors = angle(0, 5, 30, 60)
    result = pseudo_label(vectors, np.zeros(4, int), ["a"] * 4, centers=angle(0), k=2)
    _, confidence = result.label(np.zeros(4, int), result.distance)
    assert confidence[:2].tolist() == [1, 1]
    assert 1 > confidence[2] > confidence[3] > 0


def test_a_cluster_whose_voters_are_not_known_stays_unlabelled():
    vectors = angle(0, 1, 2, 90, 91)
    result = pseudo_label(vectors, np.array([0, 0, 0, 1, 1]), [None, None, "far", "x", None], centers=angle(0, 90), k=2)
    assert result.names.decode(result.cluster_label) == [None, "x"]
    assert result.unlabelled_clusters == [0]
    assert result.known_voters.tolist() == [0, 1]


def test_without_centres_the_means_are_taken(rng):
    vectors = rng.normal(size=(40_000, 5)).astype(np.float32)
    assignments = rng.integers(-1, 4, 40_000)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for cluster, center in enumerate(cluster_centers(vectors, assignments)):
        mean = unit[assignments == cluster].mean(axis=0)
        np.testing.assert_allclose(center, mean / np.linalg.norm(mean), atol=1e-4)


def test_distances_in_chunks(rng):
    vectors = rng.normal(size=(40_000, 5)).astype(np.float32)
    assignments = rng.integers(-1, 3, 40_000)
    centers = cluster_centers(vectors, assignments)
    distance = distances_to_centers(vectors, assignments, centers)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.linalg.norm(unit - centers[assignments], axis=1)
    np.testing.assert_allclose(distance[assignments >= 0], expected[assignments >= 0], atol=2e-3)
    assert np.isnan(distance[assignments < 0]).all()


def test_names_are_numbered_naturally():
    assert LabelNames.of(["10", "2", None, "0"]).names == ("0", "2", "10")
    assert LabelNames.of(["b", "a"], ["", "C"]).names == ("C", "a", "b")
    names = LabelNames.of(["b", "a"])
    assert names.decode(names.encode(["a", None, "", "b"])) == ["a", None, None, "b"]


def test_permuting_the_samples_changes_nothing(rng):
    vectors = rng.normal(size=(200, 4)).astype(np.float32)
    assignments, known = rng.integers(0, 5, 200), [str(label) for label in rng.integers(0, 3, 200)]
    order = rng.permutation(200)
    one = pseudo_label(vectors, assignments, known)
    two = pseudo_label(vectors[order], assignments[order], [known[row] for row in order], centers=one.centers)
    np.testing.assert_array_equal(one.cluster_label, two.cluster_label)
    np.testing.assert_array_equal(one.voters, order[two.voters])


@pytest.mark.parametrize(
    "wrong",
    [
        {"known": ["a"]},
        {"assignments": np.zeros(3, int)},
        {"centers": np.ones((1, 2))},
        {"k": 0},
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    given = {"embeddings": angle(0, 1), "assignments": np.array([0, 1]), "known": ["a", "b"]} | wrong
    with pytest.raises(InputError):
        pseudo_label(**given)


def test_all_noise_and_no_rows():
    result = pseudo_label(angle(0, 1), np.array([-1, -1]), ["a", "b"])
    assert len(result.cluster_label) == 0
    empty = pseudo_label(np.empty((0, 2), np.float32), np.empty(0, int), [])
    assert len(empty.distance) == 0
