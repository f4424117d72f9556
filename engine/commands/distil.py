"""Make a small set on which a classifier trains almost as well as on all images of a run, and measure it honestly."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.distillation.settings import TITLES
from engine.jobs.tasks.results import DistilRequest, distil_run


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the settings."""
    add_run_arguments(parser, DistilRequest)


def main(arguments: argparse.Namespace) -> int:
    """Distil and print where results.json lies."""
    progress = ConsoleProgress()
    request = read_run_request(arguments, DistilRequest)
    results = distil_run(Workspace.open(arguments.workspace), request, progress)
    for name, measured in {**results["distilled"], **results["baselines"]}.items():
        near = measured.get("nearest_images")
        if near is not None:
            progress.say(
                f"{TITLES[name]}: {near['mean']:.3f} +- {near['std']:.3f} from its images, "
                f"{measured['mean']:.3f} +- {measured['std']:.3f} from its rows"
            )
    for sentence in results["notes"]:
        progress.say(sentence)
    return finish(arguments.run / "distillation" / "results.json")
