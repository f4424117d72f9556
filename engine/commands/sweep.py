"""Find good clusters without knowing any parameter: try many clusterings, rank them, keep the best with pictures.

`sweep embeddings.npy image_paths.json`, or `--folder PHOTOS --encoder clip`, or `--vectors FILE.npz`, or nothing:
then the newest complete embeddings of the workspace are taken.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.commands.console import (
    ConsoleProgress,
    add_data_arguments,
    check_early,
    chosen_encoder,
    chosen_preprocess,
    finish,
    load_data,
)
from engine.commands.sampled import add_sampling_arguments, pairs_of, sampling_of
from engine.core.errors import InputError
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.images.sampling import Names, Sample, SampleSettings, draw_sample, in_sample
from engine.selection.sweep.runner import Sweep
from engine.selection.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from engine.geometry.neighbors import NeighborGraph
    from engine.images.datasets import Dataset
    from engine.selection.sweep.report import SweepResult


@dataclass(frozen=True)
class Table:
    """What is swept.

    Attributes
    ----------
    vectors : (n, d) float32
    names : list
        Path or id of each row.
    pairs : (m, 2) int64
        Rows that belong together.
    targets : list of int
        Rows whose clusters are reported.
    graph : NeighborGraph or None
        The cached graph of these rows.
    sample : Sample or None
        How the rows were chosen.
    title : str
    """

    vectors: NDArray[np.float32]
    names: list[Any]
    pairs: NDArray[np.int64]
    targets: list[int]
    title: str
    graph: NeighborGraph | None = None
    sample: Sample | None = None


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
    sampling, pairs = sampling_of(arguments, settings.random_state), pairs_of(arguments)
    if arguments.output_dir is not None:
        make_parent(arguments.output_dir)
    if arguments.embeddings is not None:
        table = read_table(arguments, sampling, pairs, progress)
    else:
        table = embed_table(arguments, sampling, pairs, workspace, progress, reuse=settings.skip_embeddings)
    folder = arguments.output_dir or workspace.library / "sweeps" / f"{table.title}_{settings.mode}"
    make_parent(folder)
    if table.sample is not None:
        table.sample.save(folder / "sample.json")
    result = Sweep(settings).run(
        table.vectors,
        output_dir=folder,
        graph=table.graph,
        paths=table.names,
        progress=progress,
        validation_pairs=table.pairs if len(table.pairs) else None,
        target=table.targets or None,
    )
    for line in board(result):
        progress.say(line)
    return finish(folder)


def board(result: SweepResult) -> list[str]:
    """Return the ranked list as lines of text."""
    lines = []
    for row in result.ranked[:10]:
        stable = "" if row.stability is None else f"  stability {row.stability:.2f}"
        lines.append(
            f"{row.rank:>3}  {row.composite:.3f}  {row.title}: {row.n_clusters:,} clusters, silhouette "
            f"{row.silhouette:.3f}, largest {row.largest_share:.0%}, noise {row.noise_share:.0%}{stable}"
        )
    if not lines:
        lines.append("No candidate showed structure beyond that of shuffled labels.")
    lines.append(
        f"{len(result.ranked):,} ranked, {len(result.unstructured):,} without structure, {len(result.failed):,} failed."
    )
    return lines


def read_table(
    arguments: argparse.Namespace, sampling: SampleSettings, pairs: list[tuple[str, str]], progress: ConsoleProgress
) -> Table:
    """Read embeddings.npy and image_paths.json.

    Raises
    ------
    InputError
        Data named twice, not a list of n names, a name that fits several images.
    """
    from engine.core.files import content_id, read_json
    from engine.core.ids import pack, positions
    from engine.images.vectors import read_vectors

    if any(getattr(arguments, name) is not None for name in ("dataset", "folder", "vectors")):
        raise InputError("Name the data once: either two files, or one of --dataset, --folder, --vectors.")
    found = read_vectors(arguments.embeddings)
    names = found.ids or [str(row) for row in range(len(found.vectors))]
    if arguments.image_paths is not None:
        names = read_json(arguments.image_paths)
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise InputError(f"{arguments.image_paths.name} is not a list of paths.", 'Give JSON like ["a.jpg", ...].')
    if len(names) != len(found.vectors):
        raise InputError(f"There are {len(names):,} paths for {len(found.vectors):,} embeddings.", "Give one for each.")
    encoded = [name.encode("utf-8", "surrogatepass") for name in names]
    contents = pack(content_id(name) for name in encoded)
    finder, warnings = Names(dict(zip(encoded, (content_id(name) for name in encoded), strict=True))), list[str]()
    ends = [(finder.find(first, warnings), finder.find(second, warnings)) for first, second in pairs]
    known = [(first, second) for first, second in ends if first is not None and second is not None]
    targets = [one for name in arguments.target_image if (one := finder.find(name, warnings)) is not None]
    for sentence in dict.fromkeys(warnings):
        progress.say(sentence)
    mask = in_sample(contents, sampling)
    forced = [*targets, *(end for pair in known for end in pair)]
    mask[positions(contents, pack(forced))] = True
    rows = np.flatnonzero(mask)
    kept = contents[rows]
    flat = positions(kept, pack([end for pair in known for end in pair])).reshape(-1, 2)
    return Table(
        found.vectors[rows] if len(rows) < len(contents) else found.vectors,
        [names[row] for row in rows],
        flat,
        positions(kept, pack(targets)).tolist(),
        arguments.embeddings.stem,
    )


def embed_table(
    arguments: argparse.Namespace,
    sampling: SampleSettings,
    pairs: list[tuple[str, str]],
    workspace: Workspace,
    progress: ConsoleProgress,
    *,
    reuse: bool,
) -> Table:
    """Draw the sample of a data set and embed it, or take the newest complete embeddings where no data are named."""
    from engine.core.ids import pack, positions
    from engine.embeddings.embed import embed, load_set
    from engine.geometry.neighbors import cached_graph
    from engine.images.tables import load_images

    kept = None
    if any(getattr(arguments, name) is not None for name in ("dataset", "folder", "vectors")):
        dataset = load_data(arguments, workspace, progress)
        if reuse:
            kept = newest_configuration(workspace, [dataset])
    else:
        kept = newest_configuration(workspace, None)
        dataset = kept[0]
    sample = draw_sample(workspace, dataset.id, sampling, targets=arguments.target_image, pairs=pairs)
    for sentence in sample.warnings:
        progress.say(sentence)
    table = load_images(workspace, dataset.id)
    held_back = table.contents[[part == "test" for part in table.split]]
    wanted = sample.contents[~np.isin(sample.contents, held_back)]
    if kept is not None:
        progress.say(f"The embeddings are those of {dataset.name} by {kept[2]}.")
        embedding = load_set(workspace, dataset.id, kept[1], only=wanted)
    else:
        name, settings = chosen_encoder(arguments, dataset)
        embedding = embed(
            workspace,
            dataset.id,
            name,
            settings,
            preprocess=chosen_preprocess(arguments),
            device=arguments.device,
            progress=progress,
            only=wanted,
        )
    targets = positions(embedding.contents, pack(sample.targets))
    graph = cached_graph(workspace, embedding.key, embedding.vectors, progress=progress) if len(embedding) > 9 else None
    return Table(
        embedding.vectors,
        [table.paths[row] for row in embedding.rows],
        sample.pair_rows(embedding.contents),
        targets[targets >= 0].tolist(),
        dataset.id,
        graph,
        sample,
    )


def newest_configuration(workspace: Workspace, among: list[Dataset] | None) -> tuple[Dataset, str, str]:
    """Return the data set, key and encoder of the newest complete embeddings.

    Raises
    ------
    InputError
        There are none.
    """
    from engine.embeddings.configurations import list_configurations
    from engine.images.datasets import list_datasets

    found = [
        (kept.made, dataset, kept.key, kept.encoder)
        for dataset in (list_datasets(workspace) if among is None else among)
        for kept in list_configurations(workspace, dataset.id)
        if kept.state == "complete"
    ]
    if not found:
        raise InputError("There are no complete embeddings in the cache.", "Name the data, or embed it first.")
    _, dataset, key, encoder = max(found, key=lambda item: item[0])
    return dataset, key, encoder
