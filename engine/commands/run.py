"""Cluster a data set, a folder or vectors into a run folder.

It holds config.json, results.json, predictions.npz and labels.csv.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clustering import METHODS, find_method
from engine.commands.console import ConsoleProgress, add_data_arguments, embed_data, finish, load_data, peek
from engine.errors import InputError
from engine.labels.pseudo_labels import PseudoLabelSettings
from engine.settings import Settings, add_flags, from_flags
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.rows import Rows


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the flags, the chosen encoder's and the chosen method's among them."""
    add_data_arguments(parser, given)
    parser.add_argument("--method", choices=[*METHODS], default="kmeans", help="the clustering method")
    parser.add_argument("--results-dir", type=Path, help="where the run folder goes (default: the library)")
    parser.add_argument("--experiment-name", default="", help="what the run is called")
    parser.add_argument("--load-features", type=Path, help="cluster these saved features instead (same as --vectors)")
    parser.add_argument("--save-features", action="store_true", help="keep the embeddings in the run folder")
    parser.add_argument("--resume-from", type=Path, help="go on in this run folder from its checkpoints")
    parser.add_argument("--plot", action="store_true", help="draw the figures")
    parser.add_argument("--viz-method", choices=["umap", "tsne", "pca"], default="umap", help="the map of the figures")
    parser.add_argument("--generate-pseudo-labels", action="store_true", help="label the clusters by vote")
    add_flags(parser, PseudoLabelSettings)
    method = peek(given, "--method") or "kmeans"
    if method in METHODS:
        add_flags(parser, find_method(method).settings_class, skip={"device"})


def main(arguments: argparse.Namespace) -> int:
    """Run the whole way and print the run folder."""
    from engine import pipeline, runs
    from engine.work import draw_run, pseudo_label_run, save_features

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    if arguments.load_features is not None and arguments.vectors is None:
        arguments.vectors = arguments.load_features
    began = time.perf_counter()
    dataset = load_data(arguments, workspace, progress)
    seconds = {"scan": time.perf_counter() - began}
    began = time.perf_counter()
    rows = embed_data(arguments, workspace, dataset, progress)
    seconds["embed"] = time.perf_counter() - began
    settings = method_settings(arguments, rows)
    n_clusters = getattr(settings, "n_clusters", None)
    parent = arguments.results_dir or workspace.runs
    folder = arguments.resume_from
    if folder is None:
        folder = runs.new_folder(parent, runs.folder_name(arguments.method, dataset.name, n_clusters))
    elif not folder.is_dir():
        raise InputError(f"{folder} is not a run folder.", "Name the folder of the run to go on with.")
    run = pipeline.cluster(
        workspace, rows, arguments.method, settings, folder,
        title=arguments.experiment_name, progress=progress, seconds=seconds,
    )  # fmt: skip
    pipeline.write_csv(run, rows, workspace)
    for sentence in run.results["notes"]:
        progress.say(sentence)
    if arguments.save_features:
        save_features(run, rows)
    if arguments.generate_pseudo_labels:
        settings_of_vote = PseudoLabelSettings.parse(from_flags(arguments, PseudoLabelSettings))
        pseudo_label_run(workspace, run, settings_of_vote, progress=progress)
    if arguments.plot:
        draw_run(workspace, run, rows, arguments.viz_method, progress=progress)
    return finish(folder)


def method_settings(arguments: argparse.Namespace, rows: Rows) -> Settings:
    """Build the method's settings; the number of clusters defaults to the number of known classes."""
    model = find_method(arguments.method).settings_class
    values = from_flags(arguments, model)
    classes = len({name for name in rows.truth if name is not None})
    if "n_clusters" in model.model_fields and "n_clusters" not in values and classes > 1:
        values["n_clusters"] = classes
    if "device" in model.model_fields:
        values["device"] = arguments.device
    return model.parse(values)
