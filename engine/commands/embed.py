"""Embed a data set's images with an encoder; what was embedded once is not embedded again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import (
    ConsoleProgress,
    add_data_arguments,
    check_early,
    embed_data,
    finish,
    load_data,
)
from engine.workspace import Workspace


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data and the encoder's settings."""
    add_data_arguments(parser, given)


def main(arguments: argparse.Namespace) -> int:
    """Embed and print the folder of the configuration."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    rows = embed_data(arguments, workspace, load_data(arguments, workspace, progress), progress)
    progress.say(f"{len(rows):,} images, {rows.vectors.shape[1]:,} numbers each.")
    return finish(workspace.embeddings(rows.embedding.config_key))
