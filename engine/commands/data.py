"""Where the images or vectors come from and which encoder reads them: flags, and the verbs that make the rows ready."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.parser import peek
from engine.core.device import choose_device
from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import (
    ENCODERS,
    EncoderEntry,
    default_encoder,
    encoder_of_vectors,
    find_encoder,
)
from engine.images.decode import PreprocessSettings
from engine.images.reading import FolderSettings
from engine.images.sets.registry import BENCHMARKS

if TYPE_CHECKING:
    from engine.images.datasets import Dataset
    from engine.images.moved import KnownElsewhere
    from engine.runs.rows import Rows


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the images or vectors come from."""
    data = parser.add_argument_group("data (one of these)")
    data.add_argument("--dataset", help="a benchmark set, such as digits")
    data.add_argument("--folder", type=some_path, help="a folder of images")
    data.add_argument(
        "--vectors", type=some_path, help=".npz with `vectors` (n, d), optional `ids` and `labels`; .npy; .parquet"
    )
    data.add_argument("--data-root", type=Path, help="where benchmark sets lie on this disk")
    data.add_argument("--truth-from-folders", action="store_true", help="class folders are the truth to score against")
    data.add_argument(
        "--truth-level", type=int, metavar="N", help="how deep the class folders lie (default: 1, the first)"
    )
    data.add_argument("--workspace", type=some_path, help="where cache/ and library/ live")
    add_flags(parser, FolderSettings)


def add_data_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare where the images or vectors come from, which encoder reads them and its settings."""
    add_source_arguments(parser)
    parser.add_argument("--device", type=device_name, default="auto", help="auto, cpu, cuda, cuda:1, mps")
    usual = encoder_of_images(peek(given, "--dataset")).name
    parser.add_argument("--encoder", choices=[*ENCODERS], help=f"what turns images into vectors (default: {usual})")
    chosen = peek(given, "--encoder") or usual
    if chosen in ENCODERS:
        add_flags(parser, find_encoder(chosen).settings_class, prefix="encoder-")
    add_preprocess_arguments(parser)


def encoder_of_images(benchmark: str | None) -> EncoderEntry:
    """Return the default encoder of a benchmark set, or of a folder where there is none."""
    return default_encoder(BENCHMARKS[benchmark].holds if benchmark in BENCHMARKS else "photographs")


def add_preprocess_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how images become the squares that an encoder takes."""
    add_flags(parser, PreprocessSettings, prefix="preprocess-")


def some_path(text: str) -> Path:
    """Return the path that `text` names; an empty one (a variable never set) would silently be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def device_name(text: str) -> str:
    """Return the name of a device, checked by its form; whether it is here is found out by who computes on it."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"no device is called {text!r}; there are auto, cpu, cuda, cuda:1 and mps")
    return text


def load_data(arguments: argparse.Namespace, workspace: Workspace, progress: Progress) -> Dataset:
    """Register and scan the data that the flags name.

    Raises
    ------
    InputError
        None or more than one of --dataset, --folder, --vectors.
    """
    from engine.images.datasets import add_benchmark, add_folder, add_vectors
    from engine.images.moved import known_elsewhere
    from engine.images.report import report
    from engine.images.sources import shown
    from engine.jobs.tasks.data import ScanRequest, scan_images

    given = [name for name in ("dataset", "folder", "vectors") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise InputError("Name the data: one of --dataset, --folder or --vectors.")
    if arguments.folder is not None:
        known = known_elsewhere(workspace, arguments.folder)
        if known is not None:
            progress.say(f"{known.sentence} {_how_to_relocate(known, arguments.folder)}")
        level = arguments.truth_level
        truth = arguments.truth_from_folders or level is not None
        dataset = add_folder(workspace, arguments.folder, truth_from_folders=truth, truth_level=level)
    elif arguments.vectors is not None:
        dataset = add_vectors(workspace, arguments.vectors)
    else:
        dataset = add_benchmark(workspace, arguments.dataset, data_root=arguments.data_root)
    vectors = dataset.kind == "vectors"  # adding them has read them
    request = ScanRequest.parse(
        from_flags(arguments, ScanRequest) | {"dataset": dataset.id, "reading": _reading(arguments, dataset)}
    )
    seen = report(workspace, dataset.id) if vectors else scan_images(workspace, request, progress)
    for path, reason in seen.failed[:20]:
        progress.say(f"not read: {shown(path)}: {reason}")
    if len(seen.failed) > 20:
        progress.say(f"... and {len(seen.failed) - 20:,} more that could not be read")
    for path, note in seen.notes[:20]:
        progress.say(f"{shown(path)}: {note}")
    for sentence in (*seen.sentences, seen.changed_sentence, seen.depth_sentence):
        if sentence:
            progress.say(sentence)
    if arguments.truth_level is not None and arguments.truth_level > len(seen.levels) > 0:
        raise InputError(
            f"There is no level {arguments.truth_level} of class folders.", f"The deepest here is {len(seen.levels)}."
        )
    if seen.readable == 0:
        raise InputError("There is no readable image in the data.", "Check the folder and the list above.")
    return dataset


def _reading(arguments: argparse.Namespace, dataset: Dataset) -> FolderSettings | None:
    """Return what of the folder is read where flags say so; the rest stays as it was."""
    given = from_flags(arguments, FolderSettings)
    if not given:
        return None
    return FolderSettings.of(dataset.options).changed(**given)


def _how_to_relocate(known: KnownElsewhere, folder: Path) -> str:
    """Say how a folder that is known under another path keeps its labels."""
    words = ["python", "-m", "engine", "relocate", os.fsdecode(known.dataset.location), str(folder.absolute())]
    if known.gone:
        return f"To keep its labels and clusters: {shlex.join(words)}"
    return f"To give the copy its labels: {shlex.join([*words, '--copy-labels'])}"


def chosen_encoder(arguments: argparse.Namespace, dataset: Dataset) -> tuple[str, dict[str, Any]]:
    """Return the encoder that the flags name, with those of its settings that are given; vectors need none.

    Raises
    ------
    InputError
        An encoder for a file of vectors.
    """
    if dataset.kind == "vectors":
        entry = encoder_of_vectors()
        if arguments.encoder not in (None, entry.name):
            raise InputError(
                f"{dataset.name} holds vectors, not images, so the encoder {arguments.encoder} has nothing to look at.",
                "Leave --encoder out.",
            )
        return entry.name, {}
    name = arguments.encoder or default_encoder(dataset.holds).name
    return name, from_flags(arguments, find_encoder(name).settings_class, prefix="encoder-")


def chosen_preprocess(arguments: argparse.Namespace) -> PreprocessSettings:
    """Return how the flags want images to become squares."""
    return PreprocessSettings.parse(from_flags(arguments, PreprocessSettings, prefix="preprocess-"))


def embed_data(
    arguments: argparse.Namespace,
    workspace: Workspace,
    dataset: Dataset,
    progress: Progress,
    **more: Any,  # noqa: ANN401 - fields of the request
) -> Rows:
    """Embed the data with the encoder that the flags name; `more` are further fields of the request."""
    from engine.jobs.tasks.data import EmbedRequest, embed_images

    name, settings = chosen_encoder(arguments, dataset)
    values = {"dataset": dataset.id, "encoder": name, "settings": settings, "device": arguments.device}
    request = EmbedRequest.parse(values | {"preprocess": chosen_preprocess(arguments)} | more)
    return embed_images(workspace, request, progress)


def embedding_key(
    name: str, arguments: argparse.Namespace, workspace: Workspace, dataset: Dataset, progress: Progress
) -> str:
    """Return the key of further embeddings: those of an encoder, made now where they are missing, or kept ones.

    Parameters
    ----------
    name : str
        An encoder's name, or the key of embeddings of this data set; its beginning is enough.

    Raises
    ------
    InputError
        Neither, or several keys begin so.
    """
    from engine.embeddings.configurations import list_configurations
    from engine.jobs.tasks.data import EmbedRequest, embed_images

    if name in ENCODERS:
        values = {"dataset": dataset.id, "encoder": name, "device": arguments.device, "neighbors": False}
        request = EmbedRequest.parse(values | {"preprocess": chosen_preprocess(arguments)})
        return embed_images(workspace, request, progress).embedding.config_key
    kept = list_configurations(workspace, dataset.id)
    found = [item.key for item in kept if name and item.key.startswith(name)]
    if len(found) != 1:
        raise InputError(
            f"{name!r} is no encoder, and {'several' if found else 'no'} embeddings of {dataset.name} have a key that "
            "begins so.",
            "Here: " + "; ".join(f"{item.key[:8]} ({item.encoder})" for item in kept) + f". Encoders: "
            f"{', '.join(ENCODERS)}.",
        )
    return found[0]


def check_early(arguments: argparse.Namespace) -> None:
    """Refuse what no data can make right before anything is read: settings out of bounds, a device that is not here.

    Raises
    ------
    InputError
    """
    if arguments.encoder is not None:
        model = find_encoder(arguments.encoder).settings_class
        model.parse(from_flags(arguments, model, prefix="encoder-"))
    chosen_preprocess(arguments)
    if arguments.device not in ("auto", "cpu"):
        choose_device(arguments.device)
