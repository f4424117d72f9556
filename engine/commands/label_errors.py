"""List the labels of a run's images that are probably wrong, the most suspicious first, as CSV."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.labels import LabelErrorsRequest, find_label_errors
from engine.labels.errors import FEWEST


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and where the list goes."""
    add_run_arguments(parser, LabelErrorsRequest)


def main(arguments: argparse.Namespace) -> int:
    """Check the labels, print how many are probably wrong, then the file."""
    progress = ConsoleProgress()
    request = read_run_request(arguments, LabelErrorsRequest)
    found = find_label_errors(Workspace.open(arguments.workspace), request, progress)
    progress.say(f"{found.judged:,} labels checked, {len(found):,} of them are probably wrong.")
    if found.unjudged:
        progress.say(f"{found.unjudged:,} more were not checked: fewer than {FEWEST} images have their label.")
    return finish(Path(request.folder or arguments.run) / "label_errors.csv")
