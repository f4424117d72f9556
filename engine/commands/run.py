"""Cluster a data set, a folder or vectors into a run folder.

It holds config.json, results.json, predictions.npz and labels.csv.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from engine.clustering.registry import METHODS, find_method
from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, embedding_key, load_data, some_path
from engine.commands.method import add_method_arguments, method_values
from engine.commands.parser import peek
from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.evaluation.verdict import verdict_of
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images, help_to_train, prepare, run_folder
from engine.jobs.tasks.labels import PseudoLabelRequest, pseudo_label
from engine.labels.pseudo_labels import PseudoLabelSettings


def expand(given: Sequence[str]) -> list[str]:
    """Return the flags, those of the run to be resumed first: `run --resume-from FOLDER` alone is enough.

    Raises
    ------
    InputError
        The folder holds no run.
    """
    place = peek(given, "--resume-from")
    if place is None:
        return list(given)
    from engine.runs.run import open_run

    kept = open_run(run_of(Path(place))).config.get("arguments", [])
    return [str(word) for word in kept] + list(given) if isinstance(kept, list) else list(given)


def run_of(place: Path) -> Path:
    """Return the run folder of a checkpoint file or of a folder of checkpoints, or the folder itself."""
    folder = place.parent if place.is_file() else place
    return folder.parent if folder.name == "checkpoints" else folder


def vector_file(place: Path, workspace: Workspace) -> Path:
    """Return a vector file that holds the features at `place`: itself, or one in the cache that joins their parts.

    Raises
    ------
    InputError
        There are none.
    """
    from engine.core.files import content_id, save_arrays
    from engine.images.vectors import read_features

    if place.is_file():
        return place
    found = read_features(place)
    arrays = {"vectors": found.vectors}
    if found.ids is not None:
        arrays["ids"] = np.array(found.ids)
    if found.labels is not None:
        arrays["labels"] = np.array([label or "" for label in found.labels])
    name = content_id(os.fsencode(place.resolve())).hex()
    path = workspace.cache / "features" / f"{name}.npz"
    save_arrays(path, **arrays)
    return path


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the flags, the chosen encoder's and the chosen method's among them."""
    add_data_arguments(parser, given)
    parser.add_argument(
        "--settings", help="the method's settings from a JSON file, or a paper's by name (hadis: cifar10, stl10, ...)"
    )
    parser.add_argument("--results-dir", type=some_path, help="where the run folder goes (default: the library)")
    parser.add_argument("--experiment-name", default="", help="what the run is called")
    parser.add_argument(
        "--test-fraction", type=float, help="set this share aside as the test part, by class and content hash"
    )
    parser.add_argument(
        "--start-run", type=some_path, help="a run of the same images from whose clusters a deep method starts"
    )
    parser.add_argument(
        "--also-embedding",
        action="append",
        default=[],
        metavar="ENCODER",
        help="read the images with this encoder too, at its usual settings, for a method that works in several spaces "
        "at once; or the key of embeddings that are there already; may be repeated",
    )
    parser.add_argument(
        "--refuse-missing",
        action="store_true",
        help="refuse where an image lacks one of several embeddings, instead of leaving it out",
    )
    parser.add_argument(
        "--load-features", type=some_path, help="cluster saved features: a folder of them, or .pt, .npy, .npz, .parquet"
    )
    parser.add_argument("--save-features", action="store_true", help="keep the embeddings in the run folder")
    parser.add_argument(
        "--resume-from",
        type=some_path,
        help="go on in this run folder (or that of a checkpoint) with the flags of its start; more epochs train longer",
    )
    parser.add_argument("--plot", action="store_true", help="draw the figures")
    parser.add_argument("--viz-method", choices=["umap", "tsne", "pca"], default="umap", help="the map of the figures")
    parser.add_argument("--generate-pseudo-labels", action="store_true", help="label the clusters by vote")
    add_flags(parser, PseudoLabelSettings)
    add_method_arguments(parser, given)
    parser.set_defaults(given=list(given))


def main(arguments: argparse.Namespace) -> int:
    """Run the whole way and print the run folder; under `torchrun` the other processes only help to train."""
    if arguments.load_features is not None and arguments.vectors is None:
        arguments.vectors = vector_file(arguments.load_features, Workspace.open(arguments.workspace))
        arguments.dataset = None  # only says what the features are of
    check_early(arguments)
    method_values(arguments)
    if arguments.also_embedding and find_method(arguments.method).takes != "spaces":
        raise InputError(
            f"{arguments.method} reads the embeddings of one encoder, not of several.",
            f"Leave --also-embedding out, or use {', '.join(n for n, m in METHODS.items() if m.takes == 'spaces')}.",
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return train_together(arguments)
    return whole(arguments)


def train_together(arguments: argparse.Namespace) -> int:
    """Let the first process do everything and the others join it for the training, once its folder is known."""
    from engine.clustering.deep.parallel import ProcessGroup

    if find_method(arguments.method).takes != "images":
        raise InputError(f"{arguments.method} trains in one process.", "Start it without torchrun.")
    processes = ProcessGroup()
    try:
        if processes.rank == 0:
            return whole(arguments, processes.text_from_first)
        folder = processes.text_from_first("")
        workspace = Workspace.open(arguments.workspace)
        help_to_train(workspace, ready(arguments, workspace, SILENT).changed(folder=folder))
    finally:
        processes.close()
    # Nothing is left to do here. An ordinary exit now and then aborts, because a thread of a library still runs, and
    # torchrun would end the first process for it.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def whole(arguments: argparse.Namespace, announce: Callable[[str], str] | None = None) -> int:
    """Run the whole way; `announce`, where there is one, hears of the folder before the training begins."""
    from engine.runs.figures import draw_run
    from engine.runs.rows import rows_of_run
    from engine.runs.run import make_parent
    from engine.runs.training import training_lines

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    vote = PseudoLabelSettings.parse(from_flags(arguments, PseudoLabelSettings))
    make_parent(arguments.results_dir or workspace.runs)
    request = ready(arguments, workspace, progress)
    if announce is not None:
        folder = run_folder(workspace, request, prepare(workspace, request))
        announce(str(folder))
        request = request.changed(folder=str(folder))
    run = cluster_images(workspace, request, progress)
    if verdict := verdict_of(run.results):
        progress.say(verdict.line)
    for sentence in [*run.results["notes"], *training_lines(run.results)]:
        progress.say(sentence)
    if arguments.generate_pseudo_labels:
        pseudo_label(workspace, PseudoLabelRequest(run=str(run.folder), settings=vote), progress)
    if arguments.plot:
        draw_run(workspace, run, rows_of_run(workspace, run), arguments.viz_method, progress=progress)
    return finish(run.folder)


def ready(arguments: argparse.Namespace, workspace: Workspace, progress: Progress) -> ClusterRequest:
    """Scan and embed the data that the flags name, and return what is to be clustered how."""
    from engine.runs.rows import check_test_fraction

    if arguments.test_fraction is not None:
        check_test_fraction(arguments.test_fraction)
    began = time.perf_counter()
    dataset = load_data(arguments, workspace, progress)
    scanned = time.perf_counter()
    rows = embed_data(arguments, workspace, dataset, progress, neighbors=False)
    also = [embedding_key(name, arguments, workspace, dataset, progress) for name in arguments.also_embedding]
    return ClusterRequest.parse(
        {
            "dataset": dataset.id,
            "config_key": rows.embedding.config_key,
            "method": arguments.method,
            "settings": method_values(arguments),
            "test_fraction": arguments.test_fraction,
            "also": also,
            "refuse_missing": arguments.refuse_missing,
            "start_run": str(arguments.start_run or ""),
            "title": arguments.experiment_name,
            "save_features": arguments.save_features,
            "folder": str(run_of(arguments.resume_from) if arguments.resume_from else ""),
            "results_dir": str(arguments.results_dir or ""),
            "arguments": arguments.given,
            "seconds": {"scan": scanned - began, "embed": time.perf_counter() - scanned},
        }
    )
