"""Find images by words, by pictures, and by examples for and against; the nearest first.

python -m engine find --folder photos --like cat.jpg --unlike dog.jpg --top 20 --output found.csv
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data, some_path
from engine.core.csv import path_text, write_csv
from engine.core.errors import InputError
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import Encoder
from engine.embeddings.search import encoder_of, example_query, image_query, rank, text_query
from engine.embeddings.store import EmbeddingStore
from engine.images.decode import ImageError, PreprocessSettings
from engine.images.ranges import load_ranges
from engine.images.sources import shown
from engine.runs.rows import Rows


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the encoder's settings and what is looked for."""
    add_data_arguments(parser, given)
    group = parser.add_argument_group("what is looked for")
    group.add_argument("--words", nargs="+", metavar="SENTENCE", help="sentences; the encoder must know words")
    group.add_argument("--like", type=some_path, nargs="+", default=[], metavar="FILE", help="pictures of such images")
    group.add_argument(
        "--unlike", type=some_path, nargs="+", default=[], metavar="FILE", help="pictures of other images"
    )
    group.add_argument("--top", type=int, default=20, metavar="N", help="how many images (default: 20)")
    group.add_argument("--output", type=Path, metavar="CSV", help="also write path, content id and cosine of each")


def main(arguments: argparse.Namespace) -> int:
    """Print one line for each image found: cosine and path."""
    if not (arguments.words or arguments.like or arguments.unlike):
        raise InputError("There is nothing to look for.", "Give --words, --like or --unlike.")
    if arguments.top < 1:
        raise InputError(f"--top is {arguments.top}; it must be at least 1.")
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    dataset = load_data(arguments, workspace, progress)
    rows = embed_data(arguments, workspace, dataset, progress, neighbors=False)
    encoder = cache(lambda: encoder_of(workspace, rows.embedding.config_key, device=arguments.device))
    start = text_query(encoder(), arguments.words) if arguments.words else None
    vector_of = _reader(workspace, rows, encoder)
    more, less = (_stacked(rows, [vector_of(path) for path in paths]) for paths in (arguments.like, arguments.unlike))
    query = example_query(more, less, start=start)
    found, similarities = rank(rows.vectors, query, arguments.top)
    paths = [path_text(rows.paths[row]) for row in found]
    if arguments.output is not None:
        contents = [content.hex() for content in rows.contents[found].tolist()]
        write_csv(arguments.output, {"path": paths, "content_id": contents, "cosine": np.round(similarities, 4)})
    for row, similarity in zip(found, similarities, strict=True):
        progress.say(f"{similarity:.3f}  {shown(rows.paths[row])}")
    return finish(arguments.output or f"{len(found)} images")


def _reader(workspace: Workspace, rows: Rows, encoder: Callable[[], Encoder]) -> Callable[[Path], Vectors]:
    """Return what turns a picture's path into its vector."""
    kept = EmbeddingStore(workspace.embeddings(rows.embedding.config_key)).settings["preprocess"]
    preprocess, ranges = PreprocessSettings.parse(kept), load_ranges(workspace, rows.dataset.id)

    def vector_of(path: Path) -> Vectors:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error
        try:
            return image_query(encoder(), data, preprocess, ranges=ranges)
        except ImageError as error:
            raise InputError(f"No picture can be read from {path}.", "Give the path of an image.") from error

    return vector_of


def _stacked(rows: Rows, vectors: Sequence[Vectors]) -> Vectors:
    return np.stack(vectors) if vectors else np.empty((0, rows.vectors.shape[1]), np.float32)
