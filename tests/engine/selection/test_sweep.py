"""The sweep as a whole: ranks, gate, ties, resume, limits, halving, files, and bad input."""

import csv
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from engine.clustering.registry import find_method
from engine.core.errors import InputError
from engine.core.files import read_json, save_array
from engine.core.progress import Silent
from engine.core.vectors import unit
from engine.evaluation.agreement import ari, match
from engine.geometry.neighbors import build_graph
from engine.selection.sweep import runner
from engine.selection.sweep.data import SweepData
from engine.selection.sweep.grid import ALGORITHMS
from engine.selection.sweep.places import worker_count
from engine.selection.sweep.ranking import (
    LeaderboardRow,
    agreement_of,
    around_target,
    final_order,
    first_order,
    is_overlarge,
    leaderboard_row,
    rival_number,
    without_repeats,
)
from engine.selection.sweep.report import load_sweep
from engine.selection.sweep.runner import Sweep
from engine.selection.sweep.settings import SweepSettings
from engine.selection.sweep.together import all_together, concord, reasons
from engine.selection.sweep.worker import NoTimeLeft, TimeCheck, score


def settings(**values):
    """k-means alone: with `no_umap` and 600 images these are three candidates."""
    few = {"min_clusters": 10, "max_clusters": 12}
    return SweepSettings.parse({"algorithms": ("kmeans",), "n_jobs": 2, **few, **values})


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data.astype(np.float32)[:600], data.target[:600]


@pytest.fixture
def no_umap(monkeypatch):
    """Leave out the candidates on UMAP."""
    original = runner.candidates

    def without(*args, **options):
        return [candidate for candidate in original(*args, **options) if candidate.reduce == "none"]

    monkeypatch.setattr(runner, "candidates", without)


class Listener(Silent):
    def __init__(self, stop_after=None):
        self.said, self.calls, self.stop_after = [], 0, stop_after

    def say(self, sentence):
        self.said.append(sentence)

    def update(self, done, total, *, phase="", unit="", **metrics):
        self.calls += phase == "candidates"

    def stop_requested(self):
        return self.stop_after is not None and self.calls >= self.stop_after


def test_the_whole_sweep_ranks_writes_and_opens_again(digits, tmp_path, no_umap):
    x, truth = digits
    paths = [f"folder/{i}.png".encode() for i in range(len(x))]
    paths[0] = b"=1+1.png"
    wanted = settings(algorithms=("kmeans", "hdbscan"), target_cluster_size=40, min_clusters=5)
    pairs = [(i, j) for i in range(20) for j in range(i) if truth[i] == truth[j]]
    result = Sweep(wanted).run(x, output_dir=tmp_path, paths=paths, validation_pairs=pairs, target=[3, 4])
    assert result.best.rank == 1 and result.best.state == "ranked" and ari(truth, result.labels(result.best)) > 0.4
    assert {row.algorithm for row in result.ranked} | {row.algorithm for row in result.unstructured} == {
        "kmeans",
        "hdbscan",
        "consensus",
    }
    assert all(row.silhouette > row.floor for row in result.ranked)
    assert result.best.largest_share <= 0.3 and 0 < result.best.pairs_together <= 1
    assert all(0 <= row.stability <= 1 for row in result.ranked[:10])

    folder = tmp_path / f"rank_01_{result.best.algorithm}"
    labels = np.load(folder / "cluster_labels.npy", allow_pickle=False)
    assert np.array_equal(labels, result.labels(result.best))
    with (folder / "assignments.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["image"] == "'=1+1.png" and [int(row["cluster"]) for row in rows] == labels.tolist()
    info = read_json(folder / "clustering_info.json")
    assert info["algorithm"] == result.best.algorithm and info["composite"] == pytest.approx(result.best.composite)
    target = info["target"][0]
    assert target["row"] == 3 and target["cluster"] == labels[3] and target["size"] == int((labels == labels[3]).sum())
    assert all(labels[row] == labels[3] for row in target["nearest"])
    assert target["image"] == "folder/3.png"
    assert target["nearest_images"] == [f"folder/{row}.png" if row else "=1+1.png" for row in target["nearest"]]

    summary = read_json(tmp_path / "clustering_summary.json")
    assert {
        "algorithm",
        "parameters",
        "composite",
        "silhouette",
        "balance",
        "noise_share",
        "n_clusters",
        "largest_share",
        "seconds",
    } <= set(summary["ranked"][0])
    table = pq.read_table(tmp_path / "all_results.parquet").to_pylist()
    assert len(table) == summary["candidates"]
    assert json.loads(table[0]["parameters"]) == result.best.parameters
    opened = load_sweep(tmp_path)
    assert [row.title for row in opened.ranked] == [row.title for row in result.ranked]
    assert np.array_equal(opened.labels(opened.best), labels)
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"candidates"}


def test_a_sweep_started_again_runs_nothing_twice_and_a_stopped_one_goes_on(digits, tmp_path, no_umap, monkeypatch):
    x, _ = digits
    stopped = Sweep(settings(n_jobs=1)).run(x, output_dir=tmp_path, progress=Listener(stop_after=1))
    assert stopped.summary["stopped"] and len(stopped.ranked) < 3
    finished = (path.with_suffix(".npy") for path in (tmp_path / "work" / "candidates").glob("*.json"))
    kept = {path: path.stat().st_mtime_ns for path in finished if path.exists()}
    assert kept
    listener = Listener()
    whole = Sweep(settings()).run(x, output_dir=tmp_path, progress=listener)
    assert not whole.summary["stopped"] and whole.summary["candidates"] == 3
    assert any("finished earlier" in sentence for sentence in listener.said)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())

    def never(*args, **options):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(runner.CandidateRunner, "_run", never)
    again = Sweep(settings()).run(x, output_dir=tmp_path)
    assert [row.title for row in again.ranked] == [row.title for row in whole.ranked]
    assert [row.stability for row in again.ranked] == [row.stability for row in whole.ranked]


def test_a_candidate_out_of_time_is_listed_with_its_reason_and_never_replaced(digits, tmp_path, no_umap):
    rng = np.random.default_rng(0)
    x = np.tile(digits[0], (15, 1))  # large enough that no mixture is done within the limit
    x = (x + rng.normal(scale=0.01, size=x.shape)).astype(np.float32)
    slow = {"algorithms": ("gaussian_mixture",), "stability": False, "max_combinations": 2}
    result = Sweep(settings(time_limit=0.1, **slow)).run(x, output_dir=tmp_path)
    assert result.ranked == [] and result.best is None
    assert len(result.failed) == 2 and all("time limit of 0.1" in row.reason for row in result.failed)
    assert read_json(tmp_path / "clustering_summary.json")["failed"][0]["reason"].startswith("It took longer")
    with pytest.raises(InputError, match="not kept"):
        result.labels(result.failed[0])
    longer = Sweep(settings(**slow)).run(x, output_dir=tmp_path)
    assert len(longer.ranked) == 2 and longer.failed == []


def test_the_fast_mode_leaves_out_what_trains_a_network_and_says_so(digits, tmp_path, no_umap):
    training = [name for name in ALGORITHMS if find_method(name).kind == "deep"]
    assert training
    wanted = settings(algorithms=("kmeans", *training), stability=False, max_combinations=2)
    result = Sweep(wanted).run(digits[0], output_dir=tmp_path)
    left_out = [row for row in result.set_aside if row.state == "left out"]
    assert [row.algorithm for row in left_out] == training and all("no time to train" in row.reason for row in left_out)
    assert result.best.algorithm == "kmeans"
    opened = load_sweep(tmp_path)
    assert [row.title for row in opened.set_aside] == [row.title for row in result.set_aside]


def test_a_training_that_will_not_end_in_time_is_given_up_early(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("engine.selection.sweep.worker.time.monotonic", lambda: now[0])
    check = TimeCheck(600, trial=10)

    def train(seconds, phase="training"):
        for step in range(101):
            check.update(step, 100, phase=phase)
            now[0] += seconds

    train(1, "start")
    train(4)  # 101 + 404 seconds: in time
    with pytest.raises(NoTimeLeft, match="about 7.. seconds; the time limit is 600"):
        train(2, "end")
    assert now[0] < 525


def test_above_the_limit_candidates_are_halved_on_a_sample(digits, tmp_path, no_umap):
    x, _ = digits
    wanted = settings(halving_above=500, halving_sample=300, min_clusters=4, stability=False, target_cluster_size=30)
    listener = Listener()
    result = Sweep(wanted).run(x, output_dir=tmp_path, progress=listener)
    assert any("sample" in sentence or "run on 300 images" in sentence for sentence in listener.said)
    assert len(result.ranked) == -(-result.summary["candidates"] // 4)
    assert len(result.labels(result.best)) == 600
    assert all("best quarter" in row.reason for row in result.set_aside if row.state == "halved")


def test_planted_random_labels_never_rank_though_their_composite_is_high(digits, tmp_path):
    x, _ = digits
    rows, neighbors = [], build_graph(x, k=10).indices
    for seed in range(30):
        rng = np.random.default_rng(seed)
        k = int(rng.integers(2, 40))
        path = tmp_path / f"{seed}.npy"
        save_array(path, rng.permutation(np.arange(len(x)) % k).astype(np.int32))
        result = score(x, np.load(path), neighbors=neighbors, shuffles=5) | {
            "algorithm": "planted",
            "parameters": {},
            "seconds": 0.0,
        }
        rows.append(leaderboard_row(result, path, SweepSettings()))
    assert min(row.composite for row in rows) > 0.75
    assert all(row.state == "no structure" and "shuffled" in row.reason for row in rows)
    assert first_order(rows, "evidence", 0.3) == [] == first_order(rows, "composite", 0.3)


def row(name, composite, **values):
    return LeaderboardRow(name, {}, state="ranked", composite=composite, **values)


def by_composite(rows, near=0.02):
    return final_order(rows, "composite", near_tie=near, max_largest_share=0.3)


def test_stability_breaks_near_ties_only():
    rows = [row("a", 0.80, stability=0.5), row("b", 0.79, stability=0.9), row("c", 0.77, stability=1.0)]
    ordered = by_composite(rows)
    assert [r.algorithm for r in ordered] == ["b", "a", "c"] and [r.rank for r in ordered] == [1, 2, 3]


def weighed(name, k, stability, generalisation, **values):
    kept = {"neighbors": 0.9, "entropy": np.log(k)} | values
    return row(name, 0.8, n_clusters=k, stability=stability, generalisation=generalisation, **kept)


def evident(rows):
    return final_order(rows, "evidence", near_tie=0.05, max_largest_share=0.3)


def test_evidence_asks_for_groups_that_come_back_can_be_told_apart_and_say_much():
    rows = [
        weighed("two and stable", 2, 1.0, 1.0),
        weighed("ten", 10, 0.95, 0.93),
        weighed("ten, restless", 10, 0.4, 0.93),
        weighed("ten, neighbours apart", 10, 0.95, 0.93, neighbors=0.3),
        weighed("hundred", 100, 0.5, 0.4),
        row("untried", 0.83, n_clusters=10),
    ]
    ordered = evident(rows)
    assert [r.algorithm for r in ordered] == [
        "ten",
        "two and stable",
        "ten, restless",
        "ten, neighbours apart",
        "hundred",
        "untried",
    ]
    assert [r.rank for r in ordered] == [1, 2, 3, 4, 5, 6]
    assert ordered[0].evidence == pytest.approx(0.95 * 0.93 * 0.9 * np.log(10) ** 0.4) and ordered[-1].evidence is None
    assert rival_number(ordered) is None


def test_pairs_that_belong_together_count_in_the_evidence():
    parted = weighed("parts the pairs", 10, 0.95, 0.95, pairs_together=0.2)
    kept = weighed("keeps the pairs", 10, 0.9, 0.9, pairs_together=1.0)
    assert [row.algorithm for row in evident([parted, kept])] == ["keeps the pairs", "parts the pairs"]
    assert evident([parted, kept])[0].evidence == pytest.approx(0.9 * 0.9 * 0.9 * np.log(10) ** 0.4)


def test_the_evidence_takes_the_uneven_truth_before_an_even_mistake():
    """Sizes 1 to 20: the right clusters against k-means-like ones that cut the largest and join the smallest."""
    rng = np.random.default_rng(0)
    sizes = np.maximum(8, np.round(160 * 20.0 ** -np.linspace(0, 1, 6))).astype(int)
    truth = np.repeat(np.arange(6), sizes)
    x = unit(np.eye(16)[truth] + 0.12 * rng.normal(size=(len(truth), 16))).astype(np.float32)
    even = truth.copy()
    even[truth >= 3] = 3
    large = np.flatnonzero(truth == 0)
    even[large[x[large, 7] > np.median(x[large, 7])]] = 4
    neighbors = build_graph(x, k=10).indices
    scored = [score(x, labels.astype(np.int32), neighbors=neighbors, shuffles=5) for labels in (truth, even)]
    promise = [
        row(
            "one",
            0.5,
            **{name: one[name] for name in ("generalisation", "neighbors", "n_clusters")},
            entropy=entropy(y),
        )
        for one, y in zip(scored, (truth, even), strict=True)
    ]
    assert promise[0].promise > promise[1].promise
    assert scored[0]["balance"] < scored[1]["balance"]


def entropy(labels):
    shares = np.bincount(labels) / len(labels)
    return float(-(shares * np.log(shares)).sum())


def test_the_number_of_groups_is_unclear_where_another_has_nearly_as_much_evidence():
    near = [weighed("ten", 10, 0.8, 0.8), weighed("fourteen", 14, 0.75, 0.8), weighed("forty", 40, 0.66, 0.78)]
    ordered = evident(near)
    assert ordered[0].n_clusters in (10, 14) and rival_number(ordered) == 40
    assert rival_number(evident(near[:2])) is None and rival_number([]) is None


def test_two_even_groups_are_not_overlarge_but_a_giant_and_a_crumb_are():
    assert not is_overlarge(row("even", 0.9, n_clusters=2, largest_share=0.55), 0.3)
    assert not is_overlarge(row("three", 0.9, n_clusters=3, largest_share=0.4), 0.3)
    assert is_overlarge(row("giant", 0.9, n_clusters=2, largest_share=0.82), 0.3)
    assert is_overlarge(row("giant of ten", 0.9, n_clusters=10, largest_share=0.4), 0.3)


def test_agreement_is_with_the_nearest_number_of_clusters_of_other_ways(tmp_path):
    truth = np.repeat(np.arange(4), 10).astype(np.int32)

    def kept(name, labels, reduce="none"):
        path = tmp_path / f"{name}.npy"
        save_array(path, np.asarray(labels, np.int32))
        found = row(name.split("-")[0], 0.8, n_clusters=int(max(labels)) + 1, labels=path)
        return replace(found, parameters={"reduce": reduce})

    first = kept("kmeans-a", truth)
    far, same_way = kept("spectral-far", np.arange(40) % 20), kept("kmeans-b", np.arange(40) % 4)
    assert agreement_of(first, [first, far, same_way]) is None
    twin, drawn = kept("spectral-twin", truth), kept("kmeans-umap", np.arange(40) % 4, "umap-10")
    expected = (1.0 + ari(truth, np.arange(40) % 4)) / 2
    assert agreement_of(first, [first, far, same_way, twin, drawn]) == pytest.approx(expected)


def test_one_overlarge_cluster_ranks_below_all_without():
    rows = [
        row("big", 0.9, largest_share=0.82, stability=1.0),
        row("even", 0.89, largest_share=0.1, stability=0.1),
        row("low", 0.2, largest_share=0.2),
    ]
    ordered = by_composite(rows)
    assert [r.algorithm for r in ordered] == ["even", "low", "big"]


def test_repeats_are_set_aside_and_name_the_first(tmp_path):
    save_array(tmp_path / "a.npy", np.arange(5, dtype=np.int32))
    rows = [row("a", 0.5, labels=tmp_path / "a.npy"), row("b", 0.5, labels=tmp_path / "a.npy")]
    found = without_repeats(rows)
    assert [r.state for r in found] == ["ranked", "repeated"] and "a ()" in found[1].reason


def test_a_target_in_the_noise_has_no_cluster(rng):
    x = rng.standard_normal((6, 3)).astype(np.float32)
    labels = np.array([0, 0, -1, 1, 1, 0], dtype=np.int32)
    noise, inside = around_target(x, labels, [2, 0])
    assert noise == {"row": 2, "cluster": -1, "size": 0, "nearest": []}
    assert inside["size"] == 3 and sorted(inside["nearest"]) == [1, 5]


@pytest.mark.parametrize(
    ("x", "options", "values", "sentence"),
    [
        (np.eye(9, dtype=np.float32), {}, {}, "at least 10 images"),
        (np.ones((40, 4), np.float32), {}, {}, "identical"),
        (np.full((40, 4), np.nan, np.float32), {}, {}, "NaN"),
        (np.eye(40, dtype=np.float32), {"paths": ["a"]}, {}, "1 paths or ids"),
        (np.eye(40, dtype=np.float32), {"target": 40}, {}, "row 40"),
        (np.eye(40, dtype=np.float32), {"validation_pairs": [(0, 99)]}, {}, "row 99"),
        (np.eye(40, dtype=np.float32), {}, {"mode": "gpu", "no_gpu": True}, "no GPU"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_a_sentence(x, options, values, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        Sweep(settings(**values)).run(x, output_dir=tmp_path, **options)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"algorithms": ("kmeans", "magic")}, "some of kmeans"),
        ({"algorithms": ()}, "some of"),
        ({"min_clusters": 20, "max_clusters": 5}, "must not be above"),
        ({"target_cluster_size": 1}, "target_cluster_size"),
    ],
)
def test_bad_settings_are_told_in_a_sentence(values, sentence):
    with pytest.raises(InputError, match=sentence):
        settings(**values)


def test_with_a_gpu_one_process_fits_others_score_and_the_ranks_are_the_same(digits, tmp_path, no_umap, monkeypatch):
    x, _ = digits
    several = {"algorithms": ("kmeans", "agglomerative"), "mode": "gpu", "shuffles": 2}
    plain = Sweep(settings(**several | {"mode": "balanced"})).run(x, output_dir=tmp_path / "plain")
    monkeypatch.setattr(runner, "accelerator", lambda: "cuda")  # a stand-in: the owner finds no GPU and uses the CPU
    handed = []
    original = runner.Pool.run

    def noted(pool, tasks, **options):
        handed.extend((task.content["algorithm"], task.content["kind"], task.gpu) for task in tasks)
        return original(pool, tasks, **options)

    monkeypatch.setattr(runner.Pool, "run", noted)
    listener = Listener()
    result = Sweep(settings(**several)).run(x, output_dir=tmp_path / "gpu", progress=listener)
    assert {("kmeans", "fit", True), ("kmeans", "score", False), ("agglomerative", "candidate", False)} <= set(handed)
    assert ("kmeans", "stability", True) in handed and ("kmeans", "candidate", False) not in handed
    assert any("One process fits k-means on cuda. 2 other processes" in sentence for sentence in listener.said)
    assert [row.title for row in result.ranked] == [row.title for row in plain.ranked]
    for one, two in zip(result.ranked, plain.ranked, strict=True):
        np.testing.assert_array_equal(np.load(one.labels), np.load(two.labels))


@pytest.mark.parametrize(
    ("values", "gpu", "workers"),
    [
        ({"n_jobs": 3}, "cuda", 3),
        ({"n_jobs": 3}, None, 3),
        ({"no_parallel": True}, "cuda", 0),
        ({"no_parallel": True}, None, 1),
    ],
)
def test_the_owner_of_the_gpu_comes_beside_the_workers_or_does_everything(values, gpu, workers):
    assert worker_count(settings(**values), gpu) == workers


def test_without_a_gpu_the_mode_gpu_is_refused_and_nothing_is_said_of_one(digits, tmp_path, no_umap, monkeypatch):
    monkeypatch.setattr(runner, "accelerator", lambda: None)
    with pytest.raises(InputError, match="no GPU here"):
        Sweep(settings(mode="gpu")).run(digits[0], output_dir=tmp_path)
    listener = Listener()
    Sweep(settings(stability=False)).run(digits[0], output_dir=tmp_path, progress=listener)
    assert not any("GPU" in sentence or "One process" in sentence for sentence in listener.said)


def test_structureless_images_rank_nothing_or_only_what_stands_above_its_floor(rng, tmp_path, no_umap):
    x = rng.standard_normal((120, 64)).astype(np.float32)
    result = Sweep(settings(stability=False)).run(x, output_dir=tmp_path)
    assert all(r.silhouette > r.floor for r in result.ranked)
    assert len(result.ranked) + len(result.unstructured) + len(result.set_aside) == result.summary["candidates"]


# ------------------------------------------------------------------------------ time, and all of them together


def test_what_there_was_no_time_for_is_listed_and_one_candidate_is_waited_for(digits, tmp_path, no_umap, monkeypatch):
    monkeypatch.setattr(SweepSettings, "seconds", 0.001)
    listener = Listener()
    result = Sweep(settings(budget="1m", n_jobs=1)).run(digits[0], output_dir=tmp_path, progress=listener)
    tried = len(result.ranked)  # the next may have written its scores before it is ended
    assert tried in (1, 2) and not result.summary["stopped"]
    assert result.left_out == 3 - tried == sum("over before" in row.reason for row in result.set_aside)
    assert any(sentence.startswith("Best so far, after") and "kmeans" in sentence for sentence in listener.said)
    assert result.best.stability is None and "was not tried" in result.why[0]
    monkeypatch.setattr(SweepSettings, "seconds", None)
    whole = Sweep(settings()).run(digits[0], output_dir=tmp_path)
    assert whole.left_out == 0 and len(whole.ranked) == 3


def test_a_training_that_the_budget_has_no_time_for_is_tried_again_with_more(monkeypatch):
    check = TimeCheck(0.4, trial=0.0)
    check.update(0, 1000, phase="training")
    with pytest.raises(NoTimeLeft) as found:
        for step in range(1, 10):
            check.phase_began -= 1
            check.update(step, 1000, phase="training")
    assert found.value.seconds == 0.4


def voters(truth, tmp_path):
    """Rows of three methods that each err on other images, all of four clusters."""
    rows = []
    for number, name in enumerate(("kmeans", "spectral", "gaussian_mixture")):
        rng = np.random.default_rng(number)
        labels = np.where(rng.random(len(truth)) < 0.2, rng.integers(0, 4, len(truth)), truth).astype(np.int32)
        path = tmp_path / f"{name}.npy"
        save_array(path, rng.permutation(4).astype(np.int32)[labels])
        rows.append(row(name, 0.8, n_clusters=4, labels=path, generalisation=0.7, rank=number + 1, agreement=0.6))
    return rows


def test_all_together_is_a_candidate_better_than_its_members(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 50)
    x = (np.eye(8, dtype=np.float32)[truth] + 0.1 * rng.standard_normal((200, 8))).astype(np.float32)
    options = {"sample": 200, "random_state": 0, "device": "cpu", "progress": Silent()}
    data = SweepData(tmp_path / "work", x, None, **options)
    members = voters(truth, tmp_path)
    found = all_together(data, members, SweepSettings(), np.zeros((0, 2), np.int64))
    assert (found.algorithm, found.state, found.n_clusters, found.agreement) == ("consensus", "ranked", 4, 0.6)
    assert ari(truth, np.load(found.labels)) > max(ari(truth, np.load(one.labels)) for one in members) + 0.1
    assert "3 ranked candidates" in found.notes[0] and found.parameters["members"] == 3
    again = all_together(data, members, SweepSettings(), np.zeros((0, 2), np.int64))
    assert again.seconds == found.seconds  # read, not made again
    assert all_together(data, members[:2], SweepSettings(), np.zeros((0, 2), np.int64)) is None
    same_way = [replace(one, algorithm="kmeans") for one in members]
    assert all_together(data, same_way, SweepSettings(), np.zeros((0, 2), np.int64)) is None


def test_how_far_methods_agree_is_counted_image_by_image(tmp_path):
    truth = np.repeat(np.arange(4), 50)
    rows = voters(truth, tmp_path)
    found = concord(rows)
    own = np.load(rows[0].labels)
    voices = [own] + [np.load(one.labels) for one in rows[1:]]
    renamed = [np.array([match(own, voice)[label] for label in voice]) for voice in voices]
    assert (found.methods, found.of) == (3, 3)
    assert found.share == pytest.approx(np.all([voice == own for voice in renamed], axis=0).mean())
    assert found.sentence.startswith("Three methods agree on")
    assert concord(rows[:1]) is None and "none confirms" in reasons(rows[0], None)[1]
    two = concord(rows[:2])
    assert (two.methods, two.of) == (2, 2) and two.sentence.startswith("Two methods agree")
    vote = replace(rows[0], algorithm="consensus")
    assert concord([vote, *rows]).of == 3
