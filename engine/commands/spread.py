"""Spread the labels that a person gave a run's images to their neighbours, as proposals in a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.labels import SpreadRequest, spread_labels, spread_labels_summary


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and how labels spread."""
    add_run_arguments(parser, SpreadRequest)


def main(arguments: argparse.Namespace) -> int:
    """Spread, print how many images are proposed a label, then the file."""
    progress = ConsoleProgress()
    request = read_run_request(arguments, SpreadRequest)
    result = spread_labels(Workspace.open(arguments.workspace), request, progress)
    counts = spread_labels_summary(result)
    progress.say(f"{counts['labelled']:,} images have a label; {counts['proposed']:,} are proposed one.")
    if counts["checked"]:
        progress.say(f"Of {counts['checked']:,} labelled images, each hidden once, {counts['right']:,} come out right.")
    return finish(Path(request.folder or arguments.run) / "spread.npz")
