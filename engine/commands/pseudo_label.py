"""Label a run's clusters by the vote of the samples nearest to their centres, and write the pseudo-label files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.labels.pseudo_labels import PseudoLabelSettings


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the settings."""
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")
    add_flags(parser, PseudoLabelSettings)


def main(arguments: argparse.Namespace) -> int:
    """Vote, write the files, print their folder."""
    from engine.jobs.products import pseudo_label_run
    from engine.runs.run import open_run

    progress = ConsoleProgress()
    settings = PseudoLabelSettings.parse(from_flags(arguments, PseudoLabelSettings))
    written = pseudo_label_run(
        Workspace.open(arguments.workspace), open_run(arguments.run), settings, progress=progress
    )
    for name, part in written.splits.items():
        right = "" if part.accuracy is None else f", {part.accuracy:.1%} of them right"
        progress.say(f"{name}: {part.coverage:.1%} of the images labelled{right}")
    return finish(arguments.run / "pseudo_labels")
