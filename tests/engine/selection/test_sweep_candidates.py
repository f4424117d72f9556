"""The grids of each mode: counts and bounds of the specification, no repeats, a fair cut."""

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.selection.sweep.grid import ALGORITHMS, Candidate, candidates, cluster_range


@pytest.mark.parametrize(("mode", "low", "high"), [("fast", 15, 30), ("balanced", 50, 80), ("comprehensive", 200, 240)])
@pytest.mark.parametrize("count", [1797, 48_642])
def test_each_mode_tries_as_many_as_it_says(mode, low, high, count):
    found = candidates(count, mode)
    fast = [candidate for candidate in found if find_method(candidate.algorithm).kind == "fast"]
    assert low <= len(fast) <= high
    deep = [candidate.algorithm for candidate in found if candidate not in fast]
    assert deep == [name for name in ALGORITHMS if find_method(name).kind == "deep"]


def test_the_range_of_clusters_follows_the_formula():
    assert cluster_range(48_642) == (10, 300)
    assert cluster_range(100) == (5, 20)
    assert cluster_range(30) == (2, 6)
    assert cluster_range(5000, lowest=3, highest=40) == (3, 40)


def test_the_fast_grid_is_the_specifications():
    found = candidates(48_642, "fast")
    ks = [dict(c.parameters)["n_clusters"] for c in found if c.algorithm == "kmeans" and c.reduce == "none"]
    assert ks == [122, 182, 243, 300]
    sizes = {
        dict(c.parameters)["min_cluster_size"] for c in found if c.algorithm == "hdbscan" and c.reduce == "umap-10"
    }
    assert sizes == {25, 50, 100, 200}
    raw = [dict(c.parameters) for c in found if c.algorithm == "hdbscan" and c.reduce == "none"]
    assert [(c["min_cluster_size"], c["min_samples"]) for c in raw] == [(50, 5)]
    assert {dict(c.parameters)["eps_quantile"] for c in found if c.algorithm == "dbscan"} == {0.05, 0.15, 0.3}


@pytest.mark.parametrize("mode", ["fast", "balanced", "comprehensive"])
@pytest.mark.parametrize("count", [10, 17, 60, 341])
def test_small_sets_get_valid_candidates_without_repeats(mode, count):
    found = candidates(count, mode)
    assert found == candidates(count, mode) and len(set(found)) == len(found) > 5
    for candidate in found:
        values = candidate.settings.model_dump()
        assert 2 <= values.get("n_clusters", 2) <= count // 5 or count < 15
        assert values.get("min_cluster_size", 2) <= max(3, count // 4)


def test_a_cut_keeps_every_method_and_spreads():
    for limit in (13, 24, 40):
        found = candidates(48_642, "balanced", limit=limit)
        assert len(found) == limit
        assert {candidate.algorithm for candidate in found} == set(ALGORITHMS)
    ks = [
        dict(c.parameters)["n_clusters"]
        for c in candidates(48_642, "balanced", limit=40)
        if c.algorithm == "gaussian_mixture"
    ]
    assert ks[0] == 10 and ks[-1] == 300
    assert len(candidates(48_642, "fast", algorithms=("dbscan",))) == 6


def test_keys_name_candidate_and_data():
    a, b = Candidate.of("kmeans", n_clusters=5), Candidate.of("kmeans", n_clusters=6)
    assert a.key("data") != b.key("data") and a.key("data") != a.key("other")
    assert a.key("data") == Candidate.of("kmeans", n_clusters=5, n_init=5).key("data")


def test_a_sample_scales_minimum_sizes_only():
    assert dict(Candidate.of("hdbscan", min_cluster_size=100).scaled(0.25).parameters)["min_cluster_size"] == 25
    same = Candidate.of("kmeans", n_clusters=50)
    assert same.scaled(0.1) is same
    assert dict(Candidate.of("hdbscan", min_cluster_size=8).scaled(0.01).parameters)["min_cluster_size"] == 3


def test_the_seed_reaches_every_candidate():
    assert all(np.isclose(dict(c.parameters)["random_state"], 7) for c in candidates(2000, "fast", random_state=7))
