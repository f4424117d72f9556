"""The grids of each mode: counts and bounds of the specification, no repeats, a fair cut."""

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.selection.sweep.grid import ALGORITHMS, Candidate, candidates, cluster_range, in_turn
from engine.selection.sweep.settings import SweepSettings


@pytest.mark.parametrize(("mode", "low", "high"), [("fast", 30, 50), ("balanced", 50, 80), ("comprehensive", 200, 240)])
@pytest.mark.parametrize("count", [1797, 48_642])
def test_each_mode_tries_as_many_as_it_says(mode, low, high, count):
    found = candidates(count, mode)
    fast = [candidate for candidate in found if find_method(candidate.algorithm).kind == "fast"]
    assert low <= len(fast) <= high
    deep = [candidate.algorithm for candidate in found if candidate not in fast]
    assert deep == [name for name in ALGORITHMS if find_method(name).kind == "deep"]


def test_the_range_of_clusters_is_2_to_300_whatever_the_number_of_images():
    assert cluster_range(100_000) == cluster_range(10_000) == cluster_range(1_797) == (2, 300)
    assert cluster_range(100) == (2, 20)
    assert cluster_range(5000, lowest=3, highest=40) == (3, 40)
    assert cluster_range(5000, wanted=20) == (10, 40)
    assert cluster_range(5000, wanted=20, lowest=15) == (15, 40)
    assert cluster_range(60, wanted=100) == (12, 12)


@pytest.mark.parametrize("count", [1_000, 10_000, 100_000])
@pytest.mark.parametrize("mode", ["fast", "balanced"])
def test_some_candidate_is_near_any_number_of_clusters(mode, count):
    found = candidates(count, mode, algorithms=("kmeans",))
    for space in ("none", "umap-10"):
        ks = np.array([dict(c.parameters)["n_clusters"] for c in found if c.reduce == space])
        for truth in (2, 6, 10, 50, 150, 200):
            assert max(ks / truth).round(2) >= 1 and np.abs(np.log(ks / truth)).min() < np.log(1.3), (space, truth)


def test_what_the_person_expects_narrows_the_search():
    ks = {dict(c.parameters)["n_clusters"] for c in candidates(10_000, "fast", wanted=24, algorithms=("kmeans",))}
    assert min(ks) == 12 and max(ks) == 48 and len(ks) == 12
    sizes = {
        dict(c.parameters)["min_cluster_size"] for c in candidates(9_600, "fast", wanted=24, algorithms=("hdbscan",))
    }
    assert min(sizes) == 50 and max(sizes) == 400
    settings = SweepSettings(target_cluster_size=200)
    assert (settings.wanted_clusters(10_000), SweepSettings(n_clusters=7).wanted_clusters(10_000)) == (50, 7)
    assert SweepSettings().wanted_clusters(10_000) is None


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
    assert ks[0] == 2 and ks[-1] == 300
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


def test_good_cheap_candidates_run_first_and_cover_the_range():
    grid = candidates(2000, "balanced")
    turns = in_turn(grid)
    assert sorted(turns, key=str) == sorted(grid, key=str)
    deep = [find_method(one.algorithm).kind == "deep" for one in turns]
    assert deep == sorted(deep)
    ways = [(one.algorithm, one.reduce) for one in turns if find_method(one.algorithm).kind == "fast"]
    assert len(set(ways[: len(set(ways))])) == len(set(ways))
    ks = [dict(one.parameters)["n_clusters"] for one in turns if one.algorithm == "kmeans" and one.reduce == "none"]
    assert 10 < ks[0] < 60 and min(ks[1:3]) < ks[0] < max(ks[1:3])


def test_the_time_decides_what_is_tried_unless_it_is_said():
    found = {time: SweepSettings(budget=time).tried for time in ("1m", "5m", "30m", "none")}
    assert found == {"1m": "fast", "5m": "balanced", "30m": "comprehensive", "none": "comprehensive"}
    assert (SweepSettings().tried, SweepSettings().seconds) == ("fast", None)
    assert (SweepSettings(mode="balanced", budget="1m").tried, SweepSettings(budget="1m").seconds) == ("balanced", 60)
