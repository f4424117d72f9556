"""Say how far measures that have nothing to do with the content explain a run and each of its clusters."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.evaluation.explanation import Reason
from engine.jobs.tasks.explaining import ExplainRequest, explain_run
from engine.labels.quality import three_digits
from engine.runs.explained import FILE

_SHOWN = 3  # reasons of a cluster


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run."""
    add_run_arguments(parser, ExplainRequest)


def main(arguments: argparse.Namespace) -> int:
    """Explain, print a table for the run and a line for each cluster, then the file."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    request = read_run_request(arguments, ExplainRequest)
    found = explain_run(workspace, request, progress)
    progress.say(found.sentence)
    if found.run:
        width = max(len(reason.measure) for reason in found.run)
        progress.say("the whole clustering: measure, adjusted mutual information, floor of shuffled clusters")
        for reason in found.run:
            progress.say(f"  {reason.measure:<{width}}  {_figures(reason)}")
        progress.say("each cluster: its strongest measures above the floor")
        for cluster, reasons in found.clusters.items():
            told = [f"{one.measure} {three_digits(one.value)}" for one in reasons[:_SHOWN] if one.above_chance]
            progress.say(f"  cluster {cluster:<5}  {', '.join(told) or 'none'}")
    return finish(request.opened(workspace).folder / FILE)


def _figures(reason: Reason) -> str:
    """Return value and floor, and a word on what they mean."""
    word = "explains it" if reason.notable else "above chance, weak" if reason.above_chance else "as by chance"
    return f"{three_digits(reason.value):>6}  {three_digits(reason.floor):>6}  {word}"
