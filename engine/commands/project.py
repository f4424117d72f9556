"""Draw a data set's embeddings as a flat map: UMAP, t-SNE or PCA, one (x, y) per image, kept in the cache."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import (
    ConsoleProgress,
    add_data_arguments,
    check_early,
    embed_data,
    finish,
    load_data,
)
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.geometry.projection import ProjectionSettings


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the encoder's settings and the map's."""
    add_data_arguments(parser, given)
    parser.add_argument("--output", type=Path, help="also as CSV: path, content_id, x, y")
    add_flags(parser, ProjectionSettings, skip={"device"})


def main(arguments: argparse.Namespace) -> int:
    """Map and print the file."""
    from engine.core.csv import write_csv
    from engine.core.ids import to_hex
    from engine.runs.rows import map_of

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    settings = ProjectionSettings.parse(from_flags(arguments, ProjectionSettings))
    rows = embed_data(arguments, workspace, load_data(arguments, workspace, progress), progress)
    xy = map_of(workspace, rows, settings, progress=progress)
    path = arguments.output or workspace.projection(f"{rows.embedding.key}-{settings.key()}") / "xy.csv"
    write_csv(path, {"path": rows.paths, "content_id": to_hex(rows.contents), "x": xy[:, 0], "y": xy[:, 1]})
    return finish(path)
