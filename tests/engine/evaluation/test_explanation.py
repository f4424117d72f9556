"""What explains a clustering: a planted nuisance is named first, chance is not taken for a reason."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from engine.core.errors import InputError
from engine.evaluation.explanation import BINS, binned, explain, grouped


def measures(rng, n):
    """Ten measures of all kinds that have nothing to do with anything."""
    numbers = {f"number {at}": rng.normal(size=n) for at in range(6)}
    numbers["rare"] = np.where(rng.random(n) < 0.02, rng.random(n), np.nan)
    numbers["coarse"] = rng.integers(0, 3, n).astype(float)
    words = {"folder": rng.integers(0, 60, n).astype(str).astype(object)}
    words["camera"] = rng.choice(["", "one", "two"], n, p=[0.6, 0.3, 0.1]).astype(object)
    return numbers, words


def test_a_planted_nuisance_is_first_for_the_clustering_and_for_its_cluster(rng):
    numbers, words = measures(rng, 1200)
    clusters = rng.integers(0, 6, 1200)
    numbers["aspect ratio"] = np.where(clusters == 2, 1.78, 0.75) + rng.normal(0, 0.01, 1200)
    numbers["brightness"] = clusters + rng.normal(0, 0.3, 1200)
    words["camera"] = np.where((clusters == 4) & (rng.random(1200) < 0.9), "box", words["camera"])
    found = explain(clusters, numbers, words)
    assert found.run[0].measure == "brightness" and found.run[0].notable
    assert found.clusters[2][0].measure == "aspect ratio" and found.clusters[2][0].value > 0.8
    assert found.badge(2) == f"explained by aspect ratio ({found.clusters[2][0].value:.2f})".replace("(0.", "(.")
    assert found.clusters[4][0].measure == "camera"
    assert "brightness" in found.sentence and "follows" in found.sentence


def test_folders_are_followed_and_may_be_what_is_looked_for(rng):
    numbers, words = measures(rng, 400)
    clusters = rng.integers(0, 4, 400)
    words["folder"] = clusters.astype(str).astype(object)
    found = explain(clusters, numbers, words)
    assert found.badge(1) == "follows folder (1.00)"
    assert found.sentence.endswith("Where the folders are your classes, that is right: say so on Images.")


def test_on_shuffled_clusters_nothing_is_an_alarm_in_95_of_100(rng):
    alarms = 0
    for seed in range(100):
        numbers, words = measures(rng, 400)
        clusters = rng.choice(8, 400, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.03, 0.02])
        found = explain(clusters, numbers, words, random_state=seed)
        each = [one for reasons in found.clusters.values() for one in reasons]
        alarms += any(one.above_chance for one in (*found.run, *each))
    assert alarms <= 5


def test_values_are_those_of_the_definition(rng):
    clusters = rng.integers(-1, 4, 300)
    number = np.where(rng.random(300) < 0.1, np.nan, clusters + rng.normal(0, 1, 300))
    found = explain(clusters, {"a": number}, {})
    groups = binned(number)
    assert found.run[0].value == pytest.approx(adjusted_mutual_info_score(clusters, groups), abs=0.005)
    assert sorted(found.clusters) == [0, 1, 2, 3], "noise is no cluster"
    for cluster, (reason,) in found.clusters.items():
        inside, information = clusters == cluster, 0.0
        for side in (True, False):
            for group in range(groups.max() + 1):
                both = np.mean((inside == side) & (groups == group))
                if both:
                    information += both * math.log(both / (np.mean(inside == side) * np.mean(groups == group)))
        entropy = -sum(share * math.log(share) for share in (inside.mean(), 1 - inside.mean()))
        shuffled = []
        for _ in range(400):
            mixed, value = rng.permutation(inside), 0.0
            for side in (True, False):
                joint = np.bincount(groups[mixed == side], minlength=groups.max() + 1) / 300
                chance = np.mean(mixed == side) * np.bincount(groups) / 300
                value += sum(p * math.log(p / q) for p, q in zip(joint, chance, strict=True) if p)
            shuffled.append(value)
        expected = (information - np.mean(shuffled)) / (entropy - np.mean(shuffled))
        assert reason.value == pytest.approx(expected, abs=0.005)


def test_numbers_are_cut_at_their_deciles_and_unknown_ones_are_a_group(rng):
    values = rng.normal(size=1000)
    groups = binned(values)
    assert np.bincount(groups).tolist() == [100] * BINS
    assert (np.diff(groups[np.argsort(values)]) >= 0).all(), "the order is kept"
    assert np.array_equal(binned(np.exp(values)), groups), "a monotone change of the scale changes nothing"
    some = np.where(np.arange(1000) % 4 == 0, np.nan, values)
    assert set(binned(some)[::4].tolist()) == {BINS} and binned(some).max() == BINS
    assert binned(np.full(7, 3.0)).tolist() == [0] * 7
    assert binned(np.array([1.0] * 95 + [2.0] * 5)).tolist() == [0] * 95 + [1] * 5, "equal numbers stay together"
    bars = np.array([0.0] * 900 + [0.2] * 20 + [0.3] * 80)
    assert len(set(binned(bars).tolist())) == 2 and len(set(binned(bars)[:900].tolist())) == 1, "most have none"
    assert binned(-bars)[0] == 1, "nor is what lies below them lost"


def test_rare_words_are_one_group():
    words = np.array([f"w{at}" for at in range(50) for _ in range(50 - at)], dtype=object)
    groups = grouped(words, 8)
    assert groups.max() == 7 and len(set(groups[words == "w0"])) == 1
    assert set(groups[words == "w7"]) == set(groups[words == "w49"]) == {7}


def test_one_cluster_or_no_measure_has_no_reason():
    assert explain(np.zeros(5, int), {"a": np.arange(5.0)}, {}).run == ()
    assert explain(np.arange(5), {"a": np.ones(5)}, {}).clusters == {at: () for at in range(5)}
    assert (
        explain(np.empty(0, int), {}, {}).sentence
        == "No measure of the files explains the clustering or one of its clusters."
    )
    with pytest.raises(InputError, match="'a' is known of 4 images"):
        explain(np.zeros(5, int), {"a": np.ones(4)}, {})
