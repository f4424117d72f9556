"""Recompute everything a run says about itself from its folder, without clustering again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.core.workspace import Workspace


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and what to add."""
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--detailed", action="store_true", help="also every class, every cluster and the contingency")
    parser.add_argument("--plot", action="store_true", help="also draw the figures")
    parser.add_argument("--viz-method", choices=["umap", "tsne", "pca"], default="umap", help="the map of the figures")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")


def main(arguments: argparse.Namespace) -> int:
    """Analyse, print the main figures, write analysis.json."""
    from engine.core.errors import KindredError
    from engine.core.files import write_json
    from engine.jobs.products import draw_run
    from engine.runs.analysis import analyze
    from engine.runs.rows import rows_of_run
    from engine.runs.run import open_run

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    run = open_run(arguments.run)
    try:
        rows = rows_of_run(workspace, run)
    except KindredError as error:
        rows = None
        progress.say(str(error))
    found = analyze(run, rows, detailed=arguments.detailed)
    for part in ("train", "test"):
        for name, value in (found[part] or {}).items():
            if isinstance(value, float):
                progress.say(f"{part} {name}: {value:.4f}")
    write_json(run.folder / "analysis.json", found)
    if arguments.plot and rows is not None:
        draw_run(workspace, run, rows, arguments.viz_method, progress=progress)
    return finish(run.folder / "analysis.json")
