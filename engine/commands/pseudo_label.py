"""Label a run's clusters by the vote of the samples nearest to their centres, and write the pseudo-label files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.labels import PseudoLabelRequest, pseudo_label


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the settings."""
    add_run_arguments(parser, PseudoLabelRequest)


def main(arguments: argparse.Namespace) -> int:
    """Vote, write the files, print their folder."""
    progress = ConsoleProgress()
    request = read_run_request(arguments, PseudoLabelRequest)
    written = pseudo_label(Workspace.open(arguments.workspace), request, progress)
    for name, part in written.splits.items():
        right = "" if part.accuracy is None else f", {part.accuracy:.1%} of them right"
        progress.say(f"{name}: {part.coverage:.1%} of the images labelled{right}")
    return finish(arguments.run / "pseudo_labels")
