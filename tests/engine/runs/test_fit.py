"""A method is fitted on the training rows alone; the results are those of the files, and say what was done."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine.clustering.kmeans import KMeans
from engine.clustering.registry import find_method
from engine.core.errors import InputError
from engine.evaluation.scores import scores
from engine.jobs.tasks.clustering import listen_with_scores
from engine.runs import fit as pipeline
from engine.runs.fit import cluster, fit, measure
from engine.runs.rows import align, rows_of_run, truth_codes, with_test_fraction
from engine.runs.run import open_run
from tests.engine.planted import planted, rows_in

METRICS = [
    "accuracy",
    "nmi",
    "ari",
    "random_accuracy",
    "silhouette",
    "balance",
    "composite",
    "n_clusters",
    "largest_share",
    "noise_share",
]


@pytest.fixture
def rows(workspace, tmp_path):
    return rows_in(workspace, tmp_path)


def kmeans(**values):
    return find_method("kmeans").settings_class.parse({"n_clusters": 3, **values})


def test_only_training_rows_are_seen_in_fit_and_the_rest_is_predicted(rows, workspace, monkeypatch):
    rows = with_test_fraction(rows, 0.2)
    test = np.array(rows.split) == "test"
    seen = []
    real = KMeans.fit
    monkeypatch.setattr(KMeans, "fit", lambda self, data, **options: seen.append(data) or real(self, data, **options))
    estimator, labels, confidence = fit(find_method("kmeans"), kmeans(), rows, workspace)
    (data,) = seen
    assert np.array_equal(data, rows.vectors[~test])
    assert (labels[~test] == estimator.labels_).all()
    assert (labels[test] == estimator.predict(rows.vectors[test])).all()
    assert (confidence[~test] == estimator.confidence_).all()


def test_the_labels_of_training_rows_do_not_depend_on_the_test_rows(rows, workspace):
    rows = with_test_fraction(rows, 0.3)
    test = np.array(rows.split) == "test"
    _, labels, _ = fit(find_method("hdbscan"), find_method("hdbscan").settings_class(reduce="none"), rows, workspace)
    wild = rows.vectors.copy()
    wild[test] = wild[test][::-1] * 7
    changed = replace(rows, embedding=replace(rows.embedding, vectors=wild))
    _, again, _ = fit(find_method("hdbscan"), find_method("hdbscan").settings_class(reduce="none"), changed, workspace)
    assert (labels[~test] == again[~test]).all()


@pytest.mark.parametrize("parts", [[""], ["train"], ["test"]])
def test_data_with_one_part_only_are_fitted_whole(rows, workspace, parts):
    whole = replace(rows, split=parts * len(rows))
    estimator, labels, _ = fit(find_method("kmeans"), kmeans(), whole, workspace)
    assert len(estimator.labels_) == len(labels) == len(rows)
    assert measure(whole, labels)["test"] is None


def test_confidence_of_unseen_rows_follows_its_formula(rows):
    data, unseen = rows.vectors[:60], rows.vectors[60:]
    estimator = KMeans(kmeans()).fit(data)
    labels, confidence = estimator.predict_confidence(unseen)
    data = data.astype(np.float64) / np.linalg.norm(data, axis=1, keepdims=True)
    centers = [data[estimator.labels_ == number].mean(axis=0) for number in range(3)]
    for row, label, found in zip(unseen.astype(np.float64), labels, confidence, strict=True):
        distance = [1 - row @ one / np.linalg.norm(row) / np.linalg.norm(one) for one in centers]
        own = distance[label]
        other = min(value for number, value in enumerate(distance) if number != label)
        assert found == pytest.approx(np.clip(1 - own / other, 0, 1), abs=1e-4)


def test_noise_has_no_confidence_and_one_cluster_is_certain(rows):
    class Fake(KMeans):
        centers_ = rows.vectors[:1]

        def predict(self, X):  # noqa: N803
            return np.array([0, -1, 0], np.int32)

    _, confidence = Fake().predict_confidence(rows.vectors[:3])
    assert confidence.tolist() == [1.0, 0.0, 1.0]


def test_results_hold_exactly_the_promised_keys_and_are_those_of_the_predictions(rows, workspace, tmp_path):
    rows = with_test_fraction(rows, 0.2)
    (tmp_path / "run").mkdir()
    cluster(workspace, rows, "kmeans", kmeans(), tmp_path / "run", seconds={"scan": 1.0})
    run = open_run(tmp_path / "run")
    found = json.loads((run.folder / "results.json").read_text())
    judged = ["verdict", "stability", "generalisation", "agreement", "two_kinds", "judged_images"]
    assert list(found) == ["train", "test", "seconds", "notes", *judged]
    assert list(found["train"]) == list(found["test"]) == METRICS
    assert list(found["seconds"]) == ["scan", "cluster", "score", "judge"]
    test = run.predictions["split"] == "test"
    codes = truth_codes(rows.truth)
    for name, chosen in (("train", ~test), ("test", test)):
        again = scores(rows.vectors[chosen], run.assignments[chosen], codes[chosen])
        assert found[name] == pytest.approx(again)
    assert run.config["settings"]["n_clusters"] == 3
    assert run.config["resolved"]["n_clusters"] == 3
    assert run.config["settings"] == kmeans().model_dump(mode="json")


def test_without_truth_the_agreement_is_null_never_zero(workspace, tmp_path):
    rows = rows_in(workspace, tmp_path, truth=False)
    found = measure(rows, np.zeros(len(rows), np.int32))["train"]
    assert [found[name] for name in METRICS[:4]] == [None] * 4
    assert found["n_clusters"] == 1


def test_partial_truth_is_scored_on_what_is_known(rows):
    truth = [name if at % 2 else None for at, name in enumerate(rows.truth)]
    labels = truth_codes(rows.truth).astype(np.int32)
    labels[::2] = 0  # wrong where nobody knows
    assert measure(replace(rows, truth=truth), labels)["train"]["accuracy"] == 1.0


def test_a_deep_method_is_shown_beside_its_references(rows, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(
        pipeline, "references", lambda rows, workspace, n, progress: {"kmeans": {"n_clusters": n}, "umap_kmeans": {}}
    )
    settings = find_method("temi").settings_class(
        n_clusters=3,
        n_epochs=1,
        n_heads=1,
        hidden_dim=8,
        bottleneck_dim=8,
        batch_size=30,
        n_neighbors=5,
        warm_start_steps=1,
        device="cpu",
    )
    (tmp_path / "run").mkdir()
    run = cluster(workspace, rows, "temi", settings, tmp_path / "run")
    assert run.results["references"]["kmeans"]["n_clusters"] == run.results["train"]["n_clusters"]


def test_a_method_that_needs_images_refuses_vectors_and_leaves_no_results(rows, workspace, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="needs images"):
        cluster(workspace, rows, "hadis", find_method("hadis").settings_class(), tmp_path / "run")
    assert not open_run(tmp_path / "run").finished


def test_a_test_fraction_takes_its_share_of_each_class_whatever_the_order(rows):
    split = np.array(with_test_fraction(rows, 0.2).split)
    truth = np.array(rows.truth)
    assert {name: int((split[truth == name] == "test").sum()) for name in ("c0", "c1", "c2")} == dict.fromkeys(
        ("c0", "c1", "c2"), 6
    )
    back = replace(
        rows,
        embedding=replace(rows.embedding, contents=rows.contents[::-1].copy()),
        truth=rows.truth[::-1],
    )
    assert with_test_fraction(back, 0.2).split == split[::-1].tolist()
    larger = np.array(with_test_fraction(rows, 0.5).split)
    assert (larger[split == "test"] == "test").all()  # parts nest


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2, float("nan")])
def test_a_fraction_that_is_none_is_refused(rows, fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        with_test_fraction(rows, fraction)


def test_a_set_with_a_test_part_keeps_it(rows):
    with pytest.raises(InputError, match="test part of its own"):
        with_test_fraction(with_test_fraction(rows, 0.2), 0.2)


def test_rows_of_a_run_are_split_as_the_run_split_them(rows, workspace, tmp_path):
    (tmp_path / "run").mkdir()
    chosen = with_test_fraction(rows, 0.2)
    run = cluster(workspace, chosen, "kmeans", kmeans(), tmp_path / "run")
    again = rows_of_run(workspace, open_run(run.folder))
    assert again.split == chosen.split
    labels, confidence = align(run, again)
    assert (labels == run.assignments).all()
    assert (confidence == run.predictions["confidence"]).all()


def test_images_that_came_after_the_run_are_noise_without_confidence(rows, workspace, tmp_path):
    (tmp_path / "run").mkdir()
    few = np.arange(0, 90, 2)
    part = replace(
        rows,
        embedding=replace(rows.embedding, vectors=rows.vectors[few], contents=rows.contents[few]),
        ids=rows.ids[few],
        paths=[rows.paths[row] for row in few],
        truth=[rows.truth[row] for row in few],
        split=[""] * len(few),
    )
    labels, confidence = align(cluster(workspace, part, "kmeans", kmeans(), tmp_path / "run"), rows)
    assert (labels[few] >= 0).all()
    assert (labels[1::2] == -1).all()
    assert (confidence[1::2] == 0).all()


def test_truth_becomes_codes_in_the_order_of_the_names():
    assert truth_codes(["b", None, "a", "b"]).tolist() == [1, -1, 0, 1]
    assert truth_codes([None, None]) is None
    assert truth_codes([]) is None


def test_planted_groups_are_what_they_claim():
    vectors, truth = planted()
    assert vectors.argmax(axis=1).tolist() == truth.tolist()


def test_live_scores_hold_truth_and_sizes_of_the_fitted_rows(rows):
    class Listener:
        score = None

    listener, split = Listener(), with_test_fraction(rows, 0.2)
    listen_with_scores(listener, split)
    train = np.array(split.split) != "test"
    labels = np.where(np.arange(train.sum()) % 4 == 0, 1, 0).astype(np.int32)
    found, codes = listener.score(labels), truth_codes(split.truth)[train]
    expected = scores(split.vectors[train], labels, codes)
    assert all(found[name] == expected[name] for name in ("accuracy", "nmi", "ari", "silhouette", "balance"))
    assert found["sizes"] == sorted(np.bincount(labels).tolist(), reverse=True)
    assert listener.score(labels[:-1]) == {}  # a method that left out images: nothing to compare with
    listen_with_scores(listener, replace(rows, truth=[None] * len(rows)))
    assert "accuracy" not in listener.score(np.zeros(len(rows), np.int32))
