"""Ask how many clusters there are: coding length, silhouette and stability, each beside structureless data.

`count --run RUN` adds the curve of a trained CPP and keeps the answer in the run's folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data, some_path
from engine.commands.requests import add_request_flags, read_request
from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.jobs.tasks.requests import named_run
from engine.jobs.tasks.selection import CountRequest, count_clusters
from engine.selection.count.count import Evidence


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the encoder's settings and the numbers to try."""
    add_data_arguments(parser, given)
    parser.add_argument(
        "--run",
        type=some_path,
        help="a finished CPP run, in place of the data: its trained network's curve is shown",
    )
    parser.add_argument("--output-dir", type=Path, help="where count.json goes (default: the library, or the run)")
    add_request_flags(parser, CountRequest, skip={"folder"})


def main(arguments: argparse.Namespace) -> int:
    """Weigh the evidence, print it, then the file."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    request = read_request(arguments, CountRequest, dataset="", config_key="", folder="", run="")
    if arguments.run is not None:
        if any(getattr(arguments, name) is not None for name in ("dataset", "folder", "vectors")):
            raise InputError("A run and data are named.", "Name one of them: a run knows its data.")
        run = named_run(workspace, str(arguments.run))
        folder = arguments.output_dir or run.folder
        key = str(run.config.get("embedding", {}).get("config_key", ""))
        request = request.changed(run=str(run.folder), dataset=run.dataset, config_key=key)
    else:
        dataset = load_data(arguments, workspace, progress)
        rows = embed_data(arguments, workspace, dataset, progress, neighbors=False)
        folder = arguments.output_dir or workspace.library / "counts" / dataset.id
        request = request.changed(dataset=dataset.id, config_key=rows.embedding.config_key)
    result = count_clusters(workspace, request.changed(folder=str(folder)), progress)
    for item in result.evidence:
        progress.say(f"{item.kind}: {item.sentence}")
        if item.kind == "CPP coding length":
            progress.say(table(item))
    progress.say(result.verdict)
    return finish(folder / "count.json")


def table(item: Evidence) -> str:
    """Return a curve as text, a line for each number of clusters, the one that it would choose marked."""
    return "\n".join(
        f"{k:>7,} clusters  {value:10.3f}{'  <-' if k == item.best else ''}"
        for k, value in zip(item.ks.tolist(), item.values.tolist(), strict=True)
    )
