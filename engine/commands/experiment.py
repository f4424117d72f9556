"""Compare several embeddings of the same images: models x resolutions, one grid of clusterings for each.

`--models ViT-B-32:openai facebook/dinov2-small descriptor --resolutions 224 336`. A silhouette belongs to its space and
is not compared; what survives a change of space is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import (
    add_preprocess_arguments,
    add_source_arguments,
    chosen_preprocess,
    device_name,
    encoder_of_images,
    load_data,
)
from engine.commands.requests import read_request
from engine.commands.sample import add_sampling_arguments, sample_values
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import expand_grid
from engine.jobs.tasks.experiments import ExperimentRequest, compare_models, experiments_folder
from engine.selection.experiments import MODELS, RESOLUTIONS
from engine.selection.sweep.settings import SweepSettings


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the models, the sample and the sweep's settings."""
    add_source_arguments(parser)
    parser.add_argument("--device", type=device_name, default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--models",
        nargs="+",
        help="architecture[:training], hub ids, folders, encoder:model, or an encoder alone "
        f"(default: the built-in encoder, {', '.join(MODELS)})",
    )
    parser.add_argument("--resolutions", nargs="+", type=int, default=list(RESOLUTIONS), help="pixels of the square")
    parser.add_argument("--output-dir", type=Path, help="where the comparison goes (default: the library)")
    add_preprocess_arguments(parser)
    add_sampling_arguments(parser)
    add_flags(parser, SweepSettings)


def main(arguments: argparse.Namespace) -> int:
    """Compare, print the table, then the folder."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    settings = SweepSettings.parse(from_flags(arguments, SweepSettings))
    models = arguments.models or [encoder_of_images(arguments.dataset).name, *MODELS]
    known: dict[str, Any] = {
        "models": models,
        "dataset": "",
        "folder": "",
        "settings": settings,
        "preprocess": chosen_preprocess(arguments),
    }
    request = read_request(arguments, ExperimentRequest, **known, **sample_values(arguments, settings.random_state))
    expand_grid(request.models, request.resolutions)
    dataset = load_data(arguments, workspace, progress)
    folder = arguments.output_dir or experiments_folder(workspace, dataset.id)
    result = compare_models(workspace, request.changed(dataset=dataset.id, folder=str(folder)), progress)
    for row in result.rows:
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:.3f}"
            for name in ("pair_recall", "pairs_together", "neighbor_agreement", "stability", "balance", "accuracy")
            if (value := getattr(row, name)) is not None
        )
        progress.say(f"{row.order or '-':>3}  {row.name}: {row.reason or f'{row.winner}; {figures}'}")
    return finish(folder)
