"""The whole distillation: split, honest measuring, files, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.core.files import content_id
from engine.core.ids import pack
from engine.core.settings import controls
from engine.distillation.distil import distil, nearest_images
from engine.distillation.evaluate import Evaluator, summary
from engine.distillation.prepare import cluster_to_class
from engine.distillation.settings import DistilSettings
from engine.images.splits import stratified_split

QUICK = {"images_per_class": 3, "distill_epochs": 4, "n_experts": 2, "expert_epochs": 6, "seeds": 2}
QUICK |= {"evaluation_updates": 150, "preset": "thorough", "starts": 2}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), [60, 50, 40, 30])
    rows = (rng.normal(size=(4, 12))[truth] * 2 + rng.normal(size=(180, 12)) * 0.5).astype(np.float32)
    labels = np.where(rng.random(180) < 0.05, rng.integers(4, size=180), (truth + 1) % 4)  # renumbered, 5% wrong
    return rows, labels, [f"class {t}" for t in truth], pack(content_id(row.tobytes()) for row in rows)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    rows, labels, truth, contents = data
    folder = tmp_path_factory.mktemp("run") / "distillation"
    settings = DistilSettings(**QUICK)
    return distil(rows, labels, truth=truth, contents=contents, settings=settings, output_dir=folder), folder


def test_results_json_has_the_promised_shape(finished):
    result, folder = finished
    found = json.loads((folder / "results.json").read_text())
    assert set(found["full"]) == {"mean", "std"}
    assert set(found["distilled"]) == {"ridge", "trajectory", "selmatch", "lgm"}
    assert set(found["baselines"]) == {"random", "centroid", "kmeans", "herding"}
    for entry in [*found["distilled"].values(), *found["baselines"].values()]:
        assert 0 <= entry["mean"] <= 1 and entry["std"] >= 0
        assert entry["retention"] == pytest.approx(entry["mean"] / found["full"]["mean"])
    assert found["compression"] == pytest.approx(len(result.train) / 12)
    kept = (found["distilled"] | found["baselines"])[found["chosen"]]["nearest_images"]
    assert found["retention"] == kept["retention"]
    assert kept["agreement"] == max(entry["nearest_images"]["agreement"] for entry in found["distilled"].values())
    assert any("is kept" in note for note in found["notes"])
    assert found["measured_against"] == "true labels"
    assert found["cluster_to_class"] == {"0": "class 3", "1": "class 0", "2": "class 1", "3": "class 2"}
    assert found["full"]["mean"] > 0.9


def test_sets_name_real_training_images_of_their_cluster(data, finished):
    rows, labels, _, contents = data
    result, folder = finished
    for name, made in result.sets.items():
        assert made.vectors.shape == (12, 12)
        assert np.isin(made.nearest, result.train).all()
        assert (labels[made.nearest] == made.labels).all()
        assert (made.moved > 0.01) == (name in ("trajectory", "selmatch", "lgm"))
        assert len(np.unique(made.nearest)) == 12
        unit_rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        unit_made = made.vectors / np.linalg.norm(made.vectors, axis=1, keepdims=True)
        for row in range(12):
            members = result.train[labels[result.train] == made.labels[row]]
            cosine = unit_rows[members] @ unit_made[row]
            others = np.isin(members, made.nearest) & (members != made.nearest[row])
            assert made.nearest[row] == members[np.where(others, -1, cosine).argmax()]
            assert made.similarity[row] == pytest.approx(np.where(others, -1, cosine).max(), abs=1e-5)
        with np.load(folder / f"{name}.npz", allow_pickle=False) as archive:
            assert (archive["nearest_contents"] == contents[made.nearest]).all()
            np.testing.assert_array_equal(archive["vectors"], made.vectors)


def test_same_seed_same_result_and_another_seed_another(data):
    rows, labels, truth, contents = data

    def run(**changes):
        settings = DistilSettings(**(QUICK | {"methods": ("lgm",), "evaluate": False} | changes))
        return distil(rows, labels, truth=truth, contents=contents, settings=settings).sets["lgm"].vectors

    np.testing.assert_array_equal(run(), run())
    assert (run() != run(random_state=1)).any()


def test_test_labels_never_reach_training(data):
    """Spoiling the truth of the test rows changes the score and nothing else."""
    rows, labels, truth, contents = data
    settings = DistilSettings(**(QUICK | {"methods": ("trajectory",)}))
    train, test = stratified_split(contents, np.unique(truth, return_inverse=True)[1], 0.2)
    spoilt = [truth[(i + 70) % 180] if i in set(test.tolist()) else t for i, t in enumerate(truth)]
    one = distil(rows, labels, truth=truth, train=train, test=test, contents=contents, settings=settings)
    two = distil(rows, labels, truth=spoilt, train=train, test=test, contents=contents, settings=settings)
    np.testing.assert_array_equal(one.sets["trajectory"].vectors, two.sets["trajectory"].vectors)
    assert one.results["cluster_to_class"] == two.results["cluster_to_class"]
    assert two.results["full"]["mean"] < one.results["full"]["mean"] - 0.3


def test_unlabelled_images_are_left_out_and_counted(data):
    rows, labels, truth, contents = data
    hidden = labels.copy()
    hidden[:20] = -1
    settings = DistilSettings(**(QUICK | {"methods": ("selmatch",)}))
    result = distil(rows, hidden, truth=truth, contents=contents, settings=settings)
    assert not np.isin(result.train, np.arange(20)).any()
    assert any("without a cluster" in note for note in result.notes)


def test_without_truth_the_measure_is_named(data):
    rows, labels, _, contents = data
    settings = DistilSettings(**(QUICK | {"methods": ("lgm",), "seeds": 1}))
    result = distil(rows, labels, contents=contents, settings=settings)
    assert result.results["measured_against"] == "pseudo-labels"
    assert result.results["full"]["mean"] > 0.8


def test_no_evaluation_makes_sets_and_empty_scores(data):
    rows, labels, truth, _ = data
    settings = DistilSettings(**(QUICK | {"evaluate": False, "methods": ("lgm",)}))
    result = distil(rows, labels, truth=truth, settings=settings)
    assert result.results["full"] == {"mean": None, "std": None}
    assert result.results["retention"] is None and result.results["seeds"] == [0]
    assert len(result.sets["lgm"].labels) == 12


def test_partly_frozen_selmatch_keeps_real_rows(data):
    rows, labels, truth, _ = data
    settings = DistilSettings(**(QUICK | {"methods": ("selmatch",), "alpha": 0.34, "seeds": 1}))
    made = distil(rows, labels, truth=truth, settings=settings).sets["selmatch"]
    assert made.frozen.sum() == 8  # two of three in each of four clusters
    np.testing.assert_allclose(made.similarity[made.frozen], 1, atol=1e-5)


def test_a_class_smaller_than_asked_keeps_all_it_has(data):
    rows, labels, truth, contents = data
    few = np.concatenate([np.flatnonzero(labels == 0)[:4], np.flatnonzero(labels != 0)])
    settings = DistilSettings(**(QUICK | {"images_per_class": 8, "seeds": 1}))
    result = distil(rows[few], labels[few], truth=[truth[i] for i in few], contents=contents[few], settings=settings)
    kept = np.bincount(result.sets["trajectory"].labels)
    assert kept[0] < 8 and (kept[1:] == 8).all()
    assert any("fewer than 8" in note for note in result.notes)


@pytest.mark.parametrize(
    ("labels", "count", "words"),
    [
        (np.zeros(40), 1, "fewer than two clusters"),
        (np.full(40, -1), 1, "fewer than two clusters"),
        (np.arange(40) % 4, 8, "nothing would become smaller"),
        (np.arange(39) % 4, 2, "39 pseudo-labels"),
    ],
)
def test_what_cannot_be_distilled_is_said(rng, labels, count, words):
    rows = rng.normal(size=(40, 3)).astype(np.float32)
    with pytest.raises(InputError, match=words):
        distil(rows, labels, settings=DistilSettings(**(QUICK | {"images_per_class": count})))


def test_a_thousand_clusters_of_one_image_are_refused_in_one_sentence(rng):
    rows = rng.normal(size=(1000, 8)).astype(np.float32)
    with pytest.raises(InputError, match="1 images for each of 1,000 clusters are all 1,000"):
        distil(rows, np.arange(1000), settings=DistilSettings(images_per_class=1))


def test_a_thousand_clusters_at_one_image_each_run(rng):
    truth = np.repeat(np.arange(1000), 4)
    rows = (rng.normal(size=(1000, 16))[truth] + 0.1 * rng.normal(size=(4000, 16))).astype(np.float32)
    settings = DistilSettings(
        preset="thorough", images_per_class=1, distill_epochs=1, n_experts=2, expert_epochs=2, seeds=1
    ).changed(evaluation_updates=50)
    result = distil(rows, truth, truth=truth, settings=settings)
    assert len(result.sets["trajectory"].labels) == 1000
    assert result.results["compression"] == pytest.approx(3)


def test_equal_embeddings_are_refused():
    with pytest.raises(InputError, match="equal"):
        distil(np.ones((40, 3), np.float32), np.arange(40) % 2, settings=DistilSettings(images_per_class=2))


def test_split_is_stratified_stable_and_by_content(rng):
    contents = pack(content_id(bytes([i])) for i in range(200))
    strata = np.repeat([0, 1, 2, 3], [100, 50, 49, 1])
    train, test = stratified_split(contents, strata, 0.2)
    assert np.bincount(strata[test], minlength=4).tolist() == [20, 10, 10, 0]
    assert sorted([*train, *test]) == list(range(200))
    order = rng.permutation(200)
    again = stratified_split(contents[order], strata[order], 0.2)[1]
    assert set(contents[order][again].tolist()) == set(contents[test].tolist())


def test_cluster_to_class_takes_the_majority():
    labels, truth = np.array([0, 0, 0, 1, 1, 3]), np.array([2, 2, 1, 0, 1, -1])
    assert cluster_to_class(labels, truth).tolist() == [2, 0, -1, -1]


def test_no_image_is_named_twice_where_two_rows_are_nearest_to_it():
    real = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], np.float32)
    rows = np.array([[1.0, 0.0], [1.0, 0.05]], np.float32)
    nearest, similarity = nearest_images(rows, np.zeros(2, int), real, np.zeros(3, int))
    assert sorted(nearest) == [0, 1] and similarity[0] == pytest.approx(1)


def test_labels_have_their_names_in_the_results_and_beside_the_rows(data, tmp_path):
    rows, labels, truth, contents = data
    names = ["ants", "bees", "cats", "dogs"]
    settings = DistilSettings(preset="quick", images_per_class=3)
    found = distil(
        rows, labels, label_names=names, truth=truth, contents=contents, settings=settings, output_dir=tmp_path
    )
    assert found.results["cluster_to_class"] == dict(
        zip(names, ("class 3", "class 0", "class 1", "class 2"), strict=True)
    )
    with np.load(tmp_path / "ridge.npz", allow_pickle=False) as kept:
        assert kept["names"].tolist() == [names[label] for label in kept["labels"]]


def test_a_preset_fits_what_was_not_given():
    quick = DistilSettings(preset="quick", seeds=4).resolved()
    assert quick.methods == ("ridge",) and quick.seeds == 4
    assert DistilSettings(distill_epochs=100).resolved().distill_epochs == 100
    assert DistilSettings(methods=("lgm",)).resolved().methods == ("lgm",)
    tries = [DistilSettings(preset=name).resolved().starts for name in DistilSettings.presets]
    assert tries == sorted(tries)


def test_the_images_that_are_kept_do_not_count_for_their_own_agreement():
    rows = np.array([[1, 0], [0.9, 0.1], [-1, 0], [0.8, 0.1], [-0.7, 0]], np.float32)
    labels = np.array([0, 0, 1, 1, 0])  # the classifier of rows 0 and 2 gets row 1 right, 3 and 4 wrong
    evaluator = Evaluator(rows, labels, rows, labels, np.arange(2), updates=100, hidden=0, device="cpu")
    sets = {"images": (rows[None, [0, 2]], labels[None, [0, 2]])}
    assert evaluator.score_sets(sets, [0])["images"][1] == pytest.approx(3 / 5)
    assert evaluator.score_sets(sets, [0], {"images": np.array([[0, 2]])})["images"][1] == pytest.approx(1 / 3)


def test_summary_of_one_seed_has_no_spread():
    assert summary(np.array([0.5])) == {"mean": 0.5, "std": 0.0}
    assert summary(np.array([0.4, 0.6]))["std"] == pytest.approx(0.1 * 2**0.5)


def test_settings_carry_the_published_names():
    found = {control.name: control.default for control in controls(DistilSettings)}
    wanted = {"images_per_class": 10, "distill_epochs": 100, "distill_lr": 0.1, "inner_epochs": 10, "evaluate": True}
    assert wanted.items() <= found.items()
    with pytest.raises(InputError, match="at least one method"):
        DistilSettings.parse({"methods": ()})
    with pytest.raises(InputError, match="expert_epochs"):
        DistilSettings.parse({"expert_epochs": 3, "match_epochs": 4})
