"""The shared trainer: exact resume, honest checkpoints, memory, NaN, schedules."""

from __future__ import annotations

import errno
import os
import pickle
import signal

import numpy as np
import pytest
import torch

from engine.clustering.deep import data as training_data
from engine.clustering.deep.checkpoints import fingerprint, list_checkpoints, load_tensors, save_tensors, seeded
from engine.clustering.deep.data import BatchOrder, Features, Normaliser
from engine.clustering.deep.diagnosis import collapse, did_not_train
from engine.clustering.deep.forecast import human_time
from engine.clustering.deep.plan import ParameterGroup, TrainingPlan, ema_momentum, make_optimiser, rate_factor
from engine.clustering.deep.presets import DeepSettings
from engine.clustering.deep.trainer import Trainer, TrainingTask, cast_once, training_device
from engine.clustering.deep.warm_start import fit_to_labels
from engine.core.errors import CheckpointError, InputError, Interrupted, StorageError, TrainingError
from engine.core.settings import setting
from tests.engine.clustering.deep.common import Listener

CPU = torch.device("cpu")
TABLE = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)


class Toy(TrainingTask):
    """A small network with dropout, a buffer and draws of its own, so that every random state matters."""

    def __init__(self, *, largest=10**9, poison=None, table=TABLE):
        self.features = Features(table, CPU)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 3)
        )
        self.largest, self.poison = largest, poison
        self.sizes: list[int] = []

    def loss(self, rows, run):
        if len(rows) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(rows))
        noise = torch.randn(len(rows), 6, generator=run.generator) * float(run.rng.random())
        out = self.model(self.features[rows] + 0.1 * noise)
        pull, size = (out - 1).square().mean(), out.abs().mean()
        if run.step == self.poison:
            size = size * float("nan")
        return {"loss": pull + 0.1 * size, "pull": pull, "size": size}

    def labels(self, run):
        torch.rand(3), run.rng.random()
        with torch.no_grad():
            return run.model(self.features[torch.arange(50)]).argmax(dim=1).numpy().astype(np.int32)


def trainer(task=None, *, folder=None, listener=None, settings=None, data="", method="toy", **plan):
    numbers = {"n_epochs": 8, "batch_size": 16, "learning_rate": 1e-2, "ema": 0.99, "checkpoint_every": 2} | plan
    return Trainer(
        task or Toy(),
        TrainingPlan(**numbers),
        n=50,
        method=method,
        settings=settings or DeepSettings(),
        device=CPU,
        data=data,
        progress=listener or Listener(),
        checkpoints=folder,
    )


def trained(**options):
    with seeded(3, CPU):
        run = trainer(options.pop("task", None) or Toy(**options.pop("toy", {})), **options)
        return run, run.train()


def weights(run):
    return [*run.model.state_dict().values(), *run.teacher.state_dict().values()]


@pytest.mark.parametrize("stop", [1, 7, 12])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, stop, optimiser):
    whole, outcome = trained(optimiser=optimiser)
    first, _ = trained(optimiser=optimiser, folder=tmp_path, listener=Listener(stop))
    assert first.step == stop
    second, resumed = trained(optimiser=optimiser, folder=tmp_path)
    assert second.resumed and resumed.steps == outcome.steps == 24
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))
    np.testing.assert_array_equal(outcome.losses, resumed.losses)


def test_looking_at_the_labels_does_not_change_the_training():
    listened, _ = trained(listener=Listener())
    from engine.core.progress import SILENT

    with seeded(3, CPU):
        silent = Trainer(
            Toy(),
            TrainingPlan(8, 16, 1e-2, ema=0.99),
            n=50,
            method="toy",
            settings=DeepSettings(),
            device=CPU,
            progress=SILENT,
        )
        silent.train()
    assert len(listened.progress.shown) >= 8
    assert all(torch.equal(a, b) for a, b in zip(weights(listened), weights(silent), strict=True))


def test_stopping_early_keeps_what_there_is(tmp_path):
    listener = Listener(5)
    run, outcome = trained(folder=tmp_path, listener=listener)
    assert outcome.stopped and outcome.steps == 5 and len(outcome.losses) == 5
    assert list_checkpoints(tmp_path)[0][0] == 1
    assert "Stopped early at step 5 of 24, as asked." in listener.said


def test_checkpoints_appear_every_so_many_epochs_and_at_the_end(tmp_path, monkeypatch):
    from engine.clustering.deep import trainer as training

    written = []
    real = training.save_checkpoint
    monkeypatch.setattr(
        training,
        "save_checkpoint",
        lambda folder, epoch, payload, **more: written.append(epoch) or real(folder, epoch, payload, **more),
    )
    trained(folder=tmp_path, n_epochs=5, checkpoint_every=2)
    assert written == [2, 4, 5]
    assert [epoch for epoch, _ in list_checkpoints(tmp_path)] == [5, 4]


def test_a_long_epoch_is_saved_by_time_and_the_optimiser_lies_on_the_disk_once(tmp_path, monkeypatch):
    from engine.clustering.deep import trainer as training

    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)  # whenever a step ends
    run, _ = trained(folder=tmp_path, n_epochs=2, checkpoint_every=100, listener=Listener(5))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint_epoch1_step4.pt", "checkpoint_epoch1_step5.pt", "optimiser_epoch1_step5.pt"]
    assert not any("optimiser" in load_tensors(path) for _, path in list_checkpoints(tmp_path))
    again = trainer(folder=tmp_path)
    assert again.step == 5
    kept = run.optimiser.state_dict()["state"]
    assert all(
        torch.equal(kept[at]["exp_avg"], one["exp_avg"]) for at, one in again.optimiser.state_dict()["state"].items()
    )


def test_without_the_optimisers_file_it_starts_afresh_and_says_so(tmp_path):
    trained(folder=tmp_path, n_epochs=2)
    next(tmp_path.glob("optimiser_*.pt")).unlink()
    listener = Listener()
    run = trainer(folder=tmp_path, listener=listener)
    assert run.step == 6 and not run.optimiser.state_dict()["state"]
    assert any("starts afresh" in sentence for sentence in listener.said)


def test_a_checkpoint_of_an_earlier_version_holds_the_optimiser_itself(tmp_path):
    run, _ = trained(folder=tmp_path, n_epochs=2)
    newest, beside = list_checkpoints(tmp_path)[0][1], next(tmp_path.glob("optimiser_*.pt"))
    save_tensors(newest, load_tensors(newest) | {"optimiser": load_tensors(beside)["optimiser"]})
    beside.unlink()
    again = trainer(folder=tmp_path).optimiser.state_dict()["state"]
    kept = run.optimiser.state_dict()["state"]
    assert again and all(torch.equal(kept[at]["exp_avg_sq"], one["exp_avg_sq"]) for at, one in again.items())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_at_hand_and_then_ends_the_training(tmp_path, number):
    class Signalling(Listener):
        def update(self, done, total, *, phase="", unit="", **metrics):
            super().update(done, total, phase=phase, unit=unit, **metrics)
            if done == 7:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        trained(folder=tmp_path, listener=Signalling(), checkpoint_every=100)
    assert caught.value.signal == number
    assert signal.getsignal(number) is before
    assert [path.name for _, path in list_checkpoints(tmp_path)] == ["checkpoint_epoch2_step7.pt"]
    whole, outcome = trained()
    resumed, ended = trained(folder=tmp_path, checkpoint_every=100)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    np.testing.assert_array_equal(outcome.losses, ended.losses)


def test_processes_that_train_together_end_in_the_same_step():
    told = []
    with seeded(3, CPU):
        run = trainer()
        run.agree = lambda own: told.append(own) or (signal.SIGTERM if len(told) == 4 else own)
        with pytest.raises(Interrupted):
            run.train()
    assert told == [0, 0, 0, 0] and run.step == 3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": DeepSettings(n_clusters=7)}, "n_clusters was 10, now it is 7"),
        ({"data": "other"}, "other embeddings"),
        ({"method": "cludi"}, "belongs to toy, not to cludi"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused_naming_the_field(tmp_path, change, named):
    trained(folder=tmp_path, n_epochs=2)
    with pytest.raises(CheckpointError, match=named):
        trainer(folder=tmp_path, **change)


def test_a_checkpoint_from_before_a_setting_was_added_had_its_default(tmp_path):
    class Later(DeepSettings):
        added: int = setting(5, "A setting of a later version.", ge=1, le=9)

    trained(folder=tmp_path, n_epochs=2)
    assert trainer(folder=tmp_path, settings=Later()).resumed
    with pytest.raises(CheckpointError, match="added was 5, now it is 6"):
        trainer(folder=tmp_path, settings=Later(added=6))


def test_a_runtime_setting_may_differ_on_resume(tmp_path):
    trained(folder=tmp_path, n_epochs=2)
    assert trainer(folder=tmp_path, settings=DeepSettings(device="cpu")).resumed


def test_a_corrupted_checkpoint_is_told_and_the_one_before_is_used(tmp_path):
    trained(folder=tmp_path)
    newest = list_checkpoints(tmp_path)[0][1]
    newest.write_bytes(newest.read_bytes()[:-2000])
    listener = Listener()
    run = trainer(folder=tmp_path, listener=listener)
    assert run.step == 18
    assert any("checkpoint_epoch8.pt is damaged" in sentence for sentence in listener.said)
    for _, path in list_checkpoints(tmp_path):
        path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="damaged"):
        trainer(folder=tmp_path)


def test_a_checkpoint_never_runs_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path = tmp_path / "checkpoint_epoch1.pt"
    torch.save({"format": 1, "model": Evil()}, path)
    with pytest.raises(CheckpointError):
        load_tensors(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError):
        load_tensors(path)
    assert not (tmp_path / "made").exists()


def test_a_full_disk_is_told_and_neither_the_run_nor_the_old_checkpoint_is_lost(tmp_path, monkeypatch):
    trained(folder=tmp_path, n_epochs=8, listener=Listener(6))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        save_tensors(tmp_path / "other.pt", {"a": 1})
    listener = Listener()
    _, outcome = trained(folder=tmp_path, listener=listener)
    assert outcome.steps == 24
    assert any("disk is full" in sentence and "goes on" in sentence for sentence in listener.said)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nan_stops_names_the_term_and_keeps_the_last_good_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match=r"step 12: the term 'size' became NaN") as caught:
        trained(toy={"poison": 11}, folder=tmp_path)
    assert "last good checkpoint is kept" in caught.value.hint
    (epoch, path), *_ = list_checkpoints(tmp_path)
    assert epoch == 2
    assert all(bool(torch.isfinite(value).all()) for value in load_tensors(path)["model"].values())


def test_out_of_memory_halves_the_batch_says_so_and_gives_the_same_gradient():
    class Plain(Toy):
        def loss(self, rows, run):
            if len(rows) > self.largest:
                raise torch.OutOfMemoryError("CUDA out of memory")
            self.sizes.append(len(rows))
            return {"loss": self.model[0](self.features[rows]).square().mean()}

    def run(largest):
        listener = Listener()
        with seeded(0, CPU):
            task = Plain(largest=largest)
            task.model = torch.nn.Sequential(task.model[0])
            trainer(task, listener=listener, groups=(ParameterGroup("*"),), optimiser="sgd").train()
        return task, listener

    whole, _ = run(10**9)
    parts, listener = run(5)
    assert set(whole.sizes) == {16} and set(parts.sizes) == {4}
    assert sum("parts" in sentence for sentence in listener.said) == 2
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    with pytest.raises(TrainingError, match="memory does not suffice"):
        run(1)


def test_out_of_memory_leaves_buffers_as_they_were_before_the_step():
    seen = []

    class Counting(Toy):
        def loss(self, rows, run):
            self.model[1].running_mean += 1
            if len(rows) > 8:
                raise torch.OutOfMemoryError("CUDA out of memory")
            seen.append(float(self.model[1].running_mean[0]))
            return {"loss": self.model[0](self.features[rows]).mean()}

    with seeded(0, CPU):
        run = trainer(Counting(), n_epochs=1)
        run.train()
    assert seen == [1, 2, 3, 4, 5, 6]


def test_schedule_and_teacher_momentum_follow_the_formulas():
    cosine = TrainingPlan(1, 1, 1.0, warmup_steps=10, schedule="cosine", final_factor=0.1)
    assert [rate_factor(cosine, step, 110) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert rate_factor(cosine, 60, 110) == pytest.approx(0.1 + 0.9 * 0.5)
    assert rate_factor(cosine, 110, 110) == pytest.approx(0.1)
    assert rate_factor(TrainingPlan(1, 1, 1.0, warmup_steps=2), 50, 100) == 1.0
    assert ema_momentum(0.996, 0) == pytest.approx(0.1)
    assert ema_momentum(0.996, 90) == pytest.approx(0.91)
    assert ema_momentum(0.996, 10_000) == 0.996


def test_the_teacher_is_the_moving_average_of_the_student():
    run, expected = trainer(n_epochs=2, ema=0.5), []
    mine = run.teacher[0].weight.clone()

    class Watched(Listener):
        def update(self, done, total, *, phase="", unit="", **metrics):
            keep = min(0.5, done / (9 + done))
            expected.append(run.model[0].weight.detach().clone())
            nonlocal mine
            mine = keep * mine + (1 - keep) * expected[-1]

    run.progress = Watched()
    run.train()
    assert len(expected) == 6
    torch.testing.assert_close(run.teacher[0].weight, mine)
    assert not any(parameter.requires_grad for parameter in run.teacher.parameters())


def test_parameter_groups_are_chosen_by_name():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    plan = TrainingPlan(
        1,
        1,
        1e-3,
        groups=(ParameterGroup("1.*", 0.5, learning_rate=1e-2), ParameterGroup("*.weight", 0.1), ParameterGroup("*")),
    )
    first, second, third = make_optimiser(model, plan).param_groups
    assert [p.shape for p in first["params"]] == [(2, 3), (2,)] and first["lr"] == 1e-2
    assert [p.shape for p in second["params"]] == [(3, 2)] and second["weight_decay"] == 0.1
    assert [p.shape for p in third["params"]] == [(3,)] and third["weight_decay"] == 0.0
    with pytest.raises(ValueError, match="0.bias"):
        make_optimiser(model, TrainingPlan(1, 1, 1e-3, groups=(ParameterGroup("*.weight"), ParameterGroup("1.*"))))


def test_every_epoch_is_a_fresh_shuffle_without_repeats():
    order = BatchOrder(50, 16, seed=1)
    epochs = [torch.cat([order.next() for _ in range(3)]).tolist() for _ in range(3)]
    assert all(len(set(epoch)) == 48 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_memory_map_gives_the_same_batches_as_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", TABLE)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    rows = torch.tensor([7, 0, 49, 7])
    for kind in ("none", "l2", "standardise", "centre", "principal"):
        normaliser = Normaliser(kind, 4).fit(TABLE)
        inside = Features(TABLE, CPU, normaliser)
        monkeypatch.setattr(training_data, "ON_DEVICE_BYTES", 0)
        outside = Features(mapped, CPU, Normaliser.load(normaliser.state()))
        monkeypatch.undo()
        assert outside._table is None and outside.dimension == (4 if kind == "principal" else 6)
        torch.testing.assert_close(outside[rows], inside[rows])


def test_normalisation_is_that_of_the_training_rows():
    normaliser = Normaliser("standardise").fit(TABLE)
    inside = Features(TABLE, CPU, normaliser)[torch.arange(50)]
    torch.testing.assert_close(inside.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside.std(dim=0, correction=0), torch.ones(6))
    one = Features(TABLE[:1] + 1, CPU, normaliser)[torch.tensor([0])]
    expected = (TABLE[0] + 1 - TABLE.mean(axis=0)) / TABLE.std(axis=0)
    torch.testing.assert_close(one[0], torch.from_numpy(expected))
    constant = np.ones((5, 2), dtype=np.float32)
    assert torch.isfinite(Features(constant, CPU, Normaliser("standardise").fit(constant))[torch.arange(5)]).all()


def test_the_warm_start_reproduces_its_labels_and_leaves_out_noise():
    table, truth = np.repeat(np.eye(6, dtype=np.float32)[:3], 20, axis=0), np.repeat(np.arange(3), 20)
    labels = truth.astype(np.int32)
    labels[:5] = -1
    with seeded(0, CPU):
        task = Toy(table=table)
        run = Trainer(task, TrainingPlan(1, 16, 1e-3, ema=0.9), n=60, method="toy", settings=DeepSettings(), device=CPU)
        fit_to_labels(run, labels, lambda rows, run: task.model(task.features[rows]), n_steps=150, learning_rate=1e-2)
    found = run.teacher(task.features[torch.arange(60)]).argmax(dim=1).numpy()
    np.testing.assert_array_equal(found, truth)


def test_the_process_keeps_its_own_random_state():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    trained(n_epochs=1)
    assert torch.equal(torch.rand(1), expected)


def test_did_not_train_and_collapse_are_told():
    flat = np.full(100, -0.19, dtype=np.float32)
    assert did_not_train(flat, starting_loss=-0.18).startswith("It did not train: loss -0.18 -> -0.19")
    assert did_not_train(np.linspace(-0.18, -1.5, 100, dtype=np.float32)) is None
    assert did_not_train(np.linspace(-1.0, -1.1, 100, dtype=np.float32), starting_loss=-0.18) is None
    even = np.repeat(np.arange(10), 10).astype(np.int32)
    assert collapse(even, 10) is None
    assert collapse(np.where(even < 7, 0, even).astype(np.int32), 10).startswith("It collapsed: 4 of 10")
    assert collapse(np.where(even == 9, 0, even).astype(np.int32), 10) == "1 of 10 clusters are empty."
    assert collapse(np.full(5, -1, dtype=np.int32), 10).startswith("It collapsed")


def test_the_cpu_fallback_is_said_aloud(monkeypatch):
    listener, notes = Listener(), []
    monkeypatch.setattr("engine.core.device.best_device", lambda: "cpu")
    assert training_device("auto", listener, notes).type == "cpu"
    assert "No GPU was found" in listener.said[0] and notes == listener.said
    training_device("cpu", listener, notes)
    assert len(notes) == 1
    with pytest.raises(InputError):
        training_device("tpu", listener, notes)


def test_the_time_left_is_told_after_the_first_steps(monkeypatch):
    from engine.clustering.deep import trainer as training

    clock = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    listener = Listener()
    trained(listener=listener)
    assert sum("left for 24 steps on cpu" in sentence for sentence in listener.said) == 1
    assert listener.metrics[-1]["seconds_left"] == 0
    assert {"loss", "pull", "size", "learning_rate"} <= set(listener.metrics[0])
    assert (human_time(40), human_time(250)) == ("40 seconds", "4 minutes")


def test_the_fingerprint_tells_tables_apart():
    assert fingerprint(TABLE) == fingerprint(TABLE.copy())
    assert fingerprint(TABLE) != fingerprint(TABLE + 1) != fingerprint(TABLE[:49])


def test_weights_of_a_frozen_network_are_cast_once_within_one_autocast():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Casts(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.shapes = []

        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            if function is torch.ops.aten._to_copy.default:
                self.shapes.append(tuple(arguments[0].shape))
            return function(*arguments, **(options or {}))

    network = torch.nn.Linear(3, 5).requires_grad_(False)
    rows = torch.randn(4, 3).bfloat16()

    def run(context):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16), context, Casts() as casts:
            return [network(rows) for _ in range(4)], casts.shapes.count((5, 3))

    from contextlib import nullcontext

    plain, often = run(nullcontext())
    kept, once = run(cast_once(network))
    assert (often, once) == (4, 1)
    assert all(torch.equal(a, b) and not b.requires_grad for a, b in zip(plain, kept, strict=True))
    assert not any(parameter.requires_grad for parameter in network.parameters())
