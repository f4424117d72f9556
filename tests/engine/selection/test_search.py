"""Hyper-parameter search: what it tries, how it scores, prunes, resumes and what it writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from engine.clustering.deep.temi.settings import TEMISettings
from engine.clustering.density.hdbscan import HDBSCANSettings
from engine.clustering.kmeans import KMeansSettings
from engine.clustering.registry import METHODS
from engine.core.errors import CheckpointError, InputError, TrainingError
from engine.selection.search.search import HyperparameterSearch
from engine.selection.search.space import check_space, default_space, grid_of, grid_size, parse_space, written_space
from engine.selection.search.trial import WORST, TrialScorer
from tests.engine.clustering.deep.common import Listener, groups

FIVE, TRUTH = groups(200, 12, 5, spread=0.5)


@pytest.mark.parametrize("how", ["grid", "random", "bayesian"])
def test_every_way_of_searching_finds_the_planted_number_of_clusters(how):
    search = HyperparameterSearch("kmeans", metric="silhouette")
    search.search(FIVE, space={"n_clusters": [2, 3, 5, 8]}, method=how, n_trials=12)
    assert search.best_params_ == {"n_clusters": 5}
    assert search.best_settings_ == KMeansSettings(n_clusters=5)
    assert len(search.trials_) == (4 if how == "grid" else 12)
    assert search.best_score_ == max(row["score"] for row in search.trials_)


def test_the_grid_tries_every_combination_once_and_a_part_of_it_when_it_is_too_large():
    space = {"n_clusters": [2, 5], "max_iter": (5, 20)}
    full = HyperparameterSearch("kmeans").search(FIVE, TRUTH, space=space, method="grid", n_trials=50)
    tried = [tuple(row["params"].values()) for row in full.trials_]
    assert sorted(tried) == [(k, iterations) for k in (2, 5) for iterations in (5, 10, 15, 20)]
    listener = Listener()
    part = HyperparameterSearch("kmeans").search(FIVE, TRUTH, space=space, method="grid", n_trials=3, progress=listener)
    assert len(part.trials_) == 3
    said = "The grid has 8 combinations; 3 of them, drawn at random, are tried and 5 are left out."
    assert said in listener.said and said in part.summary()
    assert "The grid has 8 combinations; all are tried." in full.summary()


def test_a_grid_that_nobody_can_try_is_refused_before_it_is_laid_out():
    wide = {"n_clusters": list(range(2, 150)), "random_state": list(range(9000))}
    assert grid_size(check_space(KMeansSettings(), wide)) > 1_000_000
    with pytest.raises(InputError, match="at random"):
        HyperparameterSearch("kmeans").search(FIVE, TRUTH, space=wide, method="grid", n_trials=3)


def test_ranges_stay_in_bounds_and_are_whole_where_the_setting_is():
    search = HyperparameterSearch("kmeans").search(FIVE, TRUTH, space={"n_clusters": (3, 9)}, n_trials=10)
    tried = [row["params"]["n_clusters"] for row in search.trials_]
    assert all(isinstance(value, int) and 3 <= value <= 9 for value in tried)
    assert len(set(tried)) > 2


def test_a_logarithmic_setting_is_searched_logarithmically():
    (rate,) = check_space(TEMISettings(), {"learning_rate": (1e-4, 1e-1)})
    np.testing.assert_allclose(rate.grid(), [1e-4, 1e-3, 1e-2, 1e-1])
    (plain,) = check_space(TEMISettings(), {"beta": (0.4, 1.0)})
    np.testing.assert_allclose(plain.grid(), [0.4, 0.6, 0.8, 1.0])


def test_the_default_space_is_the_methods_own_and_knows_how_many_images_there_are():
    space = default_space(KMeansSettings, 50)
    assert space["n_clusters"] == (2, 25) and "reduce" in space
    assert default_space(HDBSCANSettings, 300)["min_cluster_size"] == (5, 75)
    assert set(default_space(TEMISettings, 1000)) == {"beta", "n_neighbors", "learning_rate"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_registered_method_has_a_space_whose_values_it_accepts(name):
    model = METHODS[name].settings_class
    space = default_space(model, 1000)
    assert space
    for values in grid_of(check_space(model(), space))[:50]:
        model().changed(**values)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_space_reads_back_as_it_was_written(name):
    model = METHODS[name].settings_class
    space = default_space(model, 1000)
    again = parse_space(model, written_space(space))
    assert check_space(model(), again) == check_space(model(), space)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("colour", "1", "no setting 'colour'"),
        ("n_clusters", "2..many", "'many' is not a whole number"),
        ("n_clusters", "1.5, 2", "'1.5' is not a whole number"),
        ("n_clusters", "20..2", "pair"),
        ("n_clusters", " , ", "no choice"),
        ("reduce", "umap-10, nowhere", "nowhere"),
        ("reduce", "2..5", "reduce has no range"),
    ],
)
def test_a_space_that_cannot_be_is_refused_in_a_sentence(name, text, sentence):
    with pytest.raises(InputError, match=sentence):
        check_space(KMeansSettings(), parse_space(KMeansSettings, {name: text}))


@pytest.mark.parametrize(
    ("labels", "space", "metric", "sentence"),
    [
        (None, None, "accuracy", "accuracy needs true labels"),
        (TRUTH[:9], None, None, "9 labels for 200 images"),
        (None, {"colour": [1]}, None, "no setting 'colour'"),
        (None, {"n_clusters": []}, None, "no choice"),
        (None, {"n_clusters": (9, 2)}, None, "pair"),
        (None, {"n_clusters": (0, 5)}, None, "n_clusters"),
        (None, {"reduce": (1, 2)}, None, "no range"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_sentence(labels, space, metric, sentence):
    with pytest.raises(InputError, match=sentence):
        HyperparameterSearch("kmeans", metric=metric).search(FIVE, labels, space=space, n_trials=2)


def test_a_failed_trial_is_a_row_and_the_search_goes_on():
    small = FIVE[:30]
    search = HyperparameterSearch("kmeans").search(small, space={"n_clusters": [5, 90]}, method="grid")
    by_k = {row["params"]["n_clusters"]: row for row in search.trials_}
    assert by_k[90]["state"] == "fail" and "Cannot make 90 clusters from 30 images" in by_k[90]["error"]
    assert by_k[5]["state"] == "complete" and search.best_params_ == {"n_clusters": 5}
    with pytest.raises(TrainingError, match="None of the 1 trials"):
        HyperparameterSearch("kmeans").search(small, space={"n_clusters": [90]}, method="grid")


def test_an_unbalanced_clustering_cannot_win_by_its_silhouette_and_noise_earns_nothing():
    scorer = TrialScorer("silhouette", FIVE, None, prune=False)
    lopsided = np.zeros(200, dtype=np.int32)
    lopsided[:4] = [1, 2, 3, 4]
    assert scorer.score(lopsided) == WORST
    clean = scorer.score(TRUTH.astype(np.int32))
    half = np.where(np.arange(200) < 100, -1, TRUTH).astype(np.int32)
    assert scorer.score(half) == pytest.approx(clean / 2, rel=0.1)


def test_the_same_seed_draws_the_same_trials():
    def draws(seed):
        search = HyperparameterSearch("kmeans", random_state=seed)
        return [row["params"] for row in search.search(FIVE, TRUTH, space={"n_clusters": (2, 50)}, n_trials=5).trials_]

    assert draws(1) == draws(1) != draws(2)


def test_a_search_writes_its_files_and_resumes_without_repeating_trials(tmp_path):
    space = {"n_clusters": (2, 20), "max_iter": (2, 60)}
    first = HyperparameterSearch("kmeans", folder=tmp_path).search(FIVE, TRUTH, space=space, n_trials=3)
    listener = Listener()
    second = HyperparameterSearch("kmeans", folder=tmp_path)
    second.search(FIVE, TRUTH, space=space, n_trials=8, progress=listener)
    assert "Resumed a search of 3 finished trials." in listener.said
    assert [row["params"] for row in second.trials_[:3]] == [row["params"] for row in first.trials_]
    assert len(second.trials_) == 8
    assert len({tuple(row["params"].values()) for row in second.trials_}) == 8
    best = json.loads((tmp_path / "best_hyperparameters.json").read_text())
    assert best["best_params"] == second.best_params_ and best["metric"] == "accuracy"
    assert KMeansSettings.parse(best["settings"]) == second.best_settings_
    newest = sorted((tmp_path / "hyperparam_search").glob("kmeans_search_final_*.json"))[-1]
    assert len(json.loads(newest.read_text())["trials"]) == 8
    study = json.loads((tmp_path / "hyperparam_search" / "optuna_study.json").read_text())
    assert (tmp_path / "hyperparam_search" / "study.sqlite").exists()
    assert [trial["params"] for trial in study["trials"]] == [row["params"] for row in second.trials_]
    assert [trial["value"] for trial in study["trials"]] == [row["score"] for row in second.trials_]
    assert (study["direction"], study["searched"]["search_method"]) == ("maximize", "random")
    with pytest.raises(CheckpointError, match="its space differs"):
        HyperparameterSearch("kmeans", folder=tmp_path).search(FIVE, TRUTH, space={"n_clusters": [2]})
    with pytest.raises(CheckpointError, match="its data differs"):
        HyperparameterSearch("kmeans", folder=tmp_path).search(FIVE + 1, TRUTH, space=space)


def test_a_grid_resumes_with_the_combinations_that_are_left(tmp_path):
    space = {"n_clusters": [2, 3, 4, 5]}
    HyperparameterSearch("kmeans", folder=tmp_path).search(FIVE, TRUTH, space=space, method="grid", n_trials=2)
    again = HyperparameterSearch("kmeans", folder=tmp_path)
    again.search(FIVE, TRUTH, space=space, method="grid", n_trials=9)
    assert sorted(row["params"]["n_clusters"] for row in again.trials_) == [2, 3, 4, 5]


def test_a_trial_that_a_crash_left_running_is_settled(tmp_path):
    space = {"n_clusters": [2, 5]}
    search = HyperparameterSearch("kmeans", folder=tmp_path).search(FIVE, TRUTH, space=space, n_trials=1)
    search.study_.ask()
    again = HyperparameterSearch("kmeans", folder=tmp_path).search(FIVE, TRUTH, space=space, n_trials=4)
    assert [row["state"] for row in again.trials_] == ["complete", "fail", "complete", "complete"]


def test_stopping_keeps_the_trials_that_are_done():
    class Once(Listener):
        def update(self, done, total, *, phase="", unit="", **metrics):
            self.steps = done if phase == "search" else self.steps

    search = HyperparameterSearch("kmeans").search(
        FIVE, space={"n_clusters": (2, 9)}, n_trials=50, progress=Once(stop_after=2)
    )
    assert len(search.trials_) == 2


def test_trials_of_a_deep_method_are_short_and_the_best_is_trained_in_full():
    settings = TEMISettings(
        n_clusters=5, n_heads=1, hidden_dim=8, bottleneck_dim=8, batch_size=50, warm_start_steps=20, device="cpu"
    )
    search = HyperparameterSearch("temi", settings=settings)
    search.search(FIVE, TRUTH, space={"beta": [0.6, 0.9]}, method="grid", n_epochs=2)
    assert [row["state"] for row in search.trials_] == ["complete"] * 2
    assert search.best_settings_ == settings.changed(**search.best_params_)
    assert search.best_settings_.n_epochs == 200
    assert search.best_score_ > 0.5


def test_a_bayesian_search_prunes_what_stays_below_the_median(monkeypatch):
    from engine.clustering.deep.temi.estimator import TEMI

    def fit(self, embeddings, *, neighbors=None, progress, checkpoints=None):
        good = self.settings.beta > 0.7
        self.resolved_ = self.settings
        self.labels_ = (TRUTH if good else np.random.default_rng(0).permutation(TRUTH)).astype(np.int32)
        for _ in range(10):
            progress.snapshot(self.labels_)
        return self

    monkeypatch.setattr(TEMI, "fit", fit)
    search = HyperparameterSearch("temi", settings=TEMISettings(n_clusters=5))
    search.search(FIVE, TRUTH, space={"beta": (0.5, 1.0)}, method="bayesian", n_trials=20)
    pruned = [row for row in search.trials_ if row["state"] == "pruned"]
    assert pruned and all(row["params"]["beta"] <= 0.7 and row["score"] is None for row in pruned)
    assert search.best_params_["beta"] > 0.7


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.takes == "images"])
def test_a_method_that_takes_images_is_given_images_and_compared_on_their_embeddings(name, monkeypatch):
    images = np.zeros((200, 8, 8, 3), np.uint8)
    given = []

    def fit(self, images, y=None, *, neighbors=None, progress, checkpoints=None):
        given.append(images.shape)
        self.resolved_ = self.settings
        self.labels_ = TRUTH.astype(np.int32)
        return self

    monkeypatch.setattr(METHODS[name].estimator_class, "fit", fit)
    search = HyperparameterSearch(name, metric="silhouette").search(images, vectors=FIVE, n_trials=2)
    assert given == [images.shape] * 2
    assert search.best_score_ == pytest.approx(silhouette_score(FIVE, TRUTH, metric="cosine"), abs=1e-5)
    with pytest.raises(InputError, match="takes images"):
        HyperparameterSearch(name).search(FIVE)
    with pytest.raises(InputError, match="measured on their embeddings"):
        HyperparameterSearch(name).search(images)


def test_summary_and_importances_name_what_mattered():
    search = HyperparameterSearch("kmeans")
    search.search(FIVE, TRUTH, space={"n_clusters": (2, 30), "n_init": [1, 2]}, n_trials=15)
    shares = search.importances()
    assert list(shares)[0] == "n_clusters" and sum(shares.values()) == pytest.approx(1)
    printed = search.summary()
    assert "k-means: 15 trials, 15 complete." in printed and "Importance: n_clusters" in printed
    assert f"Best score {search.best_score_:.4f}" in printed


def test_the_number_of_clusters_defaults_to_the_number_of_classes():
    names = np.array(list("abcde"))[TRUTH]
    search = HyperparameterSearch("kmeans").search(FIVE, list(names), space={"max_iter": [5, 25]}, method="grid")
    assert search.best_settings_.n_clusters == 5 and search.best_score_ > 0.95


def test_an_unknown_metric_or_way_is_refused():
    with pytest.raises(InputError, match="no metric"):
        HyperparameterSearch("kmeans", metric="beauty")
    with pytest.raises(InputError, match="no search method"):
        HyperparameterSearch("kmeans").search(FIVE, method="luck")
