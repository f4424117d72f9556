"""Search a clustering method's settings: random, grid or Bayesian, resumable, the best written as a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.clustering.registry import find_method
from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data
from engine.commands.method import add_method_arguments, method_values
from engine.commands.requests import add_request_flags, read_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.selection import SearchRequest, search_settings
from engine.selection.search.space import parse_space


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the method with its settings, and how to search."""
    add_data_arguments(parser, given)
    add_request_flags(parser, SearchRequest, prefix="search-", skip={"method", "settings", "folder", "space"})
    parser.add_argument(
        "--search-space",
        nargs="+",
        type=one_setting,
        default=[],
        metavar="SETTING=VALUES",
        help="what is searched in place of the method's own space, such as n_clusters=2..20 reduce=none,pca-32",
    )
    parser.add_argument(
        "--results-dir", type=Path, help="the search's folder; a search in it goes on (default: in the library)"
    )
    add_method_arguments(parser, given)


def one_setting(text: str) -> tuple[str, str]:
    """Return the setting and its values that "n_clusters=2..20" names."""
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise argparse.ArgumentTypeError(f"{text!r} is not SETTING=VALUES, such as n_clusters=2..20")
    return name.replace("-", "_"), values


def main(arguments: argparse.Namespace) -> int:
    """Search and print best_hyperparameters.json."""
    from engine.runs.run import make_parent

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    method = {"method": arguments.method, "settings": method_values(arguments)}
    space = dict(arguments.search_space)
    parse_space(find_method(arguments.method).settings_class, space)
    request = read_request(arguments, SearchRequest, prefix="search-", dataset="", config_key="", space=space, **method)
    dataset = load_data(arguments, workspace, progress)
    folder = arguments.results_dir or workspace.library / "searches" / f"{arguments.method}_{dataset.id}"
    make_parent(folder)
    rows = embed_data(arguments, workspace, dataset, progress, neighbors=False)
    request = request.changed(dataset=dataset.id, config_key=rows.embedding.config_key, folder=str(folder))
    search = search_settings(workspace, request, progress)
    for line in search.summary().splitlines():
        progress.say(line)
    return finish(folder / "best_hyperparameters.json")
