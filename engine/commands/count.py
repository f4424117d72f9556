"""Ask how many clusters there are: coding length, silhouette and stability, each beside structureless data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data
from engine.commands.requests import add_request_flags, read_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.selection import CountRequest, count_clusters


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the encoder's settings and the numbers to try."""
    add_data_arguments(parser, given)
    parser.add_argument("--output-dir", type=Path, help="where count.json goes (default: the library)")
    add_request_flags(parser, CountRequest, skip={"folder"})


def main(arguments: argparse.Namespace) -> int:
    """Weigh the evidence, print it, then the file."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    request = read_request(arguments, CountRequest, dataset="", config_key="", folder="")
    dataset = load_data(arguments, workspace, progress)
    rows = embed_data(arguments, workspace, dataset, progress, neighbors=False)
    folder = arguments.output_dir or workspace.library / "counts" / dataset.id
    request = request.changed(dataset=dataset.id, config_key=rows.embedding.config_key, folder=str(folder))
    result = count_clusters(workspace, request, progress)
    for item in result.evidence:
        progress.say(f"{item.kind}: {item.sentence}")
    progress.say(result.verdict)
    return finish(folder / "count.json")
