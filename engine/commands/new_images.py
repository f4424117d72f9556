"""Say which images that came after a run fit its clusters and which are of a new kind, and suggest labels for them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.newcomers import NewImagesRequest, judge_new_images


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and whether labels are suggested."""
    add_run_arguments(parser, NewImagesRequest)


def main(arguments: argparse.Namespace) -> int:
    """Compare, print the sentences and a line for each cluster that got images, then the first sentence."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    found = judge_new_images(workspace, read_run_request(arguments, NewImagesRequest), progress)
    for title, count in found.fitting.items():
        progress.say(f"  {title}: {count:,}")
    for sentence in found.sentences[1:]:
        progress.say(sentence)
    return finish(found.sentences[0])
