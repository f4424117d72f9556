"""Find the nearest neighbours of every image, kept in the cache: what clustering, maps and search begin with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data
from engine.core.workspace import Workspace
from engine.jobs.tasks.data import GraphRequest, find_neighbors


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data and the encoder's settings."""
    add_data_arguments(parser, given)


def main(arguments: argparse.Namespace) -> int:
    """Find the neighbours and print the folder of the graph."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    dataset = load_data(arguments, workspace, progress)
    rows = embed_data(arguments, workspace, dataset, progress, neighbors=False)
    request = GraphRequest(dataset=dataset.id, config_key=rows.embedding.config_key)
    graph = find_neighbors(workspace, request, progress)
    progress.say(f"{len(graph):,} images, {graph.k:,} neighbours each.")
    return finish(workspace.neighbors(rows.embedding.key))
