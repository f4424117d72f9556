"""A deep run that is interrupted goes on from its checkpoint and ends as if nothing had happened."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.engine.commands.conftest import blobs

TEMI = (
    "--method",
    "temi",
    "--n-epochs",
    50,
    "--n-heads",
    2,
    "--hidden-dim",
    16,
    "--bottleneck-dim",
    8,
    "--batch-size",
    30,
    "--n-neighbors",
    8,
    "--warm-start-steps",
    5,
    "--seed",
    3,
    "--device",
    "cpu",
)


def arrays(folder):
    with np.load(Path(folder) / "predictions.npz") as found:
        return {name: found[name] for name in found.files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an uninterrupted run, its vectors and the flags."""
    place = tmp_path_factory.mktemp("whole")
    rows, truth = blobs()
    np.savez(place / "blobs.npz", vectors=rows, labels=[f"c{t}" for t in truth])
    words = ["run", "--workspace", place / "ws", "--vectors", place / "blobs.npz", *TEMI]
    ended = subprocess.run(
        command([*words, "--results-dir", place / "runs"]), capture_output=True, text=True, check=True
    )
    return ended.stdout.splitlines()[-1], words


def command(words):
    return [sys.executable, "-m", "engine", *map(str, words)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_its_last_step_and_the_resumed_one_equals_a_whole_one(whole, tmp_path, number):
    expected, words = whole
    process = subprocess.Popen(
        command([*words, "--results-dir", tmp_path]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("training"):
            process.send_signal(number)
            break
    out, rest = process.communicate(timeout=240)
    err = "".join(said) + rest
    assert (process.returncode, out) == (128 + number, ""), err
    assert "Traceback" not in err
    folder = re.search(r"--resume-from (.+)", err)[1]
    step = int(re.search(r"Interrupted at step ([\d,]+) of", err)[1].replace(",", ""))
    assert len(list((Path(folder) / "checkpoints").glob("optimiser_*.pt"))) == 1
    assert not (Path(folder) / "results.json").exists()
    resumed = subprocess.run(
        command([*words[:3], "--resume-from", folder]), capture_output=True, text=True, check=False
    )
    assert (resumed.returncode, resumed.stdout.strip()) == (0, folder), resumed.stderr
    assert f"Resumed at step {step:,} of" in resumed.stderr
    first, second = arrays(folder), arrays(expected)
    assert all((first[name] == second[name]).all() for name in second)
    one, two = (json.loads((Path(name) / "results.json").read_text()) for name in (folder, expected))
    assert one["train"] == two["train"]
    assert set(one["references"]) == {"kmeans", "umap_kmeans"}


def test_more_epochs_go_on_from_a_checkpoint_file(engine, vectors, tmp_path):
    short = [*TEMI]
    short[short.index(50)] = 5
    ended = engine("run", "--vectors", vectors, *short, "--results-dir", tmp_path)
    assert ended.status == 0, ended.err
    checkpoint = next((Path(ended.last) / "checkpoints").glob("*.pt"))
    longer = engine("run", "--resume-from", checkpoint, "--num-epochs", 8)
    assert (longer.status, longer.last) == (0, ended.last), longer.err
    assert "Resumed at step 20 of 32" in longer.err
    config = json.loads((Path(ended.last) / "config.json").read_text())
    assert config["resolved"]["n_epochs"] == 8 and "n_epochs" in config["given"]


def test_a_run_is_not_resumed_with_other_settings(engine, refused, vectors, tmp_path):
    short = [*TEMI]
    short[short.index(50)] = 20
    ended = engine("run", "--vectors", vectors, *short, "--results-dir", tmp_path)
    assert ended.status == 0, ended.err
    sentence = refused("run", "--resume-from", ended.last, "--hidden-dim", 32)
    assert "hidden_dim" in sentence
    assert (Path(ended.last) / "results.json").exists()  # the finished run is still whole
    assert json.loads((Path(ended.last) / "config.json").read_text())["settings"]["hidden_dim"] == 16
