"""CLUDI's estimator: its training step, its contract, its uncertainty, resume, and its bad inputs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from engine.clustering.deep.cludi.estimator import CLUDI
from engine.clustering.deep.cludi.network import CludiNetwork
from engine.clustering.deep.cludi.settings import CLUDISettings
from engine.clustering.deep.cludi.task import CludiTask, sample_logits
from engine.clustering.deep.data import Features
from engine.clustering.deep.trainer import Trainer
from engine.clustering.registry import METHODS
from engine.core.errors import CheckpointError, InputError, TrainingError
from engine.core.settings import controls
from engine.evaluation.agreement import accuracy
from tests.engine.clustering.deep.common import Listener, groups

CPU = torch.device("cpu")
SMALL = {
    "n_clusters": 3,
    "embedding_dim": 16,
    "width": 48,
    "batch_diffusion": 2,
    "sampling_steps": 8,
    "prediction_steps": 8,
    "n_samples": 4,
    "batch_size": 48,
    "n_epochs": 6,
    "warm_start_steps": 150,
    "warm_start_rate": 2e-3,
    "device": "cpu",
    "diffusion_steps": 100,
}


def trainer(**changes):
    table, _ = groups()
    settings = CLUDISettings(**SMALL | changes)
    torch.manual_seed(0)
    network = CludiNetwork(
        12, settings.n_clusters, embedding_dim=settings.embedding_dim, width=settings.width, dropout=settings.dropout
    )
    task = CludiTask(network, Features(table, CPU), settings)
    return task, Trainer(task, task.plan(len(table)), n=len(table), method="cludi", settings=settings, device=CPU)


@pytest.fixture(scope="module")
def fitted():
    table, truth = groups()
    listener = Listener()
    return CLUDI(CLUDISettings(**SMALL)).fit(table, progress=listener), table, truth, listener


def test_fit_recovers_planted_groups_and_keeps_the_contract(fitted):
    model, table, truth, listener = fitted
    assert accuracy(truth, model.labels_) > 0.95
    assert model.labels_.dtype == np.int32 and model.confidence_.dtype == np.float32
    assert (np.diff(np.bincount(model.labels_)) <= 0).all()
    assert ((model.confidence_ > 0) & (model.confidence_ <= 1)).all()
    np.testing.assert_allclose(np.linalg.norm(model.centers_, axis=1), 1, rtol=1e-5)
    assert {"loss", "diffusion", "cross_entropy"} <= set(listener.metrics[0]) and listener.shown
    assert model.resolved_.normalise == "principal" and not model.resolved_.use_v_prediction


def test_uncertainty_is_larger_where_an_image_lies_between_two_groups(fitted):
    model, table, truth, _ = fitted
    spread = model.extra_["uncertainty"]
    assert spread.shape == (150,) and spread.dtype == np.float32
    assert 0 <= spread.min() and spread.max() <= 1
    between = (table[truth == 0][:40] + table[truth == 1][:40]) / 2
    confidence = model.predict_confidence(between)[1]
    assert confidence.mean() < model.confidence_.mean()


def test_it_labels_unseen_images_and_its_own_alike(fitted):
    model, table, _, _ = fitted
    np.testing.assert_array_equal(model.predict(table), model.labels_)
    np.testing.assert_array_equal(model.predict(table), model.predict(table))
    unseen, truth = groups(60)
    noise = np.random.default_rng(9).standard_normal(unseen.shape).astype(np.float32) * 0.05
    assert accuracy(truth, model.predict(unseen + noise)) > 0.95


def test_a_saved_model_predicts_the_same(fitted, tmp_path):
    model, table, _, _ = fitted
    model.save(tmp_path / "model.pt")
    again = CLUDI.load(tmp_path / "model.pt")
    labels, confidence = again.predict_confidence(table)
    np.testing.assert_array_equal(labels, model.labels_)
    np.testing.assert_allclose(confidence, model.confidence_, rtol=1e-5)
    (tmp_path / "bad.pt").write_bytes(b"no")
    with pytest.raises(CheckpointError):
        CLUDI.load(tmp_path / "bad.pt")


def test_the_same_seed_gives_the_same_result_and_scale_does_not_matter(fitted):
    model, table, _, _ = fitted
    larger = CLUDI(model.settings).fit(table * 64)
    np.testing.assert_array_equal(larger.labels_, model.labels_)
    again = CLUDI(model.settings).fit(table)
    np.testing.assert_array_equal(again.losses_, model.losses_)
    np.testing.assert_array_equal(again.confidence_, model.confidence_)


def test_a_stopped_fit_resumes_to_the_same_result(fitted, tmp_path):
    model, table, _, _ = fitted
    stopped = CLUDI(model.settings).fit(table, progress=Listener(7), checkpoints=tmp_path)
    assert len(stopped.losses_) == 7 and any("Stopped early" in note for note in stopped.notes_)
    resumed = CLUDI(model.settings).fit(table, checkpoints=tmp_path)
    np.testing.assert_array_equal(resumed.losses_, model.losses_)
    np.testing.assert_array_equal(resumed.confidence_, model.confidence_)
    np.testing.assert_array_equal(resumed.extra_["uncertainty"], model.extra_["uncertainty"])
    with pytest.raises(CheckpointError, match="ce_lambda was 50.0, now it is 25.0"):
        CLUDI(model.settings.changed(ce_lambda=25.0)).fit(table, checkpoints=tmp_path)


@pytest.mark.parametrize("v", [True, False])
@pytest.mark.parametrize("rescaling", ["variance", "std"])
def test_every_trainable_parameter_receives_a_gradient_and_the_teacher_none(v, rescaling):
    task, run = trainer(use_v_prediction=v, rescaling=rescaling, dropout=0.0)
    terms = task.loss(torch.arange(40), run)
    terms["loss"].backward()
    for name, parameter in run.model.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name
    assert "centers" not in dict(run.model.named_parameters())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in run.teacher.parameters())
    expected = terms["diffusion"] + run.task.settings.ce_lambda * terms["cross_entropy"]
    torch.testing.assert_close(terms["loss"], expected)


def test_the_teacher_samples_by_one_pass_of_its_feature_branch(monkeypatch):
    task, run = trainer()
    seen = []
    branch = run.teacher.feature_branch.forward
    monkeypatch.setattr(run.teacher.feature_branch, "forward", lambda x: seen.append(x.shape) or branch(x))
    assert not run.teacher.training
    task.loss(torch.arange(40), run)
    assert seen == [(40, 12)]


def test_the_averaged_teacher_is_what_is_used(fitted):
    """The EMA is not kept in vain: targets come from it and the result is its."""
    task, run = trainer()
    with torch.no_grad():
        for parameter in run.model.head.parameters():
            parameter.fill_(100.0)
    features = run.teacher.features(task.features[torch.arange(20)])
    assert float(sample_logits(run.teacher, task.diffusion, features, 2, 3).abs().max()) < 50
    student = CLUDI(fitted[0].settings).fit(fitted[1])
    assert not student._model.training and not any(p.requires_grad for p in student._model.parameters())


@pytest.mark.parametrize(("warm_start", "momentum"), [("graph", 0.9), ("none", 0.1)])
def test_the_teacher_of_a_warm_start_is_slow_from_its_first_step(warm_start, momentum):
    """A random start must leave the teacher soon; a fitted one must not."""
    task, run = trainer(warm_start=warm_start, ema=0.9, n_epochs=1, warmup_epochs=0, learning_rate=1e-3)
    before = [parameter.clone() for parameter in run.teacher.parameters()]
    run.progress = Listener(1)
    run.train()
    for old, teacher, student in zip(before, run.teacher.parameters(), run.model.parameters(), strict=True):
        torch.testing.assert_close(teacher, momentum * old + (1 - momentum) * student, rtol=1e-4, atol=1e-6)


def test_start_without_training_reproduces_the_given_labels():
    table, truth = groups()
    given = np.where(np.arange(150) < 20, -1, truth).astype(np.int32)
    settings = CLUDISettings(**SMALL | {"warm_start": "run", "n_epochs": 1, "learning_rate": 1e-6})
    model = CLUDI(settings).start_from(given).fit(table)
    assert accuracy(truth, model.labels_) > 0.95


def test_published_settings_on_a_small_set_are_told_as_not_trained():
    table, _ = groups(120)
    settings = CLUDISettings(**SMALL | {"preset": "paper", "warm_start": "none", "n_epochs": 2})
    assert any(note.startswith("It did not train") for note in CLUDI(settings).fit(table).notes_)


def test_nan_stops_names_the_term_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    from engine.clustering.deep.cludi import task as cludi_task

    table, _ = groups()
    model = CLUDI(CLUDISettings(**SMALL))
    model.fit(table, progress=Listener(6), checkpoints=tmp_path)
    kept = sorted(path.name for path in tmp_path.glob("*.pt"))
    monkeypatch.setattr(cludi_task, "symmetric_cross_entropy", lambda *_, **__: torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match="'cross_entropy' became NaN"):
        CLUDI(CLUDISettings(**SMALL)).fit(table, checkpoints=tmp_path)
    assert kept and sorted(path.name for path in tmp_path.glob("*.pt")) == kept


@pytest.mark.parametrize(
    ("change", "n", "sentence"),
    [
        ({"n_clusters": 40}, 60, "60 images are too few to train 40 clusters"),
        ({"n_clusters": 20, "batch_size": 30}, 200, "Use a batch size of at least 80"),
        ({"n_clusters": 40, "batch_size": 30}, 200, "Use a batch size of at least"),
        ({"preset": "paper", "batch_size": 512}, 60, "batch of 512 is larger than the 60 images"),
    ],
)
def test_a_batch_too_small_is_told_with_the_one_that_would_do(change, n, sentence):
    with pytest.raises(InputError, match=sentence):
        CLUDI(CLUDISettings(**SMALL | change)).fit(groups(n)[0])


def test_one_cluster_and_nan_are_refused():
    with pytest.raises(InputError, match="n_clusters"):
        CLUDISettings.parse({"n_clusters": 1})
    broken = groups()[0]
    broken[7, 3] = np.nan
    with pytest.raises(InputError, match="row 7"):
        CLUDI(CLUDISettings(**SMALL)).fit(broken)


@pytest.mark.parametrize("kind", ["constant", "one group", "odd dimension"])
def test_degenerate_tables_do_not_break_it(kind):
    table = {
        "constant": np.ones((40, 6), np.float32),
        "one group": groups(40, k=1)[0],
        "odd dimension": groups(40, d=7)[0],
    }[kind]
    settings = CLUDISettings(**SMALL | {"n_epochs": 1, "batch_size": 20, "width": 0, "warm_start_steps": 5})
    model = CLUDI(settings).fit(table)
    assert model.labels_.shape == (40,) and np.isfinite(model.confidence_).all()


def test_the_preset_fits_published_values_and_keeps_what_a_person_changed():
    resolved = CLUDISettings(n_clusters=10).resolved(2000, "cpu")
    assert (resolved.batch_diffusion, resolved.sampling_steps, resolved.n_samples) == (2, 8, 8)
    assert resolved.n_epochs * (2000 // resolved.batch_size) >= resolved.min_steps
    gpu = CLUDISettings(n_clusters=10).resolved(50_000, "cuda")
    assert (gpu.batch_diffusion, gpu.sampling_steps, gpu.n_samples, gpu.n_epochs) == (8, 25, 64, 100)
    assert CLUDISettings(n_clusters=100).resolved(2000, "cpu").batch_size == 400
    kept = CLUDISettings(n_clusters=10, batch_diffusion=4, n_epochs=7).resolved(2000, "cpu")
    assert (kept.batch_diffusion, kept.n_epochs) == (4, 7)
    cold = CLUDISettings(n_clusters=10, warm_start="none").resolved(2000, "cpu")
    assert cold.learning_rate == 1e-3 and cold.n_epochs * (2000 // cold.batch_size) >= 1000
    assert resolved.learning_rate == 1e-4 and resolved.n_epochs < cold.n_epochs
    slow = CLUDISettings(n_clusters=10, warm_start="none", learning_rate=1e-4, n_epochs=7).resolved(2000, "cpu")
    assert (slow.learning_rate, slow.n_epochs) == (1e-4, 7)
    paper = CLUDISettings(n_clusters=10, preset="paper").resolved(2000, "cpu")
    assert paper.learning_rate == 1e-4 and paper.n_epochs == 100
    assert paper.use_v_prediction and paper.batch_diffusion == 8 and paper.normalise == "l2"


def test_the_search_space_is_that_of_the_specification():
    search = {control.name: control.search for control in controls(CLUDISettings) if control.search is not None}
    assert search["embedding_dim"] == [32, 64, 128] and search["learning_rate"] == (1e-5, 1e-3)
    assert search["diffusion_steps"] == [500, 750, 1000] and search["batch_diffusion"] == [4, 8, 16]
    assert search["rescaling_factor"] == [25.0, 49.0, 100.0] and search["ce_lambda"] == [25.0, 50.0, 75.0, 100.0]
    assert search["warmup_epochs"] == [0, 1, 2]
    assert all(
        control.minimum is not None and control.maximum is not None
        for control in controls(CLUDISettings)
        if control.kind in ("int", "float")
    )


@pytest.mark.parametrize("name", ["cludi", "cpp"])
def test_it_is_registered_and_light_to_import(name):
    assert METHODS[name].kind == "deep" and METHODS[name].takes == "vectors"
    code = f"import sys; from engine.clustering.registry import METHODS; METHODS['{name}'].settings_class; "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
