"""A deep run that is interrupted goes on from its checkpoint and ends as if nothing had happened."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

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


def test_ctrl_c_says_how_to_go_on_and_the_resumed_run_equals_a_whole_one(engine, vectors, tmp_path):
    words = ["run", "--vectors", vectors, *TEMI, "--results-dir", tmp_path / "cut"]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 240
    while not list((tmp_path / "cut").glob("*/checkpoints/checkpoint_epoch*.pt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    if process.returncode == 0:
        pytest.skip("the run was over before Ctrl-C reached it")
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    folder = re.search(r"--resume-from (.+)", err)[1]
    assert not (Path(folder) / "results.json").exists()
    resumed = engine("run", "--resume-from", folder)
    assert (resumed.status, resumed.last) == (0, folder), resumed.err
    whole = engine(*words[:-1], tmp_path / "whole")
    assert whole.status == 0, whole.err
    first, second = arrays(folder), arrays(whole.last)
    assert all((first[name] == second[name]).all() for name in first)
    one, two = (json.loads((Path(name) / "results.json").read_text()) for name in (folder, whole.last))
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
