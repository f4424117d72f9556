"""TEMI: the loss against its formula, the stacked heads, the estimator's contract and its bad inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from engine.clustering.deep.data import Features, Normaliser
from engine.clustering.deep.diagnosis import neighbor_agreement, worse_than_start
from engine.clustering.deep.presets import batch_for, epochs_for, neighbors_for, warm_start_for, warmup_for
from engine.clustering.deep.start_labels import shared_neighbors, smoothed, starting_labels
from engine.clustering.deep.temi.estimator import TEMI
from engine.clustering.deep.temi.network import StackedHeads, StackedLinear, temi_loss
from engine.clustering.deep.temi.partners import partners_of
from engine.clustering.deep.temi.settings import TEMISettings
from engine.clustering.deep.temi.task import TemiTask
from engine.clustering.deep.trainer import Trainer
from engine.clustering.registry import METHODS, find_method
from engine.core.errors import CheckpointError, InputError
from engine.evaluation.agreement import accuracy
from engine.geometry.neighbors import build_graph
from tests.engine.clustering.deep.common import Listener, groups

CPU = torch.device("cpu")
SMALL = {
    "n_clusters": 3,
    "n_heads": 2,
    "hidden_dim": 16,
    "bottleneck_dim": 8,
    "batch_size": 32,
    "n_epochs": 6,
    "device": "cpu",
    "warm_start_steps": 60,
}


def softmax(row):
    top = max(row)
    exps = [math.exp(value - top) for value in row]
    return [value / sum(exps) for value in exps]


def reference(student, teacher, marginal, beta, tau=0.1):
    """The formulas of temi.md, one image and one class at a time, in float64."""
    heads, batch, classes = student[0].shape
    s = [[[softmax(view[h][i] / tau) for i in range(batch)] for h in range(heads)] for view in student]
    t = [[[softmax(view[h][i] / tau) for i in range(batch)] for h in range(heads)] for view in teacher]
    for h in range(heads):
        for c in range(classes):
            mean = sum(t[v][h][i][c] for v in range(2) for i in range(batch)) / (2 * batch)
            marginal[h][c] = 0.9 * marginal[h][c] + 0.1 * mean
    weight = [
        sum(t[0][h][i][c] * t[1][h][i][c] for h in range(heads) for c in range(classes)) / heads for i in range(batch)
    ]
    losses = []
    for h in range(heads):
        total = 0.0
        for i in range(batch):
            there = math.log(sum((s[0][h][i][c] * t[1][h][i][c]) ** beta / marginal[h][c] for c in range(classes)))
            here = math.log(sum((s[1][h][i][c] * t[0][h][i][c]) ** beta / marginal[h][c] for c in range(classes)))
            total += weight[i] * (there + here)
        losses.append(-0.5 * total / batch)
    return losses


@pytest.mark.parametrize("beta", [0.6, 1.0])
def test_the_loss_equals_its_formula_over_three_steps(beta):
    rng = np.random.default_rng(0)
    marginal, slow = torch.full((4, 6), 1 / 6), [[1 / 6] * 6 for _ in range(4)]
    for _ in range(3):
        student, teacher = (0.3 * rng.standard_normal((2, 4, 9, 6)) for _ in range(2))
        found = temi_loss(
            tuple(torch.tensor(student, dtype=torch.float32)),
            tuple(torch.tensor(teacher, dtype=torch.float32)),
            marginal,
            beta=beta,
        )
        expected = reference(student, teacher, slow, beta)
        np.testing.assert_allclose(found.heads.numpy(), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(marginal.numpy(), slow, rtol=1e-6, atol=1e-6)


def test_at_uniform_probabilities_the_loss_is_the_known_plateau():
    zero = torch.zeros(1, 5, 10)
    found = temi_loss((zero, zero), (zero, zero), torch.full((1, 10), 0.1), beta=0.6)
    assert float(found.pmi) == pytest.approx(1.842, abs=1e-3)
    assert float(found.weight) == pytest.approx(0.1)
    assert float(found.heads) == pytest.approx(-0.184, abs=1e-3)


def test_the_loss_stays_finite_where_probabilities_underflow():
    far = 100 * torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    far.requires_grad_()
    found = temi_loss((far, far.flip(1)), (far.detach(), far.detach().flip(1)), torch.full((2, 5), 0.2), beta=0.6)
    found.heads.sum().backward()
    assert torch.isfinite(found.heads).all() and torch.isfinite(far.grad).all()


def test_the_teacher_gets_no_gradient():
    logits = [torch.randn(2, 4, 3, requires_grad=True) for _ in range(4)]
    temi_loss((logits[0], logits[1]), (logits[2], logits[3]), torch.full((2, 3), 1 / 3)).heads.sum().backward()
    assert logits[0].grad.abs().sum() > 0 and logits[1].grad.abs().sum() > 0
    assert logits[2].grad is None and logits[3].grad is None


def task_on(table, *, frozen=0, heads=2, seed=0):
    torch.manual_seed(seed)
    model = StackedHeads(n_heads=heads, n_in=table.shape[1], n_hidden=16, n_bottleneck=8, n_clusters=3)
    settings = TEMISettings(**SMALL | {"warm_start": "none" if frozen else "graph"})
    return TemiTask(model, Features(table, CPU), build_graph(table, k=5).indices, settings)


def run_on(task, n, settings=None):
    settings = settings or TEMISettings(**SMALL)
    return Trainer(task, task.plan(n), n=n, method="temi", settings=settings, device=CPU)


def test_every_trainable_parameter_receives_a_gradient_in_every_head():
    table, _ = groups()
    task = task_on(table)
    run = run_on(task, len(table))
    task.loss(torch.arange(32), run)["loss"].backward()
    names = []
    for name, parameter in task.model.named_parameters():
        assert (parameter.grad.abs().flatten(1).sum(dim=1) > 0).all(), name
        names.append(name)
    assert names == ["first.weight", "first.bias", "second.weight", "second.bias", "last.direction", "last.gain"]


def test_weight_decay_reaches_the_weights_only():
    task = task_on(groups()[0])
    run = run_on(task, 150)
    names = {id(parameter): name for name, parameter in task.model.named_parameters()}
    decayed = {
        names[id(p)] for group in run.optimiser.param_groups if group["weight_decay"] > 0 for p in group["params"]
    }
    assert decayed == {"first.weight", "second.weight", "last.direction"}


def test_the_last_layer_is_frozen_in_epoch_zero_only():
    task = task_on(groups()[0], frozen=1)
    run = run_on(task, 150)
    before = task.model.last.direction.clone()
    for step in range(run.steps_per_epoch):
        run._one_step()
        run.step = step + 1
    assert torch.equal(task.model.last.direction, before)
    run._one_step()
    assert not torch.equal(task.model.last.direction, before)


def test_stacked_heads_equal_separate_heads():
    torch.manual_seed(0)
    model = StackedHeads(n_heads=3, n_in=6, n_hidden=16, n_bottleneck=8, n_clusters=4)
    x = torch.randn(5, 6)
    for h in range(3):
        hidden = torch.nn.functional.gelu(x @ model.first.weight[h] + model.first.bias[h])
        z = torch.nn.functional.normalize(hidden @ model.second.weight[h] + model.second.bias[h], dim=1)
        direction = model.last.direction[h]
        weight = model.last.gain[h][:, None] * direction / direction.norm(dim=1, keepdim=True)
        torch.testing.assert_close(model(x)[h], z @ weight.T)


def test_partners_are_neighbours_and_never_the_image_itself_even_among_duplicates():
    table = np.repeat(groups(20)[0], 6, axis=0)
    task = task_on(table)
    asked = []
    real = task.features

    class Spy:
        def __getitem__(self, rows):
            asked.append(rows)
            return real[rows]

    task.features = Spy()
    run = run_on(task, len(table))
    for _ in range(20):
        task.loss(torch.arange(120), run)
    partners = torch.stack([rows[120:] for rows in asked])
    assert (partners != torch.arange(120)).all()
    graph = task.neighbors
    assert all(set(partners[:, i].tolist()) <= set(graph[i].tolist()) for i in range(120))
    assert len({tuple(row) for row in partners.tolist()}) > 1


def slow_partners(graph, k, rule):
    """Return each row's set of partners by the rules as they are written."""
    found = []
    for row in range(len(graph)):
        near, similar = graph.indices[row, :k].tolist(), graph.similarities[row, :k].tolist()
        if rule == "mutual":
            kept = [other for other in near if row in graph.indices[other, :k]]
            kept += [other for other in near if other not in kept][: max(0, 5 - len(kept))]
        else:
            falls = {size: similar[size - 1] - similar[size] for size in range(5, k)}
            kept = near[: max(falls, key=falls.get)]
        found.append(set(kept))
    return found


@pytest.mark.parametrize("rule", ["mutual", "gap"])
def test_partners_by_their_rule_are_those_of_a_slow_reference_and_alone_are_drawn(rule):
    table, _ = groups(90, spread=0.9)
    graph = build_graph(table, k=12)
    partners, counts = partners_of(graph, 12, rule)
    expected = slow_partners(graph, 12, rule)
    assert [set(row[:count].tolist()) for row, count in zip(partners, counts, strict=True)] == expected
    assert counts.min() >= 5 and len(set(counts.tolist())) > 2 and counts.max() <= 12
    assert all(set(row) == set(near) for row, near in zip(partners.tolist(), graph.indices.tolist(), strict=True))

    model = StackedHeads(n_heads=1, n_in=table.shape[1], n_hidden=8, n_bottleneck=8, n_clusters=3)
    task = TemiTask(model, Features(table, CPU), partners, TEMISettings(**SMALL), counts)
    drawn = [set() for _ in range(90)]
    real = task.features
    task.features = type("Spy", (), {"__getitem__": lambda _, rows: (asked.append(rows), real[rows])[1]})()
    run, asked = run_on(task, 90), []
    for _ in range(120):
        task.loss(torch.arange(90), run)
    for rows in asked:
        for row, partner in enumerate(rows[90:].tolist()):
            drawn[row].add(partner)
    assert all(seen <= wanted for seen, wanted in zip(drawn, expected, strict=True))
    assert sum(map(len, drawn)) > 0.95 * counts.sum()


def test_fixed_partners_are_all_and_few_neighbours_are_never_cut():
    graph = build_graph(groups(40)[0], k=8)
    for rule, k in (("fixed", 8), ("mutual", 5), ("gap", 4)):
        partners, counts = partners_of(graph, k, rule)
        assert np.array_equal(partners, graph.indices[:, :k]) and (counts == k).all()


def test_equal_similarities_have_no_gap():
    graph = build_graph(np.repeat(groups(6)[0], 20, axis=0), k=10)
    assert (partners_of(graph, 10, "gap")[1] == 10).all()


@pytest.fixture(scope="module")
def fitted():
    table, truth = groups()
    listener = Listener()
    return TEMI(TEMISettings(**SMALL)).fit(table, progress=listener), table, truth, listener


def test_fit_recovers_planted_groups_and_keeps_the_contract(fitted):
    model, table, truth, listener = fitted
    assert accuracy(truth, model.labels_) > 0.95
    assert model.labels_.dtype == np.int32 and model.confidence_.dtype == np.float32
    assert set(np.unique(model.labels_)) == {0, 1, 2}
    sizes = np.bincount(model.labels_)
    assert (np.diff(sizes) <= 0).all()
    assert ((model.confidence_ > 0) & (model.confidence_ <= 1)).all()
    assert model.extra_["confidence_mean"].shape == (150,)
    np.testing.assert_allclose(np.linalg.norm(model.centers_, axis=1), 1, rtol=1e-5)
    assert model.settings.n_neighbors == 50 and model.resolved_.n_neighbors == 10
    assert {"loss", "pmi", "weight"} <= set(listener.metrics[0]) and listener.shown
    assert model.get_params()["n_clusters"] == 3


def test_it_labels_unseen_images_and_its_own_alike(fitted):
    model, table, truth, _ = fitted
    np.testing.assert_array_equal(model.predict(table), model.labels_)
    unseen, unseen_truth = groups(60)
    noise = np.random.default_rng(9).standard_normal(unseen.shape).astype(np.float32) * 0.05
    assert accuracy(unseen_truth, model.predict(unseen + noise)) > 0.95


def test_a_saved_model_predicts_the_same(fitted, tmp_path):
    model, table, _, _ = fitted
    model.save(tmp_path / "model.pt")
    again = TEMI.load(tmp_path / "model.pt")
    labels, confidence = again.predict_confidence(table)
    np.testing.assert_array_equal(labels, model.labels_)
    np.testing.assert_allclose(confidence, model.confidence_, rtol=1e-5)
    assert again.resolved_ == model.resolved_
    with pytest.raises(CheckpointError):
        (tmp_path / "bad.pt").write_bytes(b"no")
        TEMI.load(tmp_path / "bad.pt")


def test_the_same_seed_gives_the_same_result_and_scale_does_not_matter(fitted):
    model, table, _, _ = fitted
    again = TEMI(model.settings).fit(table)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    np.testing.assert_array_equal(again.losses_, model.losses_)
    larger = TEMI(model.settings).fit(table * 64)
    np.testing.assert_array_equal(larger.labels_, model.labels_)
    other = TEMI(model.settings.changed(random_state=1)).fit(table)
    assert not np.array_equal(other.losses_, model.losses_)


def test_a_stopped_fit_resumes_to_the_same_labels(fitted, tmp_path):
    model, table, _, _ = fitted
    stopped = TEMI(model.settings).fit(table, progress=Listener(9), checkpoints=tmp_path)
    assert len(stopped.losses_) == 9 and any("Stopped early" in note for note in stopped.notes_)
    resumed = TEMI(model.settings).fit(table, checkpoints=tmp_path)
    np.testing.assert_array_equal(resumed.losses_, model.losses_)
    np.testing.assert_array_equal(resumed.confidence_, model.confidence_)
    assert resumed.head_ == model.head_
    with pytest.raises(CheckpointError, match="beta was 0.8, now it is 0.9"):
        TEMI(model.settings.changed(beta=0.9)).fit(table, checkpoints=tmp_path)


def test_published_settings_on_a_small_set_are_told_as_not_trained():
    table, _ = groups(300)
    settings = TEMISettings(
        n_clusters=3,
        preset="paper",
        n_heads=2,
        hidden_dim=64,
        bottleneck_dim=128,
        batch_size=64,
        n_epochs=3,
        warm_start="none",
        device="cpu",
    )
    model = TEMI(settings).fit(table)
    assert any(note.startswith("It did not train: loss -0.") for note in model.notes_)
    assert not any(note.startswith("It did not train") for note in TEMI(TEMISettings(**SMALL)).fit(table).notes_)


def test_a_start_from_a_run_is_checked_and_used():
    table, truth = groups()
    settings = TEMISettings(**SMALL | {"warm_start": "run"})
    with pytest.raises(InputError, match="needs the labels of a run"):
        TEMI(settings).fit(table)
    with pytest.raises(InputError, match="labels 10 images, these are 150"):
        TEMI(settings).start_from(np.zeros(10, dtype=np.int32)).fit(table)
    with pytest.raises(InputError, match="4 clusters, more than the 3"):
        TEMI(settings).start_from(np.arange(150) % 4).fit(table)
    given = np.where(np.arange(150) < 20, -1, truth * 7)
    model = TEMI(settings).start_from(given).fit(table)
    assert accuracy(truth, model.labels_) > 0.95
    assert set(model.start_labels_) == {-1, 0, 1, 2}


def test_a_start_that_training_made_worse_is_told():
    table, truth = groups()
    graph = build_graph(table, k=15)
    start = truth.astype(np.int32)
    worse = np.random.default_rng(0).permutation(start)
    assert "ended below its own start" in worse_than_start(start, worse, graph.indices)
    assert worse_than_start(start, (start + 1) % 3, graph.indices) is None


@pytest.mark.parametrize(
    ("change", "n", "sentence"),
    [
        ({"n_clusters": 40}, 60, "60 images are too few to train 40 clusters"),
        ({"n_clusters": 40, "preset": "paper", "n_neighbors": 5}, 100, "A batch of 32 is smaller than the 40 clusters"),
        ({"preset": "paper", "batch_size": 512}, 60, "batch of 512 is larger than the 60 images"),
        ({"preset": "paper", "n_neighbors": 60}, 60, "60 neighbours cannot be drawn from 60 images"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(change, n, sentence):
    table, _ = groups(n)
    with pytest.raises(InputError, match=sentence):
        TEMI(TEMISettings(**SMALL | change)).fit(table)


def test_a_batch_raised_for_many_clusters_is_told():
    table, _ = groups(1300)
    small = {name: value for name, value in SMALL.items() if name != "batch_size"} | {"n_clusters": 300, "n_epochs": 1}
    model = TEMI(TEMISettings(**small)).fit(table)
    assert model.resolved_.batch_size == 600
    assert "The batch was raised from 512 to 600 so that it can show each of the 300 clusters." in model.notes_
    assert TEMISettings(**small, batch_size=320).resolved(1300, "cpu").batch_size == 320


def test_nan_embeddings_are_refused_naming_the_row():
    table, _ = groups()
    table[17, 3] = np.nan
    with pytest.raises(InputError, match="row 17"):
        TEMI(TEMISettings(**SMALL)).fit(table)


def test_constant_rows_and_one_group_do_not_break_it():
    table = np.ones((40, 5), dtype=np.float32)
    table[:3] = 0
    model = TEMI(TEMISettings(**SMALL | {"batch_size": 16, "n_epochs": 2})).fit(table)
    assert len(model.labels_) == 40 and np.isfinite(model.confidence_).all()


def test_the_preset_fits_published_values_to_the_data_and_keeps_what_a_person_changed():
    resolved = TEMISettings(n_clusters=10).resolved(1797, "cpu")
    assert resolved.resolved(1797, "cpu") == resolved
    steps = resolved.n_epochs * (1797 // resolved.batch_size)
    assert resolved.min_steps <= steps < resolved.min_steps + 1797 // resolved.batch_size
    assert resolved.warmup_epochs <= resolved.n_epochs // 10
    assert TEMISettings(learning_rate=2e-4, n_heads=7).resolved(1797, "cpu").learning_rate == 2e-4
    assert TEMISettings(n_heads=7).resolved(1797, "cpu").n_heads == 7
    assert TEMISettings(n_epochs=3).resolved(1797, "cpu").n_epochs == 3
    paper = TEMISettings(preset="paper")
    assert paper.resolved(1797, "cuda") == paper.changed(warm_start="none")
    assert TEMISettings(preset="paper", warm_start="graph").resolved(1797, "cuda").warm_start == "graph"
    assert TEMISettings().resolved(50_000, "cuda").n_epochs == 200
    assert TEMISettings(n_clusters=600).resolved(5000, "cpu").batch_size == 1200


def test_a_value_that_is_given_trains_also_where_it_is_the_published_one():
    published = TEMISettings().model_dump(exclude={"preset", "warm_start", "device"})
    assert TEMISettings(**published).resolved(5000, "cpu").model_dump(include=published) == published
    few = TEMISettings(n_neighbors=50, batch_size=512, n_clusters=3).resolved(40, "cpu")
    assert (few.n_neighbors, few.batch_size) == (39, 20)
    changed = TEMISettings(beta=0.6).changed(n_heads=2)
    assert changed.given() == {"beta": 0.6, "n_heads": 2}
    assert changed.resolved(1797, "cpu").beta == 0.6


def test_what_cannot_be_kept_and_what_is_chosen_are_said_before_it_trains():
    table, _ = groups(60)
    listener = Listener()
    model = TEMI(TEMISettings(**SMALL | {"n_neighbors": 100, "n_epochs": 1})).fit(table, progress=listener)
    assert "With 60 images n_neighbors is 59 instead of 100." in model.notes_
    told = next(sentence for sentence in listener.said if "steps on CPU, about" in sentence)
    assert "Learning rate 0.003" in told and "Beta 0.8" in told


def test_the_paper_is_trained_cold_with_a_constant_teacher_and_decay_of_the_weights_alone():
    table, _ = groups(60)
    settings = TEMISettings(**SMALL | {"preset": "paper"}).resolved(60, "cpu")
    model = TEMI(settings)
    model.resolved_ = settings
    task = model._task(Features(table, CPU, Normaliser("none").fit(table)), build_graph(table, k=16))
    plan = task.plan(60)
    assert (plan.ema, plan.ema_warmup, plan.schedule, task.frozen_epochs) == (0.996, False, "constant", 1)


def test_preset_rules_follow_the_specification():
    assert batch_for("data", 512, 300, n_clusters=10) == 150
    assert batch_for("data", 64, 300, n_clusters=20, per_cluster=4) == 80
    assert neighbors_for("data", 50, 341, 10) == 17
    assert neighbors_for("data", 50, 60, 10) == 5
    assert neighbors_for("data", 50, 4, 2) == 3
    assert epochs_for("data", 100, 50_000, batch_size=500, min_steps=2000) == 100
    assert epochs_for("data", 100, 500, batch_size=250, min_steps=2000) == 1000
    assert (warmup_for("data", 20, 50), warmup_for("paper", 20, 50)) == (5, 20)


def test_a_warm_start_to_many_clusters_takes_more_steps():
    assert [warm_start_for(TEMISettings(n_clusters=k)) for k in (2, 20, 50, 1000)] == [150, 150, 375, 1500]
    assert warm_start_for(TEMISettings(n_clusters=50, warm_start_steps=40)) == 40
    assert warm_start_for(TEMISettings(n_clusters=50, preset="paper")) == 150
    for name in ("temi", "cludi", "cpp"):
        given = find_method(name).settings_class(n_clusters=50)
        assert given.resolved(3000, "cpu").warm_start_steps == 2.5 * given.warm_start_steps


def test_neighbour_averages_make_a_better_start_than_the_embeddings():
    table, truth = load_digits(return_X_y=True)
    table = table.astype(np.float32)
    graph = build_graph(table, k=15)
    plain = starting_labels("kmeans", table, graph, n_clusters=10, random_state=0)
    start = starting_labels("graph", table, graph, n_clusters=10, random_state=0)
    assert accuracy(truth, start) > accuracy(truth, plain) + 0.03
    assert starting_labels("none", table, graph, n_clusters=10, random_state=0) is None
    np.testing.assert_allclose(np.linalg.norm(smoothed(table, graph), axis=1), 1, rtol=1e-5)


def test_shared_neighbours_weigh_edges_as_counted_one_by_one():
    table, _ = groups(60, spread=0.5)
    indices = build_graph(table, k=6).indices
    own = [{row, *indices[row].tolist()} for row in range(60)]
    wanted = np.array(
        [[len(a & b) ** 2 if j in a or i in b else 0 for j, b in enumerate(own)] for i, a in enumerate(own)]
    )
    np.testing.assert_array_equal(shared_neighbors(indices).toarray(), wanted)


def test_many_unequal_clusters_in_families_get_a_good_start():
    """Edges that all weigh the same blend the families: 0.88."""
    rng = np.random.default_rng(0)
    truth = rng.choice(40, size=1500, p=rng.dirichlet(np.full(40, 4.0)))
    centers = rng.normal(size=(8, 64))[np.arange(40) % 8] + 0.6 * rng.normal(size=(40, 64))
    directions = rng.normal(size=(40, 12, 64)) / 12**0.5
    within = np.einsum("nj,njd->nd", rng.normal(size=(1500, 12)), directions[truth])
    table = (centers[truth] + 0.8 * within + 0.8 * rng.normal(size=(1500, 64))).astype(np.float32)
    start = starting_labels("graph", table, build_graph(table, k=15), n_clusters=40, random_state=0)
    assert accuracy(truth, start) > 0.93


def test_neighbour_agreement_is_zero_for_chance_and_one_for_pure():
    table, truth = groups(300, spread=0.1)
    graph = build_graph(table, k=10)
    shuffled = np.random.default_rng(0).permutation(truth).astype(np.int32)
    assert neighbor_agreement(truth.astype(np.int32), graph.indices) == pytest.approx(1.0)
    assert abs(neighbor_agreement(shuffled, graph.indices)) < 0.05
    assert neighbor_agreement(np.zeros(300, dtype=np.int32), graph.indices) == 0.0


def test_it_is_registered_and_light_to_import():
    import subprocess
    import sys

    assert METHODS["temi"].kind == "deep" and METHODS["temi"].settings_class is TEMISettings
    code = (
        "import sys; from engine.clustering.registry import METHODS; METHODS['temi'].settings_class; "
        "METHODS['four_term'].settings_class; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_is_clearly_better_than_k_means_on_digits():
    table, truth = load_digits(return_X_y=True)
    table = (table / 16).astype(np.float32)
    model = TEMI(TEMISettings(n_heads=2, hidden_dim=64, bottleneck_dim=64, min_steps=150, warm_start_steps=100)).fit(
        table
    )
    plain = METHODS["kmeans"].build(METHODS["kmeans"].settings_class(n_clusters=10)).fit(table)
    assert accuracy(truth, model.labels_) > accuracy(truth, plain.labels_) + 0.04
    assert not any("did not train" in note or "below its own" in note for note in model.notes_)


def test_under_autocast_shared_rows_are_cast_before_every_head_reads_them():
    torch.manual_seed(0)
    layer, rows = StackedLinear(6, 5, 4), torch.randn(7, 5)
    each = rows.expand(6, 7, 5).clone()
    seen = []
    real = torch.baddbmm
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "baddbmm", lambda bias, x, weight: seen.append(x) or real(bias, x, weight))
        assert torch.equal(layer(rows), layer(each))
    assert seen[0].dtype == torch.bfloat16 and seen[0].untyped_storage().nbytes() == 7 * 5 * 2
    assert torch.equal(layer(rows), layer(each))
