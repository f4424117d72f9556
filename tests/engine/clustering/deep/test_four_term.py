"""The four-term head: its terms against the formula, gradients term by term, the start from centres, the contract."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.clustering.deep.data import Features, Normaliser
from engine.clustering.deep.four_term.estimator import FourTermHead
from engine.clustering.deep.four_term.network import FourTermNetwork, four_terms
from engine.clustering.deep.four_term.settings import FourTermHeadSettings
from engine.clustering.deep.four_term.task import FourTermTask, start_from_centers
from engine.clustering.registry import METHODS
from engine.core.errors import CheckpointError, InputError
from engine.evaluation.agreement import accuracy
from tests.engine.clustering.deep.common import Listener, groups

CPU = torch.device("cpu")
SMALL = {
    "n_clusters": 3,
    "hidden_dim": 16,
    "projection_dim": 8,
    "batch_size": 32,
    "n_epochs": 6,
    "device": "cpu",
    "warm_start_steps": 40,
}
TERMS = ("conditional", "agreement", "balance", "distance")


def network(n_in=12, seed=0):
    torch.manual_seed(seed)
    return FourTermNetwork(n_in=n_in, n_hidden=16, n_projection=8, n_clusters=3)


def task_on(table):
    return FourTermTask(network(), Features(table, CPU, Normaliser("l2")), FourTermHeadSettings(**SMALL))


class Run:
    """The little of a trainer that a loss reads."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def autocast(self):
        from contextlib import nullcontext

        return nullcontext()


def test_the_four_terms_equal_their_formulas():
    rng = np.random.default_rng(0)
    logits, other = rng.standard_normal((2, 7, 4))
    z, z_other = rng.standard_normal((2, 7, 5))
    p, q = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (logits, other))
    conditional = sum(-p[i][c] * math.log(p[i][c]) for i in range(7) for c in range(4)) / 7
    agreement = (
        sum(-(p[i][c] * math.log(q[i][c]) + q[i][c] * math.log(p[i][c])) / 2 for i in range(7) for c in range(4)) / 7
    )
    mean = p.mean(axis=0)
    balance = sum(-value * math.log(value) for value in mean)
    distance = sum((z[i][j] - z_other[i][j]) ** 2 for i in range(7) for j in range(5)) / 35
    found = four_terms(*(torch.tensor(x, dtype=torch.float32) for x in (z, z_other, logits, other)))
    expected = {"conditional": conditional, "agreement": agreement, "balance": balance, "distance": distance}
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-6), name
    whole = 1.0 * conditional + 2.0 * agreement - 1.5 * balance + 0.1 * distance
    assert float(found["loss"]) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("term", TERMS)
def test_each_term_alone_moves_what_it_can_reach(term):
    table, _ = groups()
    task = task_on(table)
    task.loss(torch.arange(64), Run())[term].backward()
    without = {name for name, p in task.model.named_parameters() if p.grad is None or float(p.grad.abs().sum()) == 0}
    assert without == ({"classifier.weight"} if term == "distance" else set())


def test_the_whole_loss_gives_every_parameter_a_gradient_in_every_unit_of_the_classifier():
    table, _ = groups()
    task = task_on(table)
    task.loss(torch.arange(64), Run())["loss"].backward()
    for name, parameter in task.model.named_parameters():
        assert float(parameter.grad.abs().sum()) > 0, name
    assert (task.model.classifier.weight.grad.abs().sum(dim=1) > 0).all()


def test_agreement_has_a_gradient_through_both_views():
    z = torch.zeros(4, 5)
    one, two = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    four_terms(z, z, one, two)["agreement"].backward()
    assert one.grad.abs().sum() > 0 and two.grad.abs().sum() > 0


def test_linear_layers_before_a_batch_norm_have_no_bias():
    modules = list(network().projection)
    linears = [module for module in modules if isinstance(module, torch.nn.Linear)]
    assert len(linears) == 3 and all(module.bias is None for module in linears)
    assert network().classifier.bias is None


def test_the_start_sets_norm_statistics_and_projects_the_centres_in_evaluation_mode():
    table, truth = groups(spread=0.1)
    model, features = network(), Features(table, CPU, Normaliser("l2"))
    unit = torch.from_numpy(table / np.linalg.norm(table, axis=1, keepdims=True))
    centers = torch.stack([unit[truth == k].mean(dim=0) for k in range(3)])
    start_from_centers(model, features, centers, batch=150)
    first = model.projection[0](unit)
    torch.testing.assert_close(model.projection[1].running_mean, first.mean(dim=0), rtol=1e-4, atol=1e-5)
    assert model.training and model.projection[1].momentum == 0.1
    model.eval()
    torch.testing.assert_close(model.classifier.weight, model.project(centers))
    assert accuracy(truth, model(unit)[1].argmax(dim=1).numpy()) > 0.9


@pytest.fixture(scope="module")
def fitted():
    table, truth = groups()
    listener = Listener()
    return FourTermHead(FourTermHeadSettings(**SMALL)).fit(table, progress=listener), table, truth, listener


def test_fit_recovers_planted_groups_and_keeps_the_contract(fitted):
    model, table, truth, listener = fitted
    assert accuracy(truth, model.labels_) > 0.95
    assert model.labels_.dtype == np.int32 and model.confidence_.dtype == np.float32
    assert (np.diff(np.bincount(model.labels_)) <= 0).all()
    assert ((model.confidence_ > 0) & (model.confidence_ <= 1)).all()
    np.testing.assert_allclose(np.linalg.norm(model.centers_, axis=1), 1, rtol=1e-5)
    assert set(TERMS) <= set(listener.metrics[0]) and listener.shown
    np.testing.assert_array_equal(model.predict(table), model.labels_)
    np.testing.assert_array_equal(model.predict(table * 9), model.labels_)


def test_a_saved_model_predicts_the_same(fitted, tmp_path):
    model, table, _, _ = fitted
    model.save(tmp_path / "model.pt")
    np.testing.assert_array_equal(FourTermHead.load(tmp_path / "model.pt").predict(table), model.labels_)
    from engine.clustering.deep.temi.estimator import TEMI

    with pytest.raises(CheckpointError, match="does not hold a TEMI"):
        TEMI.load(tmp_path / "model.pt")


def test_a_stopped_fit_resumes_to_the_same_weights(fitted, tmp_path):
    model, table, _, _ = fitted
    FourTermHead(model.settings).fit(table, progress=Listener(10), checkpoints=tmp_path)
    resumed = FourTermHead(model.settings).fit(table, checkpoints=tmp_path)
    np.testing.assert_array_equal(resumed.losses_, model.losses_)
    np.testing.assert_array_equal(resumed.confidence_, model.confidence_)


def test_without_a_start_it_trains_from_random_weights_and_reads_no_graph():
    table, truth = groups()
    model = FourTermHead(FourTermHeadSettings(**SMALL | {"warm_start": "none", "n_epochs": 40}))
    assert not model.wants_graph
    model.fit(table)
    assert model.start_labels_ is None and accuracy(truth, model.labels_) > 0.6
    assert model.losses_[-10:].mean() < model.losses_[0] - 1


def test_presets_and_bad_input():
    assert FourTermHeadSettings(preset="paper").resolved(1797, "cpu").hidden_dim == 2048
    assert FourTermHeadSettings(preset="paper").resolved(1797, "cpu").warm_start_steps == 0
    resolved = FourTermHeadSettings().resolved(1797, "cpu")
    assert resolved.resolved(1797, "cpu") == resolved and resolved.n_epochs * 7 >= 500
    with pytest.raises(InputError, match="too few to train"):
        FourTermHead(FourTermHeadSettings(**SMALL | {"n_clusters": 80})).fit(groups()[0])
    with pytest.raises(InputError, match="larger than the 150 images"):
        FourTermHead(FourTermHeadSettings(preset="paper", batch_size=512, n_clusters=3)).fit(groups()[0])
    assert METHODS["four_term"].settings_class is FourTermHeadSettings
