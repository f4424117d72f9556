"""Name clusters of a run by hand: `name RUN 3=cat 5="big dog"`; without names the clusters are listed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.core.workspace import Workspace
from engine.jobs.tasks.labels import NameRequest, name_clusters


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the names."""
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("names", nargs="*", metavar="CLUSTER=NAME", help="such as 3=cat; 3= takes the name away")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")


def main(arguments: argparse.Namespace) -> int:
    """Name and print the clusters, then the run's folder."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    request = NameRequest.parse({"run": str(arguments.run), "names": tuple(arguments.names)})
    state = name_clusters(workspace, request, progress)
    for cluster in state.clusters:
        progress.say(f"cluster {cluster.id}, {cluster.size:,} images: {cluster.name or 'no name'}")
    return finish(request.opened(workspace).folder)
