"""HaDis from the command line: odd pictures in, a run and a trained encoder out, which embeds new pictures too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.clustering.registry import find_method
from engine.embeddings.configurations import list_configurations
from engine.embeddings.encoders.registry import find_encoder
from engine.images.datasets import add_folder, list_datasets
from engine.images.scan import scan
from engine.runs.fit import cluster
from engine.runs.rows import embed_dataset, load_rows
from engine.runs.run import new_folder, open_run

ROOT = Path(__file__).resolve().parents[3]
TOY = (
    "--method",
    "hadis",
    "--num-clusters",
    2,
    "--num-epochs",
    2,
    "--min-steps",
    1,
    "--batch-size",
    8,
    "--projector-width",
    16,
    "--projection-dim",
    8,
    "--device",
    "cpu",
    "--image-size",
    12,
)


@pytest.fixture
def pictures(tmp_path):
    """24 pictures of 5 to 30 px, grey, coloured and with transparency: stripes across or up."""
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for at in range(24):
        height, width = rng.integers(5, 31, 2)
        pixels = rng.integers(0, 60, (height, width, 4), dtype=np.uint8)
        (pixels if at % 2 else pixels.transpose(1, 0, 2))[::3] += 180
        mode = ("L", "RGB", "RGBA")[at % 3]
        Image.fromarray(pixels, "RGBA").convert(mode).save(folder / f"{at:02d}.png")
    return folder


def test_the_trained_network_embeds_these_and_new_pictures(engine, workspace, pictures, tmp_path):
    ended = engine(
        "run", "--folder", pictures, *TOY, "--plot", "--viz-method", "pca", "--results-dir", tmp_path / "out"
    )
    assert ended.status == 0, ended.err
    assert ended.err.count("No GPU was found") == 0  # the CPU was asked for
    run = open_run(Path(ended.last))
    (dataset,) = list_datasets(workspace)
    newest = list_configurations(workspace, dataset.id)[0]
    assert (newest.encoder, newest.have, newest.state) == ("hadis", 24, "complete")
    assert run.config["trained_embedding"] == newest.key
    sides = [max(Image.open(path).size) for path in pictures.iterdir()]
    small = sum(side < 12 for side in sides)
    assert f"{small} images are smaller than 12 px and were enlarged." in run.results["notes"]
    learned = load_rows(workspace, dataset.id, newest.key)
    assert np.allclose(np.linalg.norm(learned.vectors, axis=1), 1, atol=1e-2)
    other = tmp_path / "other"
    other.mkdir()
    for at in range(8):
        Image.new("L", (9 + at, 9), 30 * at).save(other / f"new{at}.png")
    backbone = run.folder / "checkpoints" / "backbone.pt"
    again = engine(
        "run",
        "--folder",
        other,
        "--encoder",
        "hadis",
        "--encoder-checkpoint",
        backbone,
        "--method",
        "kmeans",
        "--num-clusters",
        2,
        "--results-dir",
        tmp_path / "out",
    )
    assert again.status == 0, again.err
    assert (open_run(Path(again.last)).assignments >= 0).all()


def test_settings_come_from_a_file_and_flags_go_before_it(engine, refused, pictures, tmp_path):
    words = [word for word in TOY if word not in ("--num-clusters", 2)]
    words.insert(words.index("--num-epochs") + 1, 2)
    (tmp_path / "own.json").write_text(json.dumps({"n_clusters": 3, "n_epochs": 5, "pcl_weight": 0.3}))
    ended = engine("run", "--folder", pictures, *words, "--settings", tmp_path / "own.json", "--results-dir", tmp_path)
    assert ended.status == 0, ended.err
    used = json.loads((Path(ended.last) / "config.json").read_text())["settings"]
    assert (used["n_clusters"], used["n_epochs"], used["pcl_weight"]) == (3, 2, 0.3)
    final = Path(ended.last) / "final_checkpoint.pt"
    assert final.read_bytes() == (Path(ended.last) / "checkpoints" / "checkpoint_epoch2.pt").read_bytes()
    sentence = refused("run", "--folder", pictures, "--method", "hadis", "--settings", "cifar11")
    assert "cifar10, cifar20" in sentence
    (tmp_path / "own.json").write_text('{"n_cluster": 3}')
    assert "n_cluster" in refused("run", "--folder", pictures, "--method", "hadis", "--settings", tmp_path / "own.json")


def test_the_test_part_is_trained_on_only_when_asked(engine, pictures, tmp_path):
    words = ("run", "--folder", pictures, *TOY, "--test-fraction", 0.25, "--results-dir", tmp_path / "out")
    alone, both = engine(*words), engine(*words, "--train-on", "all")
    assert (alone.status, both.status) == (0, 0), both.err
    for ended, seen in ((alone, 18), (both, 24)):
        run = open_run(Path(ended.last))
        assert (run.predictions["split"] == "test").sum() == 6
        assert (run.assignments >= 0).all() and run.results["test"] is not None
        final = torch.load(run.folder / "final_checkpoint.pt", weights_only=True)
        assert len(final["task"]["pseudo"]) == seen


def test_two_processes_make_one_run(workspace, pictures, tmp_path):
    words = ["run", "--folder", pictures, *TOY, "--results-dir", tmp_path / "out", "--workspace", workspace.root]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "engine"]
    ended = subprocess.run(
        [*command, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    (folder,) = (tmp_path / "out").iterdir()
    assert ended.stdout.splitlines() == [str(folder)]
    assert open_run(folder).finished and (folder / "checkpoints" / "backbone.pt").exists()


def test_pictures_that_vanish_before_the_training_are_listed_and_have_no_cluster(workspace, pictures, tmp_path):
    dataset = add_folder(workspace, pictures)
    scan(workspace, dataset.id)
    rows = embed_dataset(workspace, dataset.id, "descriptor", find_encoder("descriptor").settings_class())
    (pictures / "03.png").unlink()
    (pictures / "07.png").write_bytes(b"no picture")
    words = [str(word) for word in TOY]
    values = {a.removeprefix("--").replace("-", "_"): b for a, b in zip(words[2::2], words[3::2], strict=True)}
    values["n_clusters"], values["n_epochs"] = values.pop("num_clusters"), values.pop("num_epochs")
    settings = find_method("hadis").settings_class.parse(values)
    run = cluster(workspace, rows, "hadis", settings, new_folder(tmp_path / "out", "run"))
    lost = [rows.paths.index(name) for name in (b"03.png", b"07.png")]
    assert np.flatnonzero(run.assignments < 0).tolist() == sorted(lost)
    assert "2 images could not be read any more and have no cluster: 03.png, 07.png." in run.results["notes"]
    assert json.loads((run.folder / "results.json").read_text())["notes"] == run.results["notes"]
