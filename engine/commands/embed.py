"""Embed a data set's images with an encoder; what was embedded once is not embedded again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data
from engine.core.workspace import Workspace


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data and the encoder's settings."""
    add_data_arguments(parser, given)
    parser.add_argument(
        "--force", action="store_true", help="embed every image again; the old vectors serve until all are made"
    )


def main(arguments: argparse.Namespace) -> int:
    """Embed and print the folder of the configuration."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    dataset = load_data(arguments, workspace, progress)
    rows = embed_data(arguments, workspace, dataset, progress, force=arguments.force)
    progress.say(f"{len(rows):,} images, {rows.vectors.shape[1]:,} numbers each.")
    return finish(workspace.embeddings(rows.embedding.config_key))
