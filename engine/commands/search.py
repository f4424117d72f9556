"""Search a clustering method's settings: random, grid or Bayesian, resumable, the best written as a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import DEFAULT_METHOD, METHODS, find_method
from engine.commands.console import (
    ConsoleProgress,
    add_data_arguments,
    check_early,
    embed_data,
    finish,
    load_data,
    method_settings,
    peek,
)
from engine.core.errors import InputError
from engine.core.settings import Settings, add_flags
from engine.core.workspace import Workspace

if TYPE_CHECKING:
    from engine.runs.rows import Rows

METRICS = ("accuracy", "nmi", "ari", "silhouette")


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the method with its settings, and how to search."""
    from engine.selection.search.study import Sampler

    add_data_arguments(parser, given)
    parser.add_argument("--method", choices=[*METHODS], default=DEFAULT_METHOD, help="the clustering method")
    search = parser.add_argument_group("search")
    search.add_argument(
        "--search-method", choices=get_args(Sampler), default="random", help="how the trials are chosen"
    )
    search.add_argument("--search-trials", type=int, default=20, help="how many settings are tried, at most")
    search.add_argument("--search-epochs", type=int, default=50, help="epochs of a deep method's trials")
    search.add_argument(
        "--search-metric", choices=METRICS, help="what is best (default: accuracy with truth, else silhouette)"
    )
    search.add_argument("--search-seed", type=int, default=0, help="seed of the draws")
    parser.add_argument(
        "--results-dir", type=Path, help="the search's folder; a search in it goes on (default: in the library)"
    )
    method = peek(given, "--method") or DEFAULT_METHOD
    if method in METHODS:
        add_flags(parser, find_method(method).settings_class, skip={"device"})


def main(arguments: argparse.Namespace) -> int:
    """Search and print best_hyperparameters.json."""
    from engine.runs.run import make_parent
    from engine.selection.search.search import HyperparameterSearch

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    if arguments.search_trials < 1 or arguments.search_epochs < 1:
        raise InputError("A search needs at least one trial, and a trial at least one epoch.")
    dataset = load_data(arguments, workspace, progress)
    folder = arguments.results_dir or workspace.library / "searches" / f"{arguments.method}_{dataset.id}"
    make_parent(folder)
    rows = embed_data(arguments, workspace, dataset, progress)
    search = HyperparameterSearch(
        arguments.method,
        metric=arguments.search_metric,
        settings=method_settings(arguments, rows),
        folder=folder,
        random_state=arguments.search_seed,
    )
    data, truth, vectors = table_for(arguments.method, search.settings, rows, workspace, progress)
    search.search(
        data,
        truth,
        vectors=vectors,
        method=arguments.search_method,
        n_trials=arguments.search_trials,
        n_epochs=arguments.search_epochs,
        progress=progress,
    )
    for line in search.summary().splitlines():
        progress.say(line)
    return finish(folder / "best_hyperparameters.json")


def table_for(
    method: str, settings: Settings | None, rows: Rows, workspace: Workspace, progress: ConsoleProgress
) -> tuple[NDArray[Any], NDArray[np.int32] | None, NDArray[np.float32]]:
    """Return what the method is fitted on, embeddings or images of the training rows, their truth and embeddings."""
    from engine.images.pixels import natural_side, read_pixels
    from engine.runs.rows import truth_codes

    data: NDArray[Any] = rows.vectors
    known = np.arange(len(rows))
    entry = find_method(method)
    if entry.takes == "images":
        side = entry.image_side(settings or entry.settings_class()) or natural_side(rows.width, rows.height)
        pixels = read_pixels(workspace, rows.dataset, rows.paths, rows.contents, side, progress=progress)
        data, known = pixels.images, pixels.rows
    test = np.array([rows.split[row] == "test" for row in known], dtype=bool)
    kept = ~test if not test.all() else test
    truth = truth_codes(rows.truth)
    return data[kept], None if truth is None else truth[known[kept]], rows.vectors[known[kept]]
