"""Take a measure, or the difference of two groups, out of a run's vectors, and cluster again by the same method."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.nuisance import RemoveNuisanceRequest, remove_nuisance


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and what is taken out."""
    add_run_arguments(parser, RemoveNuisanceRequest)


def main(arguments: argparse.Namespace) -> int:
    """Take it out, cluster, print before and after, then the new run's folder."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    found = remove_nuisance(workspace, read_run_request(arguments, RemoveNuisanceRequest), progress)
    return finish(workspace.runs / found.run)
