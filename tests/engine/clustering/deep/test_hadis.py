"""HaDis as a method: settings, bad input, exact resume, memory, the backbone as a file, two processes."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.clustering.deep.hadis.estimator import BACKBONE_FILE, HaDis, check_images, nearest
from engine.clustering.deep.hadis.settings import HaDisSettings
from engine.clustering.deep.published import published, read_settings
from engine.clustering.registry import find_method
from engine.core.errors import CheckpointError, InputError

TOY = {
    "n_clusters": 3,
    "n_epochs": 3,
    "batch_size": 16,
    "min_steps": 1,
    "projector_width": 16,
    "projection_dim": 8,
    "backbone": "resnet_small",
    "device": "cpu",
    "checkpoint_every": 1,
    "flip": False,
}


def shapes(n: int = 60, side: int = 8) -> np.ndarray:
    """Three kinds of pictures: a bright top, a bright left, a bright middle."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, size=(n, side, side, 3))
    images[0::3, : side // 2] += 180
    images[1::3, :, : side // 2] += 180
    images[2::3, side // 4 : -side // 4, side // 4 : -side // 4] += 180
    return images.clip(0, 255).astype(np.uint8)


class Stopper:
    """Asks to stop after some steps, and keeps what it is told."""

    def __init__(self, after: int | None = None):
        self.after, self.asked, self.said, self.metrics, self.shown = after, 0, [], [], []

    def update(self, done, total, *, phase="", unit="", **metrics):
        self.metrics.append(metrics)

    def say(self, sentence):
        self.said.append(sentence)

    def snapshot(self, labels):
        self.shown.append(labels)

    def stop_requested(self):
        self.asked += 1
        return self.after is not None and self.asked > self.after


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hadis")
    listener = Stopper()
    model = HaDis(HaDisSettings(**TOY)).fit(shapes(), progress=listener, checkpoints=folder)
    return model, listener, folder


def test_registry_says_that_it_takes_images():
    entry = find_method("hadis")
    assert (entry.takes, entry.kind, entry.settings_class) == ("images", "deep", HaDisSettings)


def test_labels_confidence_and_centres(trained):
    model, _, _ = trained
    assert model.labels_.shape == (60,) and model.labels_.dtype == np.int32
    assert set(model.labels_.tolist()) <= {0, 1, 2}
    assert ((model.confidence_ > 0) & (model.confidence_ <= 1)).all()
    np.testing.assert_allclose(np.linalg.norm(model.embeddings_, axis=1), 1, atol=1e-5)
    # spherical k-means: each image's cluster is that of its nearest centre
    assert (model.predict(shapes()) == model.labels_).mean() > 0.95


def test_progress_shows_losses_and_a_clustering_per_epoch(trained):
    model, listener, _ = trained
    assert {"loss", "dsa", "hsd", "pcl"} <= set(listener.metrics[-1])
    assert [epoch for epoch, _ in model.history_] == [0, 1, 2, 3]
    assert all(sum(sizes) == 60 for _, sizes in model.history_)
    assert len(listener.shown) == 4


def test_propos_has_no_hard_term():
    listener = Stopper()
    HaDis(HaDisSettings(**(TOY | {"hardness_aware": False, "n_epochs": 1}))).fit(shapes(), progress=listener)
    assert "hsd" not in listener.metrics[-1] and "pcl" in listener.metrics[-1]


@pytest.mark.parametrize("stop_after", [3, 5])  # an epoch has three steps: at its end, and in its middle
def test_a_resumed_run_equals_an_uninterrupted_one(trained, tmp_path, stop_after):
    whole, _, _ = trained
    HaDis(HaDisSettings(**TOY)).fit(shapes(), progress=Stopper(stop_after), checkpoints=tmp_path)
    again = HaDis(HaDisSettings(**TOY)).fit(shapes(), checkpoints=tmp_path)
    assert any(note.startswith(f"Resumed at step {stop_after} ") for note in again.notes_)
    np.testing.assert_array_equal(again.labels_, whole.labels_)
    np.testing.assert_array_equal(again.embeddings_, whole.embeddings_)
    assert again.history_ == whole.history_


def test_a_checkpoint_of_other_settings_is_refused(trained):
    folder = trained[2]
    with pytest.raises(CheckpointError, match="pcl_weight"):
        HaDis(HaDisSettings(**(TOY | {"pcl_weight": 0.3}))).fit(shapes(), checkpoints=folder)


def test_seed_decides(trained):
    whole = trained[0]
    other = HaDis(HaDisSettings(**(TOY | {"random_state": 1}))).fit(shapes())
    assert not np.allclose(other.embeddings_, whole.embeddings_)


def test_training_on_some_rows_labels_all():
    train = np.arange(0, 60, 2)
    model = HaDis(HaDisSettings(**(TOY | {"n_epochs": 1}))).fit(shapes(), train_rows=train)
    assert model.labels_.shape == (60,)
    assert sum(model.history_[-1][1]) == 30
    assert (np.diff(np.bincount(model.labels_, minlength=3)) <= 0).all()
    rest = np.arange(1, 60, 2)
    np.testing.assert_array_equal(model.labels_[rest], nearest(model.embeddings_[rest], model.centers)[0])


def test_test_images_do_not_change_the_training():
    train, settings = np.arange(0, 60, 2), HaDisSettings(**(TOY | {"n_epochs": 1}))
    changed = shapes()
    changed[1::2] = 255 - changed[1::2]
    one, two = (HaDis(settings).fit(images, train_rows=train) for images in (shapes(), changed))
    np.testing.assert_array_equal(one.embeddings_[train], two.embeddings_[train])
    assert one.backbone_.mean == two.backbone_.mean


def test_balanced_sampling_draws_small_clusters_as_often():
    from engine.clustering.deep.hadis.task import HaDisTask

    task = HaDisTask.__new__(HaDisTask)
    task._labels = torch.tensor([0] * 90 + [1] * 10)
    drawn = task._labels[task._balanced(3000, torch.Generator().manual_seed(0))]
    assert float(drawn.float().mean()) == pytest.approx(0.5, abs=0.04)
    HaDis(HaDisSettings(**(TOY | {"n_epochs": 1, "balanced_sampling": True}))).fit(shapes())


def test_out_of_memory_halves_the_batch_and_says_so(monkeypatch):
    from engine.clustering.deep.hadis.network import HaDisNetwork

    forward = HaDisNetwork.online

    def small_memory(self, views):
        if len(views) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, views)

    monkeypatch.setattr(HaDisNetwork, "online", small_memory)
    model = HaDis(HaDisSettings(**(TOY | {"n_epochs": 1}))).fit(shapes())
    assert any("2 parts" in note for note in model.notes_)


def test_fewer_images_than_the_batch_shrink_it_and_say_so():
    model = HaDis(HaDisSettings(**(TOY | {"n_epochs": 1, "batch_size": 256}))).fit(shapes(20))
    assert model.resolved_.batch_size == 10
    assert any("10 images instead of 256" in note for note in model.notes_)
    with pytest.raises(InputError, match="larger than the 20 images"):
        HaDis(HaDisSettings(**(TOY | {"preset": "paper", "batch_size": 256}))).fit(shapes(20))


def test_images_smaller_than_the_view_are_enlarged_and_it_is_said():
    model = HaDis(HaDisSettings(**(TOY | {"n_epochs": 1, "image_size": 12}))).fit(shapes(24))
    assert any("8 px and are enlarged to 12 px" in note for note in model.notes_)
    assert model.predict(shapes(24)).shape == (24,)


def test_grayscale_images_train():
    gray = shapes(24)[..., 0]
    one = HaDis(HaDisSettings(**(TOY | {"n_epochs": 1}))).fit(gray)
    two = HaDis(HaDisSettings(**(TOY | {"n_epochs": 1}))).fit(np.repeat(gray[..., None], 3, axis=3))
    np.testing.assert_array_equal(one.embeddings_, two.embeddings_)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((9, 8, 8, 3), np.float32), "not float32"),
        (np.zeros((9, 64), np.uint8), "square RGB"),
        (np.zeros((9, 8, 6, 3), np.uint8), "square RGB"),
        (np.zeros((0, 8, 8, 3), np.uint8), "square RGB"),
    ],
)
def test_what_are_no_images_is_said(images, words):
    with pytest.raises(InputError, match=words):
        check_images(images)


def test_too_few_images_for_the_clusters():
    with pytest.raises(InputError, match="too few"):
        HaDis(HaDisSettings(**TOY)).fit(shapes(5))


def test_predict_before_fit_is_said():
    with pytest.raises(InputError, match="not been trained"):
        HaDis().predict(shapes(4))


def test_schedule_keeps_the_papers_shape_at_any_length():
    from engine.clustering.deep.hadis.training import make_plan
    from engine.clustering.deep.plan import rate_factor

    for epochs in (100, 1000):
        plan = make_plan(HaDisSettings(n_epochs=epochs, batch_size=256), 2560)
        total = epochs * 10
        assert plan.warmup_steps == total / 20
        assert plan.learning_rate == 0.05
        assert rate_factor(plan, total // 20, total) == pytest.approx(1)
        assert rate_factor(plan, total * 21 // 40, total) == pytest.approx(0.5, abs=1e-6)
    assert make_plan(HaDisSettings(batch_size=128), 2560).learning_rate == 0.025


def test_predictor_is_faster_and_norms_do_not_decay():
    from engine.clustering.deep.hadis.network import HaDisNetwork
    from engine.clustering.deep.hadis.training import make_plan
    from engine.clustering.deep.plan import make_optimiser

    network = HaDisNetwork("resnet_small", 8, hidden=16, outputs=8)
    optimiser = make_optimiser(network, make_plan(HaDisSettings(), 2560))
    names = {id(p): n for n, p in network.named_parameters()}
    seen = {names[id(p)]: group for group in optimiser.param_groups for p in group["params"]}
    assert not any(name.startswith("target") for name in seen)
    for name, group in seen.items():
        assert group["base"] == pytest.approx(0.5 if name.startswith("predictor") else 0.05)
        decays = "norm" not in name and not name.endswith("bias") and ".1." not in name.split("or")[-1][:3]
        assert (group["weight_decay"] > 0) == decays, name


def test_published_settings_are_files_by_name():
    found = {name: HaDisSettings.parse(read_settings("hadis", name)) for name in published("hadis")}
    assert set(found) == {"cifar10", "cifar20", "stl10", "imagenet10", "imagenet-dogs"}
    assert all(s.n_epochs == 1000 and s.preset == "paper" and s.warmup_share == 0.05 for s in found.values())
    assert {name for name, s in found.items() if s.ema_to_one and s.balanced_sampling} == {"cifar20"}
    assert {name for name, s in found.items() if s.pcl_weight == 0.05} == {"cifar20", "imagenet10"}
    assert {name for name, s in found.items() if s.train_on == "all"} == {"cifar10", "cifar20", "stl10"}
    own = found["stl10"].resolved(13_000, 96, "cuda")[0]
    assert (own.image_size, own.batch_size, own.projector_width, own.backbone) == (96, 128, 4096, "resnet18")


def test_auto_fits_network_and_size_to_images_and_device():
    assert HaDisSettings().resolved(5000, 16, "cuda")[0].backbone == "resnet_small"
    assert HaDisSettings().resolved(5000, 64, "cuda")[0].backbone == "resnet18"
    assert HaDisSettings().resolved(5000, 64, "cpu")[0].backbone == "resnet_small"
    assert HaDisSettings().resolved(5000, 640, "cuda")[0].image_size == 224


def test_a_processor_gets_small_views_and_fewer_steps_but_what_was_chosen_stays():
    own, notes = HaDisSettings().resolved(2000, 96, "cpu")
    assert (own.image_size, own.batch_size, own.n_epochs) == (32, 128, 34)  # 15 steps an epoch make 500 at least
    assert "views of 32 px and at least 500 steps" in notes[0]
    digits, notes = HaDisSettings().resolved(1797, 8, "cpu")
    assert (digits.image_size, digits.batch_size, digits.n_epochs) == (8, 256, 143)
    assert "at least 1,000 steps" in notes[0]
    assert HaDisSettings(n_epochs=2).resolved(1797, 8, "cpu")[0].n_epochs == 2
    assert HaDisSettings(n_epochs=200).resolved(1797, 8, "cuda")[0].n_epochs == 200
    chosen, _ = HaDisSettings(image_size=64, n_epochs=90, batch_size=64).resolved(2000, 96, "cpu")
    assert (chosen.image_size, chosen.batch_size, chosen.n_epochs) == (64, 64, 90)
    many, _ = HaDisSettings(n_clusters=200).resolved(60_000, 28, "cpu")
    assert (many.batch_size, many.n_epochs) == (200, 3)
    paper, _ = HaDisSettings(preset="paper").resolved(2000, 96, "cpu")
    assert (paper.image_size, paper.n_epochs, paper.batch_size) == (96, 200, 256)


def test_settings_load_without_torch():
    modules = "engine.clustering.deep.hadis.estimator, engine.embeddings.encoders.resnet"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


TEAM = """
import sys, numpy as np
from pathlib import Path
from engine.clustering.deep.hadis.estimator import HaDis
from engine.clustering.deep.hadis.settings import HaDisSettings
from tests.engine.clustering.deep.test_hadis import TOY, shapes
import torch.distributed as dist
out = Path(sys.argv[1])
model = HaDis(HaDisSettings(**(TOY | eval(sys.argv[2])))).fit(shapes(), checkpoints=out / "checkpoints")
import os
np.savez(out / f"rank{os.environ['RANK']}.npz", embeddings=model.embeddings_, labels=model.labels_,
         weights=np.concatenate([p.detach().numpy().ravel() for p in model.backbone_.network.parameters()]))
"""


def test_two_processes_train_one_network(tmp_path):
    """Both end with the same weights, and they equal one process that adds the gradients of two halves."""
    script = tmp_path / "team.py"
    script.write_text(TEAM)
    root = Path(__file__).resolve().parents[4]
    changes = {"n_epochs": 2, "pcl_weight": 0.0}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, str(script), str(tmp_path), repr(changes)], check=True, env=environment, timeout=240, cwd=root
    )
    first, second = (np.load(tmp_path / f"rank{rank}.npz") for rank in (0, 1))
    for name in ("embeddings", "labels", "weights"):
        np.testing.assert_array_equal(first[name], second[name])
    alone = halves_in_one_process(changes)
    np.testing.assert_allclose(first["weights"], alone, atol=1e-4)
    assert (tmp_path / "checkpoints" / BACKBONE_FILE).exists()


def halves_in_one_process(changes):
    import dataclasses

    import engine.clustering.deep.hadis.training as hadis_run

    plain = hadis_run.make_plan
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    hadis_run.make_plan = lambda settings, n: dataclasses.replace(plain(settings, n), accumulate=2)
    try:
        model = HaDis(HaDisSettings(**(TOY | changes))).fit(shapes())
    finally:
        hadis_run.make_plan = plain
        torch.set_num_threads(threads)
    return np.concatenate([p.detach().numpy().ravel() for p in model.backbone_.network.parameters()])


def test_it_trained_when_the_loss_fell_after_the_warm_up():
    """The shape of a run on digits: alignment alone, then the prototypes, then learning; and one that stood still."""
    from engine.clustering.deep.diagnosis import did_not_train
    from engine.clustering.deep.hadis.training import plateau

    curve = np.concatenate([np.linspace(0.2, -0.6, 50), np.linspace(-0.6, 1.0, 150), np.linspace(1.0, 0.3, 800)])
    assert did_not_train(curve) is not None  # against its very start it looks untrained
    assert did_not_train(curve, starting_loss=plateau(curve, 50)) is None
    still = np.concatenate([np.linspace(1.5, -0.4, 50), np.full(950, 0.9)])
    assert did_not_train(still, starting_loss=plateau(still, 50)).startswith("It did not train: loss 0.90 -> 0.90")
    assert plateau(curve[:40], 50) is None


def test_losses_go_to_tensorboard_where_that_is_asked_for(monkeypatch, tmp_path):
    written = []

    class Writer:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, name, value, step):
            written.append((name, step))

        def close(self):
            written.append(("closed", self.folder))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    listener = Stopper()
    settings = HaDisSettings(**(TOY | {"n_epochs": 1, "tracking": "tensorboard"}))
    HaDis(settings).fit(shapes(), progress=listener, checkpoints=tmp_path / "checkpoints")
    assert {(name, step) for name in ("loss", "dsa", "hsd", "pcl", "learning_rate") for step in (1, 2, 3)} <= {*written}
    assert not any(name == "seconds_left" for name, _ in written)
    assert written[-1] == ("closed", str(tmp_path / "tensorboard"))
    assert len(listener.metrics) == 3  # and the page hears everything still


def test_losses_go_to_weights_and_biases_where_that_is_asked_for(monkeypatch, tmp_path):
    told = []

    class Run:
        def log(self, values, *, step):
            told.append((step, {*values}))

        def finish(self):
            told.append("finished")

    def init(*, project, name, dir):
        told.append((project, name, dir))
        return Run()

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    folder = tmp_path / "my run"
    settings = HaDisSettings(**(TOY | {"n_epochs": 1, "tracking": "wandb"}))
    HaDis(settings).fit(shapes(), progress=Stopper(), checkpoints=folder / "checkpoints")
    assert told[0] == ("kindred", "my run", str(folder)) and told[-1] == "finished"
    assert [step for step, _ in told[1:-1]] == [1, 2, 3]
    assert all({"loss", "dsa", "hsd", "pcl", "learning_rate"} <= values for _, values in told[1:-1])


@pytest.mark.parametrize(("kind", "module"), [("tensorboard", "tensorboard"), ("wandb", "wandb")])
def test_a_tracker_that_is_not_installed_is_said(monkeypatch, kind, module):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="not installed"):
        HaDis(HaDisSettings(**(TOY | {"tracking": kind}))).fit(shapes())
