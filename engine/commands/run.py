"""Cluster a data set, a folder or vectors into a run folder.

It holds config.json, results.json, predictions.npz and labels.csv.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
    some_path,
)
from engine.core.errors import InputError, KindredError
from engine.core.progress import SILENT, Progress
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.labels.pseudo_labels import PseudoLabelSettings

if TYPE_CHECKING:
    from engine.runs.rows import Rows


def expand(given: Sequence[str]) -> list[str]:
    """Return the flags, those of the run to be resumed first: `run --resume-from FOLDER` alone is enough.

    Raises
    ------
    InputError
        The folder holds no run.
    """
    folder = peek(given, "--resume-from")
    if folder is None:
        return list(given)
    from engine.runs.run import open_run

    kept = open_run(Path(folder)).config.get("arguments", [])
    return [str(word) for word in kept] + list(given) if isinstance(kept, list) else list(given)


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the flags, the chosen encoder's and the chosen method's among them."""
    add_data_arguments(parser, given)
    parser.add_argument("--method", choices=[*METHODS], default=DEFAULT_METHOD, help="the clustering method")
    parser.add_argument(
        "--settings", help="the method's settings from a JSON file, or a paper's by name (hadis: cifar10, stl10, ...)"
    )
    parser.add_argument("--results-dir", type=some_path, help="where the run folder goes (default: the library)")
    parser.add_argument("--experiment-name", default="", help="what the run is called")
    parser.add_argument(
        "--test-fraction", type=float, help="set this share aside as the test part, by class and content hash"
    )
    parser.add_argument("--load-features", type=Path, help="cluster these saved features instead (same as --vectors)")
    parser.add_argument("--save-features", action="store_true", help="keep the embeddings in the run folder")
    parser.add_argument(
        "--resume-from", type=Path, help="go on in this run folder from its checkpoints, with the flags of its start"
    )
    parser.add_argument("--plot", action="store_true", help="draw the figures")
    parser.add_argument("--viz-method", choices=["umap", "tsne", "pca"], default="umap", help="the map of the figures")
    parser.add_argument("--generate-pseudo-labels", action="store_true", help="label the clusters by vote")
    add_flags(parser, PseudoLabelSettings)
    method = peek(given, "--method") or DEFAULT_METHOD
    if method in METHODS:
        add_flags(parser, find_method(method).settings_class, skip={"device"})
    parser.set_defaults(given=list(given))


def main(arguments: argparse.Namespace) -> int:
    """Run the whole way and print the run folder; under `torchrun` the other processes only help to train."""
    if arguments.load_features is not None and arguments.vectors is None:
        arguments.vectors = arguments.load_features
    check_early(arguments)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return train_together(arguments)
    return whole(arguments, str)


def train_together(arguments: argparse.Namespace) -> int:
    """Let the first process do everything and the others join it for the training, once its folder is known."""
    from engine.clustering.deep.parallel import ProcessGroup
    from engine.runs import fit as pipeline

    if find_method(arguments.method).takes != "images":
        raise InputError(f"{arguments.method} trains in one process.", "Start it without torchrun.")
    processes = ProcessGroup()
    try:
        if processes.rank == 0:
            return whole(arguments, processes.text_from_first)
        folder = Path(processes.text_from_first(""))
        workspace = Workspace.open(arguments.workspace)
        rows = read(arguments, workspace, SILENT, {})
        settings = method_settings(arguments, rows)
        pipeline.fit(find_method(arguments.method), settings, rows, workspace, checkpoints=folder / "checkpoints")
        return 0
    finally:
        processes.close()


def whole(arguments: argparse.Namespace, announce: Callable[[str], str]) -> int:
    """Run the whole way; `announce` hears of the folder before the training begins."""
    from engine.jobs.products import draw_run, pseudo_label_run, save_features
    from engine.runs import fit as pipeline
    from engine.runs import run as runs

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    vote = PseudoLabelSettings.parse(from_flags(arguments, PseudoLabelSettings))
    parent = arguments.results_dir or workspace.runs
    runs.make_parent(parent)
    seconds: dict[str, float] = {}
    rows = read(arguments, workspace, progress, seconds)
    settings = method_settings(arguments, rows)
    n_clusters = find_method(arguments.method).n_clusters(settings)
    if n_clusters is not None and "n_clusters" not in settings.model_fields_set:
        progress.say(
            f"No number of clusters was given and no truth tells it: {n_clusters} are made. "
            "--num-clusters asks for another; `python -m engine sweep` looks for one."
        )
    folder = arguments.resume_from
    if folder is None:
        folder = runs.new_folder(parent, runs.folder_name(arguments.method, rows.dataset.name, n_clusters))
    announce(str(folder))
    try:
        run = pipeline.cluster(
            workspace,
            rows,
            arguments.method,
            settings,
            folder,
            title=arguments.experiment_name,
            config={"arguments": arguments.given, "test_fraction": arguments.test_fraction},
            progress=progress,
            seconds=seconds,
        )
    except KeyboardInterrupt:
        progress.say(f"To go on from what is there: python -m engine run --resume-from {folder}")
        raise
    except KindredError:
        runs.drop_empty(folder)
        raise
    pipeline.write_labels(run, rows, workspace)
    for sentence in run.results["notes"]:
        progress.say(sentence)
    if arguments.save_features:
        save_features(run, rows)
    if arguments.generate_pseudo_labels:
        pseudo_label_run(workspace, run, vote, progress=progress)
    if arguments.plot:
        draw_run(workspace, run, rows, arguments.viz_method, progress=progress)
    return finish(folder)


def read(arguments: argparse.Namespace, workspace: Workspace, progress: Progress, seconds: dict[str, float]) -> Rows:
    """Scan, embed and split the data that the flags name; the times go into `seconds`."""
    from engine.runs.rows import with_test_fraction

    if arguments.test_fraction is not None and not 0 < arguments.test_fraction < 1:
        raise InputError(f"The test fraction must lie between 0 and 1, not at {arguments.test_fraction:g}.")
    began = time.perf_counter()
    dataset = load_data(arguments, workspace, progress)
    seconds["scan"] = time.perf_counter() - began
    began = time.perf_counter()
    rows = embed_data(arguments, workspace, dataset, progress)
    seconds["embed"] = time.perf_counter() - began
    return rows if arguments.test_fraction is None else with_test_fraction(rows, arguments.test_fraction)
