"""Find good clusters without knowing any parameter: try many clusterings, rank them, keep the best with pictures.

`sweep embeddings.npy image_paths.json`, or `--folder PHOTOS --encoder clip`, or `--vectors FILE.npz`, or nothing:
then the newest complete embeddings of the workspace are taken.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data
from engine.commands.sample import add_sampling_arguments, sample_values
from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.jobs.tasks.selection import SweepRequest, sweep
from engine.selection.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from engine.images.datasets import Dataset
    from engine.selection.sweep.report import SweepResult


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the sample, the images to watch and the sweep's settings."""
    parser.add_argument("embeddings", nargs="?", type=Path, help="embeddings.npy, (n, d)")
    parser.add_argument("image_paths", nargs="?", type=Path, help="image_paths.json, a list of n paths")
    add_data_arguments(parser, given)
    parser.add_argument("--output-dir", type=Path, help="where the ranked clusterings go (default: the library)")
    add_sampling_arguments(parser)
    add_flags(parser, SweepSettings)


def main(arguments: argparse.Namespace) -> int:
    """Sweep, print the board, then the folder."""
    from engine.runs.run import make_parent

    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    settings = SweepSettings.parse(from_flags(arguments, SweepSettings))
    values = {"settings": settings} | sample_values(arguments, settings.random_state)
    if arguments.output_dir is not None:
        make_parent(arguments.output_dir)
    values |= source(arguments, workspace, progress, settings, values)
    name = values.get("dataset") or arguments.embeddings.stem
    folder = arguments.output_dir or workspace.library / "sweeps" / f"{name}_{settings.tried}"
    result = sweep(workspace, SweepRequest.parse(values | {"folder": str(folder)}), progress)
    for line in board(result):
        progress.say(line)
    return finish(folder)


def source(
    arguments: argparse.Namespace,
    workspace: Workspace,
    progress: Progress,
    settings: SweepSettings,
    sample: dict[str, Any],
) -> dict[str, Any]:
    """Return the fields of the request that say what is swept; what is not embedded yet is embedded.

    Raises
    ------
    InputError
        Data named twice, or nothing that is embedded where none are named.
    """
    named = any(getattr(arguments, name) is not None for name in ("dataset", "folder", "vectors"))
    if arguments.embeddings is not None:
        if named:
            raise InputError("Name the data once: either two files, or one of --dataset, --folder, --vectors.")
        paths = "" if arguments.image_paths is None else str(arguments.image_paths)
        return {"embeddings": str(arguments.embeddings), "image_paths": paths}
    dataset = load_data(arguments, workspace, progress) if named else None
    if dataset is None or settings.skip_embeddings:
        dataset, key, encoder = newest_configuration(workspace, None if dataset is None else [dataset], sample)
        progress.say(f"The embeddings are those of {dataset.name} by {encoder}.")
        return {"dataset": dataset.id, "config_key": key}
    fields = {name: sample[name] for name in ("sample", "target_image", "validation_pairs")}
    rows = embed_data(arguments, workspace, dataset, progress, neighbors=False, training_only=True, **fields)
    return {"dataset": dataset.id, "config_key": rows.embedding.config_key}


def board(result: SweepResult) -> list[str]:
    """Return the ranked list as lines of text."""
    lines = []
    for row in result.ranked[:10]:
        stable = "" if row.stability is None else f"  stability {row.stability:.2f}"
        worth = f"composite {row.composite:.3f}" if row.evidence is None else f"evidence {row.evidence:.3f}"
        lines.append(
            f"{row.rank:>3}  {worth}  {row.title}: {row.n_clusters:,} clusters, silhouette "
            f"{row.silhouette:.3f}, largest {row.largest_share:.0%}, noise {row.noise_share:.0%}{stable}"
        )
    if not lines:
        lines.append("No candidate showed structure beyond that of shuffled labels.")
    elif result.verdict is not None:
        lines.append(f"Rank 1 is {result.verdict.word}: {result.verdict.sentence} {result.verdict.next_step}")
    lines += result.why
    if result.left_out:
        lines.append(f"{result.left_out:,} candidates were left out for time; a larger --budget tries them.")
    if result.other_number is not None:
        lines.append(f"No clear number of groups: {result.other_number:,} clusters are nearly as well supported.")
    lines.append(
        f"{len(result.ranked):,} ranked, {len(result.unstructured):,} without structure, {len(result.failed):,} failed."
    )
    return lines


def newest_configuration(
    workspace: Workspace, among: list[Dataset] | None, sample: dict[str, Any]
) -> tuple[Dataset, str, str]:
    """Return the data set, key and encoder of the newest embeddings that hold the sample, or everything without one.

    Raises
    ------
    InputError
        There are none.
    """
    from engine.embeddings.configurations import list_configurations
    from engine.images.datasets import list_datasets

    complete = [
        (kept.made, dataset, kept.key, kept.encoder)
        for dataset in (list_datasets(workspace) if among is None else among)
        for kept in list_configurations(workspace, dataset.id)
        if kept.state == "complete" or (kept.state == "partial" and holds_sample(workspace, dataset, kept.key, sample))
    ]
    if not complete and among is not None:
        raise InputError(
            f"The embeddings of {among[0].name} that are there do not hold every image that is asked for, or there are "
            "none.",
            "Leave --skip-embeddings out, or run `embed` first.",
        )
    if not complete:
        raise InputError("There are no complete embeddings in the cache.", "Name the data, or embed it first.")
    _, dataset, key, encoder = max(complete, key=lambda item: item[0])
    return dataset, key, encoder


def holds_sample(workspace: Workspace, dataset: Dataset, key: str, sample: dict[str, Any]) -> bool:
    """Return whether the embeddings hold every image of the sample that can have a vector; False where all are meant.

    Raises
    ------
    InputError
        An image to watch that the data set does not have.
    """
    from engine.core.ids import to_bytes
    from engine.embeddings.configurations import stores
    from engine.jobs.tasks.requests import SampledRequest, training_contents

    named = {name: sample[name] for name in ("sample", "target_image", "validation_pairs")}
    chosen = SampledRequest.parse({"dataset": dataset.id} | named).chosen_sample(workspace)
    store = next((store for store in stores(workspace) if store.folder.name == key), None)
    if chosen is None or store is None:
        return False
    contents = training_contents(workspace, dataset.id, chosen)
    missing = contents[~store.holds(contents)]
    failures = store.failures(final=True) if len(missing) else {}
    return all(content in failures for content in to_bytes(missing))
