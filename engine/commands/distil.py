"""Make a small set on which a classifier trains almost as well as on all images of a run, and measure it honestly."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.distillation.settings import DistilSettings


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the settings."""
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")
    parser.add_argument(
        "--export-dir", type=Path, help="also copy the images nearest to the small set into this folder"
    )
    add_flags(parser, DistilSettings)


def main(arguments: argparse.Namespace) -> int:
    """Distil and print where results.json lies."""
    from engine.export.folders import check_target
    from engine.images.datasets import find_dataset
    from engine.jobs.products import distil_run, export_distilled
    from engine.runs.run import open_run

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    settings = DistilSettings.parse(from_flags(arguments, DistilSettings))
    run = open_run(arguments.run)
    if arguments.export_dir is not None:
        check_target(arguments.export_dir, find_dataset(workspace, run.dataset).source(), "copy")
    results = distil_run(workspace, run, settings, progress=progress)
    for name, found in {**results["distilled"], **results["baselines"]}.items():
        if found.get("mean") is not None:
            progress.say(f"{name}: {found['mean']:.3f} +- {found['std']:.3f}")
    for sentence in results["notes"]:
        progress.say(sentence)
    if arguments.export_dir is not None:
        report = export_distilled(workspace, run, arguments.export_dir, progress=progress)
        progress.say(f"{report.written:,} images written to {report.target}.")
    return finish(arguments.run / "distillation" / "results.json")
