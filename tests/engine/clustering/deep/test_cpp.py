"""CPP's estimator: training stages, labels from the membership, unseen images, the curve over K, bad inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.clustering.deep.cpp import labels as cpp_labels
from engine.clustering.deep.cpp.estimator import CPP
from engine.clustering.deep.cpp.labels import (
    IncrementalCoding,
    Spectrum,
    coding_curve,
    membership_factors,
    rate_reduction,
    spectrum,
    votes,
)
from engine.clustering.deep.cpp.network import CppNetwork
from engine.clustering.deep.cpp.rate_reduction import sinkhorn
from engine.clustering.deep.cpp.settings import CPPSettings
from engine.clustering.deep.cpp.task import CppTask
from engine.clustering.deep.data import Features
from engine.clustering.deep.trainer import Trainer
from engine.core.errors import CheckpointError, InputError, TrainingError
from engine.evaluation.agreement import accuracy, ari
from tests.engine.clustering.deep.common import Listener, groups

CPU = torch.device("cpu")
SMALL = {
    "n_clusters": 3,
    "width": 32,
    "feature_dim": 12,
    "batch_size": 60,
    "n_epochs": 6,
    "warm_start_steps": 40,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def fitted():
    table, truth = groups()
    listener = Listener()
    return CPP(CPPSettings(**SMALL)).fit(table, progress=listener), table, truth, listener


def task_on(table, settings):
    network = CppNetwork(table.shape[1], width=32, feature_dim=12)
    return CppTask(network, Features(table, CPU), settings)


def subspaces(n=240, d=16, k=4, rank=3, seed=0):
    """Unit rows on k random subspaces, with a little noise."""
    rng = np.random.default_rng(seed)
    bases = rng.normal(size=(k, rank, d))
    truth = np.arange(n) % k
    rows = np.einsum("nr,nrd->nd", rng.normal(size=(n, rank)), bases[truth]) + 0.1 * rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), truth.astype(np.int32)


def test_fit_recovers_planted_groups_and_keeps_the_contract(fitted):
    model, table, truth, listener = fitted
    assert accuracy(truth, model.labels_) > 0.95
    assert model.labels_.dtype == np.int32 and model.confidence_.dtype == np.float32
    assert (np.diff(np.bincount(model.labels_)) <= 0).all()
    assert ((model.confidence_ > 0) & (model.confidence_ <= 1)).all()
    for rows in (model.subspaces_, model.codes_, model.centers_):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-4)
    assert {"rate", "conditional_rate", "membership_norm"} <= set(listener.metrics[0])
    assert any("full membership" in note for note in model.notes_)


def test_without_a_warm_start_the_head_is_copied_once_when_the_warm_up_ends(monkeypatch):
    table, _ = groups()
    settings = CPPSettings(**SMALL | {"warm_start": "none", "warmup_steps": 4, "n_epochs": 5})
    torch.manual_seed(0)
    task = task_on(table, settings)
    copied = []
    original = task.model.copy_subspace
    monkeypatch.setattr(task.model, "copy_subspace", lambda: (copied.append(run.step), original()))
    before = task.model.cluster.weight.detach().clone()
    listener = Listener(4)
    run = Trainer(task, task.plan(150), n=150, method="cpp", settings=settings, device=CPU, progress=listener)
    run.train()
    torch.testing.assert_close(task.model.cluster.weight, before)
    assert all(metrics["conditional_rate"] == 0 for metrics in listener.metrics)
    run.progress = listener = Listener()
    run.train()
    assert copied == [4] and listener.metrics[-1]["conditional_rate"] > 0
    assert not torch.equal(task.model.cluster.weight, task.model.subspace.weight)


def test_the_optimiser_has_two_groups_with_their_own_rates():
    settings = CPPSettings(learning_rate=1e-3, cluster_rate=2e-3)
    task = task_on(groups()[0], settings)
    run = Trainer(task, task.plan(150), n=150, method="cpp", settings=settings, device=CPU)
    found = {
        group["base"]: (group["weight_decay"], len(group["params"]), group["momentum"])
        for group in run.optimiser.param_groups
    }
    assert found == {2e-3: (5e-3, 2, 0.9), 1e-3: (1e-4, 7, 0.9)}


def test_held_out_images_get_the_labels_that_clustering_them_along_would_give():
    """The out-of-sample rule against transductive labels: fit on two thirds, then on all."""
    table, _ = groups(240, k=4, spread=0.5)
    held = np.arange(240) % 3 == 0
    settings = CPPSettings(**SMALL | {"n_clusters": 4})
    inductive = CPP(settings).fit(table[~held]).predict(table[held])
    transductive = CPP(settings).fit(table).labels_[held]
    assert ari(inductive, transductive) > 0.95


def test_the_incremental_rule_agrees_with_transductive_labels_on_subspaces():
    rows, truth = subspaces(600)
    held = np.arange(600) % 5 == 0
    rule = IncrementalCoding(rows[~held], truth[~held], 4, epsilon2=0.1)
    labels, confidence = rule(rows[held])
    assert accuracy(truth[held], labels) > 0.97
    assert ((confidence > 0) & (confidence <= 1)).all()


def test_increments_equal_the_difference_of_two_coding_lengths():
    rows, truth = subspaces(40, d=6, k=2)
    rule = IncrementalCoding(rows, truth, 2, epsilon2=0.1)
    new = subspaces(3, d=6, k=2, seed=5)[0]
    found = rule.increments(new)
    for i in range(3):
        for k in range(2):
            members = rows[truth == k].astype(np.float64)
            both = np.concatenate([members, new[i : i + 1]])
            grown, before = (
                (len(m) + 6) / 2 * np.linalg.slogdet(np.eye(6) + 6 / (0.1 * len(m)) * m.T @ m)[1]
                for m in (both, members)
            )
            assert found[i, k] == pytest.approx(grown - before - np.log(len(members) / 40), rel=1e-4)


def test_predictions_of_its_own_images_are_mostly_its_labels(fitted, tmp_path):
    model, table, _, _ = fitted
    assert (model.predict(table) == model.labels_).mean() > 0.97
    model.save(tmp_path / "model.pt")
    again = CPP.load(tmp_path / "model.pt")
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    np.testing.assert_array_equal(again.coding_curve([2, 3, 4]).lengths, model.coding_curve([2, 3, 4]).lengths)
    (tmp_path / "bad.pt").write_bytes(b"no")
    with pytest.raises(CheckpointError):
        CPP.load(tmp_path / "bad.pt")


def test_the_same_seed_gives_the_same_result_and_scale_does_not_matter(fitted):
    model, table, _, _ = fitted
    larger = CPP(model.settings).fit(table * 64)
    np.testing.assert_array_equal(larger.labels_, model.labels_)
    again = CPP(model.settings).fit(table)
    np.testing.assert_array_equal(again.losses_, model.losses_)


def test_a_stopped_fit_resumes_to_the_same_result(fitted, tmp_path):
    model, table, _, _ = fitted
    stopped = CPP(model.settings).fit(table, progress=Listener(5), checkpoints=tmp_path)
    assert len(stopped.losses_) == 5
    resumed = CPP(model.settings).fit(table, checkpoints=tmp_path)
    np.testing.assert_array_equal(resumed.losses_, model.losses_)
    np.testing.assert_array_equal(resumed.codes_, model.codes_)
    np.testing.assert_array_equal(resumed.labels_, model.labels_)
    with pytest.raises(CheckpointError, match="eta was 0.175, now it is 0.2"):
        CPP(model.settings.changed(eta=0.2)).fit(table, checkpoints=tmp_path)


def test_membership_by_products_equals_the_training_sinkhorn():
    rows, _ = subspaces(60)
    kernel, left, right = membership_factors(rows, 0.175)
    found = left[:, None] * kernel * right
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    c = torch.from_numpy(rows).double()
    np.testing.assert_allclose(found, sinkhorn((c @ c.T).abs(), 0.175).numpy(), rtol=2e-4)


def test_eigenvectors_equal_the_dense_decomposition():
    rows, _ = subspaces(80)
    kernel, left, right = membership_factors(rows, 0.175)
    pi = left[:, None] * kernel * right
    pi = (pi + pi.T) / 2
    root = 1 / np.sqrt(pi.sum(axis=1))
    expected = np.linalg.eigh(root[:, None] * pi * root)[1][:, ::-1][:, :4]
    overlap = np.abs(spectrum(rows, 4, eta=0.175).vectors.T @ expected)
    np.testing.assert_allclose(np.linalg.svd(overlap)[1].max(), 1, atol=1e-3)
    np.testing.assert_allclose(np.diag(overlap), 1, atol=1e-2)


def test_landmarks_give_the_labels_of_the_full_membership_and_say_so():
    rows, truth = subspaces(900)
    exact = spectrum(rows, 4, eta=0.175)
    thin = spectrum(rows, 4, eta=0.175, exact_rows=500, n_landmarks=300)
    assert exact.landmarks is None and thin.landmarks.shape == (300,)
    assert ari(exact.labels(4, 0), thin.labels(4, 0)) > 0.95 and accuracy(truth, thin.labels(4, 0)) > 0.95
    assert "300 random ones" in thin.note and "full membership" in exact.note
    shares = votes(rows, thin.labels(4, 0), 4, eta=0.175, landmarks=thin.landmarks)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares.argmax(axis=1) == thin.labels(4, 0)).mean() > 0.95


def test_a_large_fit_names_the_landmarks(monkeypatch):
    monkeypatch.setattr(
        "engine.clustering.deep.cpp.estimator.spectrum",
        lambda *args, **options: cpp_labels.spectrum(*args, **options, exact_rows=100, n_landmarks=60),
    )
    table, truth = groups()
    model = CPP(CPPSettings(**SMALL)).fit(table)
    assert any("landmark spectral clustering" in note for note in model.notes_)
    assert accuracy(truth, model.labels_) > 0.95 and model.confidence_.min() > 0


def test_the_curve_finds_planted_subspaces_and_says_no_clear_k_on_noise():
    rows, _ = subspaces(600, d=24, k=5)
    curve = coding_curve(rows, spectrum(rows, 9, eta=0.175), np.arange(2, 10))
    assert curve.best == 5 and curve.clear and "K = 5" in curve.sentence
    noise = np.random.default_rng(0).normal(size=(400, 24)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    flat = coding_curve(noise, spectrum(noise, 9, eta=0.175), np.arange(2, 10))
    assert not flat.clear and "no clear K" in flat.sentence


def test_a_fitted_model_draws_the_curve_without_training_again(fitted):
    curve = fitted[0].coding_curve(range(2, 7))
    assert curve.ks.tolist() == [2, 3, 4, 5, 6] and curve.best in (2, 3, 4)
    with pytest.raises(InputError, match="between 2 and 75"):
        fitted[0].coding_curve([1, 2])


def test_rate_reduction_is_zero_for_one_cluster_and_larger_for_true_ones():
    rows, truth = subspaces(400)
    assert rate_reduction(rows, np.zeros(400, np.int32)) == pytest.approx(0, abs=1e-9)
    shuffled = np.random.default_rng(0).permutation(truth)
    assert rate_reduction(rows, truth) > rate_reduction(rows, shuffled) + 0.1


def test_nan_stops_names_the_term_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    from engine.clustering.deep.cpp import task as cpp_task

    table, _ = groups()
    CPP(CPPSettings(**SMALL)).fit(table, progress=Listener(5), checkpoints=tmp_path)
    kept = sorted(path.name for path in tmp_path.glob("*.pt"))

    def broken(z, c, **options):
        bad = torch.tensor(float("nan"))
        return z.sum() * bad, {"rate": z.sum().detach(), "conditional_rate": bad, "membership_norm": z.sum().detach()}

    monkeypatch.setattr(cpp_task, "objective", broken)
    with pytest.raises(TrainingError, match="'conditional_rate' became NaN"):
        CPP(CPPSettings(**SMALL)).fit(table, checkpoints=tmp_path)
    assert kept and sorted(path.name for path in tmp_path.glob("*.pt")) == kept


@pytest.mark.parametrize(
    ("change", "n", "sentence"),
    [
        ({"n_clusters": 40}, 60, "60 images are too few to train 40 clusters"),
        ({"n_clusters": 70, "preset": "paper"}, 150, "A batch of 60 is smaller than the 70 clusters"),
        ({"preset": "paper", "batch_size": 512}, 60, "batch of 512 is larger than the 60 images"),
        ({"preset": "paper", "warmup_steps": 50}, 150, "would end inside its warm-up of 50"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(change, n, sentence):
    with pytest.raises(InputError, match=sentence):
        CPP(CPPSettings(**SMALL | change)).fit(groups(n)[0])


def test_one_cluster_and_nan_are_refused():
    with pytest.raises(InputError, match="n_clusters"):
        CPPSettings.parse({"n_clusters": 1})
    broken = groups()[0]
    broken[7, 3] = np.nan
    with pytest.raises(InputError, match="row 7"):
        CPP(CPPSettings(**SMALL)).fit(broken)


@pytest.mark.parametrize("kind", ["constant", "one group", "more clusters than coordinates", "tiny"])
def test_degenerate_tables_do_not_break_it(kind):
    table = {
        "constant": np.ones((40, 6), np.float32),
        "one group": groups(40, k=1)[0],
        "more clusters than coordinates": groups(80)[0],
        "tiny": groups(6, d=5)[0],
    }[kind]
    change = {"feature_dim": 4, "n_clusters": 10} if kind.startswith("more") else {}
    settings = CPPSettings(**SMALL | {"n_epochs": 2, "warm_start_steps": 5, "batch_size": 40} | change)
    model = CPP(settings).fit(table)
    assert model.labels_.shape == (len(table),) and np.isfinite(model.confidence_).all()
    assert model.predict(table).shape == (len(table),)


def test_features_that_do_not_separate_are_told_as_not_trained():
    model = CPP(CPPSettings(**SMALL | {"warm_start": "none", "n_epochs": 1, "warmup_steps": 0, "learning_rate": 1e-6}))
    told = model.fit(np.ones((60, 5), np.float32)).notes_
    assert any(note.startswith("It did not train") for note in told)


def test_the_preset_replaces_the_warm_up_by_a_warm_start():
    assert CPPSettings(n_clusters=10).resolved(2000, "cpu").warmup_steps == 0
    plain = CPPSettings(n_clusters=10, warm_start="none").resolved(2000, "cuda")
    steps = plain.n_epochs * (2000 // plain.batch_size)
    assert 0 < plain.warmup_steps <= steps // 10 + 1 and steps - plain.warmup_steps >= plain.min_steps - 50
    paper = CPPSettings(n_clusters=10, preset="paper").resolved(50_000, "cuda")
    assert (paper.width, paper.feature_dim, paper.warmup_steps, paper.eta) == (4096, 128, 50, 0.175)


def test_a_spectrum_cuts_every_k_up_to_its_vectors():
    rows, truth = subspaces(200)
    found = spectrum(rows, 6, eta=0.175)
    assert isinstance(found, Spectrum) and accuracy(truth, found.labels(4, 0)) > 0.95
    assert len(np.unique(found.labels(2, 0))) == 2
