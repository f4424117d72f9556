"""Write a run's labels, as they stand, as a table (csv, json, parquet) or as folders of images for another tool."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.export.formats import find_format
from engine.export.settings import ExportSettings


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run, the target and the settings."""
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument(
        "--output", "--output-dir", type=Path, help="a file for tables, a new folder for images (default: in the run)"
    )
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")
    add_flags(parser, ExportSettings)


def main(arguments: argparse.Namespace) -> int:
    """Export and print where it lies."""
    from engine.jobs.products import export_run
    from engine.runs.run import open_run

    progress = ConsoleProgress()
    settings = ExportSettings.parse(from_flags(arguments, ExportSettings))
    run = open_run(arguments.run)
    name = f"labels{find_format(settings.format).files}" if settings.is_file else settings.format
    target = arguments.output or run.folder / "exports" / name
    report = export_run(Workspace.open(arguments.workspace), run, settings, target, progress=progress)
    for path, reason in report.failed[:20]:
        progress.say(f"not written: {path}: {reason}")
    progress.say(f"{report.written:,} {'files' if settings.is_file else 'images'} written.")
    return finish(report.target)
