"""The benchmark of a GPU: the same code runs in small on a processor, and without a GPU it says so."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from benchmarks import gpu_set, machine

CPU = torch.device("cpu")


def test_without_a_gpu_nothing_is_measured_and_that_is_said(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_set"])
    monkeypatch.setattr(gpu_set, "accelerator", lambda: None)
    assert gpu_set.main() == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "There is no GPU here, so nothing was measured." in printed.err


def test_each_figure_is_a_line_of_json_with_machine_versions_and_ratio(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["gpu_set", "--small", "--device", "cpu", "--output", str(tmp_path / "found.jsonl")]
    )
    monkeypatch.setattr(gpu_set, "STEPS", {"turtle": {}})
    assert gpu_set.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert (tmp_path / "found.jsonl").read_text().splitlines() == lines
    found = [json.loads(line) for line in lines]
    assert [figure["what"].split(",")[0] for figure in found] == [
        "neighbour graph",
        "k-means",
        "round of a Gaussian mixture",
        "encoding 8 images",
        "training step of TURTLE",
    ]
    for figure in found:
        assert figure["seconds"] > 0 and figure["ratio"] > 0 and figure["alternative"]
        assert (
            figure["device"] == "cpu"
            and figure["small"]
            and figure["versions"]["torch"] == torch.__version__.split("+")[0]
        )


def test_a_step_is_the_time_between_reports_of_the_second_half(monkeypatch):
    clock = iter([0.0, 100.0, 101.0, 103.0])
    monkeypatch.setattr(gpu_set.time, "perf_counter", lambda: next(clock))
    listener = gpu_set.StepTimes(40)
    for done in (10, 20, 30, 40):
        assert not listener.stop_requested()
        listener.update(done, 100, phase="training")
    assert listener.stop_requested()
    assert listener.seconds == pytest.approx(0.2)  # of steps 30 to 40: two seconds


def test_time_is_the_median_after_a_warm_up(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    calls = []
    assert machine.seconds(lambda: calls.append(1), CPU, repeats=3) == 2.0
    assert len(calls) == 4
