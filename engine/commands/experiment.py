"""Compare several embeddings of the same images: models x resolutions, one grid of clusterings for each.

`--models ViT-B-32:openai facebook/dinov2-small descriptor --resolutions 224 336`. A silhouette belongs to its space and
is not compared; what survives a change of space is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.commands.console import ConsoleProgress, add_source_arguments, device_name, finish, load_data
from engine.commands.sampled import add_sampling_arguments, pairs_of, sampling_of
from engine.embeddings.encoders import find_encoder
from engine.errors import InputError
from engine.selection.experiments import MODELS, RESOLUTIONS, Configuration, run_experiments
from engine.selection.sweep import SweepSettings
from engine.settings import Settings, add_flags, from_flags
from engine.workspace import Workspace


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the models, the sample and the sweep's settings."""
    add_source_arguments(parser)
    parser.add_argument("--device", type=device_name, default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--models", nargs="+", default=list(MODELS), help="architecture[:training], hub ids, or descriptor"
    )
    parser.add_argument("--resolutions", nargs="+", type=int, default=list(RESOLUTIONS), help="pixels of the square")
    parser.add_argument("--output-dir", type=Path, help="where the comparison goes (default: the library)")
    add_sampling_arguments(parser)
    add_flags(parser, SweepSettings)


def encoder_of(model: str, resolution: int) -> tuple[str, Settings]:
    """Return the encoder of a model's name with its settings.

    Raises
    ------
    InputError
        A resolution out of bounds.
    """
    if model == "descriptor":
        return model, find_encoder(model).settings_class()
    if "dino" in model.lower():
        return "dino", find_encoder("dino").settings_class.parse({"model": model, "resolution": resolution})
    name, colon, training = model.rpartition(":")
    values = {"model": name, "pretrained": training} if colon and "/" not in training else {"model": model}
    return "clip", find_encoder("clip").settings_class.parse({**values, "resolution": resolution})


def chosen(models: Sequence[str], resolutions: Sequence[int]) -> list[tuple[str, int, str, Settings]]:
    """Return every model with every resolution as (model, resolution, encoder, settings); the descriptor once."""
    found = []
    for model in models:
        for resolution in resolutions:
            encoder, settings = encoder_of(model, resolution)
            if "resolution" in type(settings).model_fields:
                found.append((model, resolution, encoder, settings))
            elif (model, 0, encoder, settings) not in found:
                found.append((model, 0, encoder, settings))
    return found


def main(arguments: argparse.Namespace) -> int:
    """Compare, print the table, then the folder."""
    from engine.embeddings.pipeline import EmbeddingSet, embed
    from engine.images.datasets import load_images
    from engine.images.sampling import draw
    from engine.neighbors import NeighborGraph, cached_graph
    from engine.runs import make_parent

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    settings = SweepSettings.parse(from_flags(arguments, SweepSettings))
    sampling, pairs = sampling_of(arguments, settings.random_state), pairs_of(arguments)
    asked = chosen(arguments.models, arguments.resolutions)
    dataset = load_data(arguments, workspace, progress)
    if dataset.kind == "vectors":
        raise InputError("An experiment compares embeddings of images; these are vectors.", "Name a folder or a set.")
    folder = arguments.output_dir or workspace.library / "experiments" / dataset.id
    make_parent(folder)
    sample = draw(workspace, dataset.id, sampling, targets=arguments.target_image, pairs=pairs)
    for sentence in sample.warnings:
        progress.say(sentence)
    sample.save(folder / "sample.json")
    table = load_images(workspace, dataset.id)
    held_back = table.contents[[part == "test" for part in table.split]]
    wanted = sample.contents[~np.isin(sample.contents, held_back)]

    def configuration(model: str, resolution: int, encoder: str, values: Settings) -> Configuration:
        found: list[EmbeddingSet] = []

        def load() -> NDArray[np.float32]:
            found[:] = [
                embed(
                    workspace, dataset.id, encoder, values, device=arguments.device, progress=progress, only=wanted
                )  # fmt: skip
            ]
            return found[0].vectors

        def graph() -> NeighborGraph:
            return cached_graph(workspace, found[0].key, found[0].vectors, progress=progress)

        return Configuration(model, resolution, load, graph)

    rows = sample.rows(table.contents)
    rows = rows[np.isin(table.contents[rows], wanted)]
    truth = [table.truth[row] for row in rows]
    result = run_experiments(
        [configuration(*one) for one in asked], output_dir=folder, settings=settings,
        paths=[table.paths[row] for row in rows], truth=truth if any(truth) else None,
        validation_pairs=sample.pair_rows(table.contents[rows]), progress=progress,
    )  # fmt: skip
    for row in result.rows:
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:.3f}"
            for name in ("pair_recall", "pairs_together", "neighbor_agreement", "stability", "balance", "accuracy")
            if (value := getattr(row, name)) is not None
        )
        progress.say(f"{row.order or '-':>3}  {row.name}: {row.reason or f'{row.winner}; {figures}'}")
    return finish(folder)
