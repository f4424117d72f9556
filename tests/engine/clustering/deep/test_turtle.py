"""TURTLE: its two loops against formulas written out, planted groups, several spaces, when it stops, the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.clustering.deep.data import Features, Normaliser
from engine.clustering.deep.turtle.estimator import TURTLE
from engine.clustering.deep.turtle.network import LinearClassifiers, TaskEncoders, turtle_loss
from engine.clustering.deep.turtle.settings import TURTLESettings
from engine.clustering.deep.turtle.task import TurtleTask
from engine.core.errors import InputError
from engine.evaluation.agreement import accuracy, ari
from tests.engine.clustering.deep.common import Listener, groups

CPU = torch.device("cpu")
SMALL = {"n_clusters": 3, "n_heads": 2, "n_epochs": 60, "device": "cpu"}


class Run:
    """The little of a trainer that a loss reads."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def outer_loss(weights, gains, biases, spaces, classifiers, gamma):
    """The paper's outer objective in float64, for one labelling: sum_s CE(w_s Z_s, tau) - gamma sum_s H(mean tau_s)."""
    taus = [
        softmax(z @ (v * g / np.linalg.norm(v, axis=0)) + b)
        for z, v, g, b in zip(spaces, weights, gains, biases, strict=True)
    ]
    tau = np.mean(taus, axis=0)
    loss = 0.0
    for z, (w, c), own in zip(spaces, classifiers, taus, strict=True):
        loss -= np.mean(np.sum(tau * np.log(softmax(z @ w + c)), axis=1))
        mean = own.mean(axis=0)
        loss -= gamma * -np.sum(mean * np.log(mean))
    return loss


def test_the_outer_gradient_equals_that_of_the_formula():
    """Two spaces, one head; central differences of the float64 formula for every parameter."""
    rng = np.random.default_rng(0)
    widths, n, k, gamma = (3, 2), 9, 3, 2.5
    torch.manual_seed(1)
    model = TaskEncoders(widths=widths, n_heads=1, n_clusters=k).double()
    spaces = [rng.standard_normal((n, width)) for width in widths]
    classifiers = [(rng.standard_normal((width, k)), rng.standard_normal(k)) for width in widths]
    learned = [
        torch.from_numpy(np.log(softmax(z @ w + c)))[:, None] for z, (w, c) in zip(spaces, classifiers, strict=True)
    ]
    logits = model.logits(torch.from_numpy(np.concatenate(spaces, axis=1)))
    found = turtle_loss([one.softmax(dim=2) for one in logits], learned, gamma=gamma)
    found.heads.sum().backward()
    values = [[p.detach().numpy().copy() for p in part] for part in (model.direction, model.gain, model.bias)]
    whole = outer_loss(*values, spaces, classifiers, gamma)
    assert float(found.heads[0].detach()) == pytest.approx(whole + gamma * len(widths) * np.log(k), rel=1e-9)
    for kind, part in enumerate((model.direction, model.gain, model.bias)):
        for space, parameter in enumerate(part):
            expected = np.empty(parameter.shape)
            for at in np.ndindex(*parameter.shape):
                kept = values[kind][space][at]
                ends = []
                for change in (1e-6, -1e-6):
                    values[kind][space][at] = kept + change
                    ends.append(outer_loss(*values, spaces, classifiers, gamma))
                values[kind][space][at] = kept
                expected[at] = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-6, atol=1e-8)


def test_the_inner_loop_equals_torchs_adam_on_each_head_alone():
    rng = torch.Generator().manual_seed(0)
    x, heads, k = torch.randn(40, 6, generator=rng), 2, 3
    tau = torch.randn(40, heads, k, generator=rng).softmax(dim=2)
    classifiers = LinearClassifiers(6, n_heads=heads, n_clusters=k)
    classifiers.restart(rng)
    start = classifiers.weight.clone()
    expected = []
    for head in range(heads):
        layer = torch.nn.Linear(6, k)
        columns = start[:, head * k : (head + 1) * k].clone()
        layer.weight.data, layer.bias.data = columns[:-1].T.contiguous(), columns[-1].clone()
        optimiser = torch.optim.Adam(layer.parameters(), lr=1e-3)
        for _ in range(10):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(x), tau[:, head]).backward()
            optimiser.step()
        expected.append(layer(x).log_softmax(dim=1).detach())
    for n_steps in (7, 3):
        classifiers.fit(x, tau, n_steps=n_steps, learning_rate=1e-3)
    torch.testing.assert_close(classifiers(x), torch.stack(expected, dim=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inner_start", ["warm", "cold"])
def test_no_gradient_reaches_the_task_encoder_through_the_classifiers(inner_start):
    """The whole loss has the gradient of the loss with the classifiers' answers held fixed."""
    table, _ = groups(60)
    torch.manual_seed(0)
    model = TaskEncoders(widths=(12,), n_heads=2, n_clusters=3)
    features = Features(table, CPU, Normaliser("standardise").fit(table))
    settings = TURTLESettings(**SMALL | {"inner_start": inner_start})
    task = TurtleTask(model, features, settings)
    before = model.classifiers[0].weight.clone()
    task.loss(torch.arange(60), Run())["loss"].backward()
    whole = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    assert not torch.equal(model.classifiers[0].weight, before)
    learned = model.classifiers[0](features.whole)
    assert not learned.requires_grad
    turtle_loss(model(features.whole), [learned], gamma=settings.gamma).heads.mean().backward()
    for parameter, expected in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


@pytest.mark.parametrize("seed", range(10))
def test_planted_groups_are_found_from_any_seed(seed):
    table, truth = groups(240, d=20, k=4, seed=3)
    model = TURTLE(n_clusters=4, n_heads=3, random_state=seed, device="cpu").fit(table)
    assert ari(truth, model.labels_) > 0.95 and model.confidence_.mean() > 0.6


def test_the_head_is_chosen_by_what_the_caller_measures_else_by_the_loss():
    table, _ = groups(90)
    seen = []

    def last(labels):
        seen.append(labels)
        return len(seen)

    model = TURTLE(**SMALL | {"n_epochs": 5, "n_heads": 4})
    model.generalisation = last
    model.fit(table)
    assert model.head_ == 3 and len(seen) == 4 and all(len(labels) == 90 for labels in seen)


def test_seeds_repeat_and_differ():
    table, _ = groups(90)
    one, two, other = (TURTLE(**SMALL | {"n_epochs": 5}, random_state=seed).fit(table) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.confidence_, two.confidence_)
    assert not np.array_equal(one.confidence_, other.confidence_)


def test_stopped_and_resumed_equals_in_one_go(tmp_path):
    table, _ = groups(90)
    settings = TURTLESettings(**SMALL | {"n_epochs": 130})
    whole = TURTLE(settings).fit(table)
    TURTLE(settings).fit(table, checkpoints=tmp_path, progress=Listener(stop_after=77))
    resumed = TURTLE(settings).fit(table, checkpoints=tmp_path)
    assert any("Resumed at step 77" in note for note in resumed.notes_)
    np.testing.assert_array_equal(resumed.labels_, whole.labels_)
    np.testing.assert_array_equal(resumed.confidence_, whole.confidence_)
    np.testing.assert_array_equal(resumed.losses_, whole.losses_)


def test_it_ends_when_the_labels_stand_still_and_says_so(tmp_path):
    table, truth = groups(150)
    settings = TURTLESettings(n_clusters=3, device="cpu", min_steps=100)
    model = TURTLE(settings).fit(table, checkpoints=tmp_path)
    assert 100 <= len(model.losses_) < 6000 and any("stand still" in note for note in model.notes_)
    assert accuracy(truth, model.labels_) > 0.95
    again = TURTLE(settings).fit(table, checkpoints=tmp_path)
    assert len(again.losses_) == len(model.losses_)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    paper = TURTLE(settings.changed(preset="paper", n_epochs=400)).fit(table)
    assert len(paper.losses_) == 400


def test_two_spaces_are_used_at_once(tmp_path):
    """The noise of one space is independent of the other's, so both together tell the groups apart better."""
    halves = [groups(240, d=20, k=4, spread=1.6, seed=seed)[0] for seed in (0, 1)]
    truth = np.arange(240) % 4
    settings = TURTLESettings(n_clusters=4, n_epochs=300, device="cpu")
    model = TURTLE(settings).fit(halves)
    alone = [ari(truth, TURTLE(settings).fit(half).labels_) for half in halves]
    assert ari(truth, model.labels_) > max(alone) + 0.05
    assert model.widths_ == (20, 20) and model.n_features_in_ == 40
    labels, confidence = model.predict_confidence(halves)
    assert (labels == model.labels_).mean() > 0.8
    model.save(tmp_path / "model.pt")
    again = TURTLE.load(tmp_path / "model.pt").predict_confidence(halves)
    np.testing.assert_array_equal(again[1], confidence)
    with pytest.raises(InputError, match="20 columns, those of fit had 20, 20"):
        model.predict(halves[0])
    with pytest.raises(InputError, match="7, 20 columns, those of fit had 20, 20"):
        model.predict([halves[0][:, :7], halves[1]])
    with pytest.raises(InputError, match="240, 239"):
        TURTLE(n_clusters=4).fit([halves[0], halves[1][1:]])
    with pytest.raises(InputError, match="no space"):
        TURTLE(n_clusters=4).fit([])


def test_a_labelling_that_is_sure_of_nothing_is_said():
    table, _ = groups(90)
    brief = TURTLE(**SMALL | {"n_epochs": 1}).fit(table)
    assert any("did not train" in note for note in brief.notes_)
    assert not any("did not train" in note for note in TURTLE(**SMALL | {"n_epochs": 300}).fit(table).notes_)


def test_constant_columns_and_equal_rows():
    table, truth = groups(150)
    wide = np.concatenate([table, np.full((150, 3), 7.0, dtype=np.float32)], axis=1)
    model = TURTLE(n_clusters=3, device="cpu").fit(wide)
    assert accuracy(truth, model.labels_) > 0.95
    copies = np.concatenate([table, np.repeat(table[:1], 60, axis=0)])
    model = TURTLE(n_clusters=3, device="cpu").fit(copies)
    assert set(model.labels_[150:].tolist()) == {int(model.labels_[0])}
    model = TURTLE(**SMALL).fit(np.ones((20, 4), dtype=np.float32))
    assert set(model.labels_.tolist()) == {0} and any("collapsed" in note for note in model.notes_)


def test_too_few_images_are_refused():
    table, _ = groups(10)
    with pytest.raises(InputError, match="too few"):
        TURTLE(n_clusters=6).fit(table)
    with pytest.raises(InputError, match="n_clusters"):
        TURTLE(n_clusters=1)
    with pytest.raises(InputError, match="too few"):
        TURTLE(n_clusters=2).fit(table[:2])


@pytest.mark.parametrize("preset", ["data", "paper"])
def test_uneven_groups_are_expected_where_a_person_says_so(preset):
    """In both presets; a gamma that was given is kept, and even groups are expected when nothing is said."""

    def gamma(**given):
        return TURTLESettings(n_clusters=3, preset=preset, **given).resolved(5000, "cpu").gamma

    assert gamma() == gamma(sizes="even") == (2.0 if preset == "data" else 10.0)
    assert gamma(sizes="uneven") == 0.5 and gamma(sizes="uneven", gamma=3.0) == 3.0


def test_batches_are_drawn_where_there_are_more_images_than_one_holds():
    table, truth = groups(300)
    model = TURTLE(n_clusters=3, batch_size=100, device="cpu").fit(table)
    assert model.resolved_.batch_size == 100 and model.resolved_.n_epochs == 667
    assert accuracy(truth, model.labels_) > 0.95


def test_unseen_images_are_placed_where_the_averaged_ones_lie():
    table, truth = groups(400, spread=0.8)
    model = TURTLE(n_clusters=3, device="cpu").fit(table[:300])
    assert model.resolved_.n_neighbors == 15 and accuracy(truth[:300], model.labels_) > 0.95
    labels, confidence = model.predict_confidence(table[300:])
    assert accuracy(truth[300:], labels) > 0.9 and confidence.mean() > 0.6
    plain = TURTLE(n_clusters=3, n_heads=1, preset="paper", n_epochs=300, device="cpu")
    assert not plain.wants_graph and plain.fit(table[:300]).resolved_.n_neighbors == 0
