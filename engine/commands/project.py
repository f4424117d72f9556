"""Draw a data set's embeddings as a flat map: UMAP, t-SNE or PCA, one (x, y) per image, kept in the cache."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data
from engine.commands.requests import add_request_flags, read_request
from engine.core.csv import write_csv
from engine.core.ids import to_hex
from engine.core.workspace import Workspace
from engine.jobs.tasks.data import MapRequest, project


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the encoder's settings and the map's."""
    add_data_arguments(parser, given)
    parser.add_argument("--output", type=Path, help="also as CSV: path, content_id, x, y")
    add_request_flags(parser, MapRequest)


def main(arguments: argparse.Namespace) -> int:
    """Map and print the file."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    request = read_request(arguments, MapRequest, dataset="", config_key="")
    rows = embed_data(arguments, workspace, load_data(arguments, workspace, progress), progress, neighbors=False)
    request = request.changed(dataset=rows.dataset.id, config_key=rows.embedding.config_key)
    xy = project(workspace, request, progress)
    path = arguments.output or workspace.projection(f"{rows.embedding.key}-{request.settings.key()}") / "xy.csv"
    write_csv(path, {"path": rows.paths, "content_id": to_hex(rows.contents), "x": xy[:, 0], "y": xy[:, 1]})
    return finish(path)
