"""Prototypes against a slow reference: the nearest to the centre, the farthest from each other, typicality."""

import numpy as np
import pytest

from engine.geometry.prototypes import prototypes


def case(seed=0, n=60, clusters=4, dimension=6):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, clusters, n).astype(np.int32) * 2  # gaps: 0, 2, 4, 6
    labels[labels < 0] = -1
    return rng.normal(size=(n, dimension)).astype(np.float32), labels


def slow(vectors, labels, count):
    """Return {cluster: (centre, nearest, diverse)} row by row in float64."""
    units = vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    found = {}
    for cluster in sorted(set(labels[labels >= 0].tolist())):
        members = [row for row in range(len(labels)) if labels[row] == cluster]
        centre = sum(units[row] for row in members)
        centre = centre / np.linalg.norm(centre)
        nearest = sorted(members, key=lambda row, centre=centre: (-(units[row] @ centre), row))[:count]
        chosen = [nearest[0]]
        diverse = []
        while len(diverse) < min(count, len(members)):
            left = [row for row in members if row not in diverse]
            far = min(left, key=lambda row: max(units[row] @ units[one] for one in chosen))
            diverse.append(far)
            chosen.append(far)
        found[cluster] = centre, nearest, diverse
    return units, found


@pytest.mark.parametrize("seed", range(4))
def test_every_part_equals_the_slow_reference(seed):
    vectors, labels = case(seed)
    found = prototypes(vectors, labels, count=3)
    units, expected = slow(vectors, labels, 3)
    assert found.clusters.tolist() == list(expected)
    for at, (cluster, (centre, nearest, diverse)) in enumerate(expected.items()):
        assert found.centers[at] == pytest.approx(centre, abs=1e-6)
        assert found.nearest[at].tolist() == nearest
        assert found.diverse[at].tolist() == diverse
        inside = labels == cluster
        assert found.typicality[inside] == pytest.approx(units[inside] @ centre, abs=1e-6)
    assert np.isnan(found.typicality[labels < 0]).all()


def test_lengths_of_vectors_do_not_matter():
    vectors, labels = case()
    scaled = vectors * np.linspace(0.1, 9, len(vectors), dtype=np.float32)[:, None]
    one, two = prototypes(vectors, labels), prototypes(scaled, labels)
    assert one.centers == pytest.approx(two.centers, abs=1e-6)
    assert [rows.tolist() for rows in one.nearest] == [rows.tolist() for rows in two.nearest]


def test_rows_of_a_cluster_are_near_ones_then_diverse_ones_each_once():
    vectors, labels = case()
    found = prototypes(vectors, labels, count=4)
    chosen = found.rows_of(2, 4).tolist()
    assert chosen[:2] == found.nearest[1][:2].tolist()
    assert len(set(chosen)) == len(chosen) == 4
    assert (labels[chosen] == 2).all()
    assert len(found.rows_of(2, 1)) == 1
    assert found.rows_of(1).tolist() == []  # no such cluster
    assert found.rows_of(99).tolist() == []


def test_small_clusters_give_all_they_have():
    vectors, _ = case(n=3)
    found = prototypes(vectors, np.array([0, 1, 1], np.int32), count=4)
    assert [rows.tolist() for rows in found.nearest][0] == [0]
    assert found.typicality[0] == pytest.approx(1)
    assert sorted(found.rows_of(1, 4).tolist()) == [1, 2]


def test_all_noise_has_no_prototypes():
    vectors, _ = case(n=5)
    found = prototypes(vectors, np.full(5, -1, np.int32))
    assert (len(found.clusters), found.centers.shape, found.nearest, found.diverse) == (0, (0, 6), [], [])
    assert np.isnan(found.typicality).all()


def test_a_large_cluster_is_looked_at_by_a_seeded_sample():
    vectors, _ = case(n=2000)
    labels = np.zeros(2000, np.int32)
    first, again = prototypes(vectors, labels), prototypes(vectors, labels)
    assert first.diverse[0].tolist() == again.diverse[0].tolist()
    assert len(set(first.diverse[0].tolist())) == 4
