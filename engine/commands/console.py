"""What the commands share: progress on stderr, the choice of data, encoder and method flags."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.published import read_settings
from engine.clustering.registry import find_method
from engine.commands.parser import Parser
from engine.core.device import choose_device
from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.core.settings import Settings, add_flags, from_flags
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import (
    ENCODERS,
    EncoderEntry,
    default_encoder,
    encoder_of_vectors,
    find_encoder,
)
from engine.images.decode import PreprocessSettings
from engine.images.sets.registry import BENCHMARKS

if TYPE_CHECKING:
    from engine.images.datasets import Dataset
    from engine.runs.rows import Rows


class ConsoleProgress:
    """A listener that keeps one line on a terminal up to date, or prints a line now and then into a log."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.last, self.phase, self.began = 0.0, "", time.monotonic()

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Print how far the phase is."""
        now = time.monotonic()
        fresh = phase != self.phase
        if fresh:
            self.phase, self.began = phase, now
        if not fresh and (done < total or not total) and now - self.last < (0.2 if self.terminal else 10):
            return
        self.last = now
        share = f"{100 * done / total:3.0f}%" if total else f"{done:,.0f} {unit}"
        left = (now - self.began) * (total - done) / done if done and total else 0.0
        values = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        line = f"{phase or 'working'} {share} {values}" + (f"  about {left:.0f} s left" if left > 1 else "")
        print(f"\r\033[K{line}" if self.terminal else line, end="" if self.terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own."""
        print(f"\r\033[K{sentence}" if self.terminal else sentence, file=sys.stderr)

    def snapshot(self, labels: NDArray[np.int32]) -> None:
        """Ignore; the command prints the result."""

    def stop_requested(self) -> bool:
        """Never; Ctrl-C ends the command."""
        return False


def finish(line: str | Path) -> int:
    """Print the last line: where the result lies."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(line)
    return 0


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
    data.add_argument("--workspace", type=some_path, help="where cache/ and library/ live")


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


def peek(given: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag before the parser is complete; whether it may lack one is for the parser to say."""
    early = Parser(add_help=False)
    early.add_argument(flag, dest="value", nargs="?")
    known, _ = early.parse_known_args(list(given))
    value: str | None = known.value
    return value


def load_data(arguments: argparse.Namespace, workspace: Workspace, progress: Progress) -> Dataset:
    """Register and scan the data that the flags name.

    Raises
    ------
    InputError
        None or more than one of --dataset, --folder, --vectors.
    """
    from engine.images.datasets import add_benchmark, add_folder, add_vectors
    from engine.images.report import report
    from engine.images.scan import scan
    from engine.images.sources import shown

    given = [name for name in ("dataset", "folder", "vectors") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise InputError("Name the data: one of --dataset, --folder or --vectors.")
    if arguments.folder is not None:
        dataset = add_folder(workspace, arguments.folder, truth_from_folders=arguments.truth_from_folders)
    elif arguments.vectors is not None:
        dataset = add_vectors(workspace, arguments.vectors)
    else:
        dataset = add_benchmark(workspace, arguments.dataset, data_root=arguments.data_root)
    vectors = dataset.kind == "vectors"  # adding them has read them
    found = report(workspace, dataset.id) if vectors else scan(workspace, dataset.id, progress=progress)
    for path, reason in found.failed[:20]:
        progress.say(f"not read: {shown(path)}: {reason}")
    if len(found.failed) > 20:
        progress.say(f"... and {len(found.failed) - 20:,} more that could not be read")
    if found.readable == 0:
        raise InputError("There is no readable image in the data.", "Check the folder and the list above.")
    return dataset


def chosen_encoder(arguments: argparse.Namespace, dataset: Dataset) -> tuple[str, Settings]:
    """Return the encoder that the flags name, with its settings; vectors need none.

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
        return entry.name, entry.settings_class()
    name = arguments.encoder or default_encoder(dataset.holds).name
    model = find_encoder(name).settings_class
    return name, model.parse(from_flags(arguments, model, prefix="encoder-"))


def chosen_preprocess(arguments: argparse.Namespace) -> PreprocessSettings:
    """Return how the flags want images to become squares."""
    return PreprocessSettings.parse(from_flags(arguments, PreprocessSettings, prefix="preprocess-"))


def embed_data(
    arguments: argparse.Namespace,
    workspace: Workspace,
    dataset: Dataset,
    progress: Progress,
    *,
    force: bool = False,
) -> Rows:
    """Embed the data with the encoder that the flags name."""
    from engine.runs.rows import embed_dataset

    name, settings = chosen_encoder(arguments, dataset)
    return embed_dataset(
        workspace,
        dataset.id,
        name,
        settings,
        preprocess=chosen_preprocess(arguments),
        device=arguments.device,
        progress=progress,
        force=force,
    )


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
    if hasattr(arguments, "method"):
        find_method(arguments.method).settings_class.parse(method_values(arguments))
    if arguments.device not in ("auto", "cpu"):
        choose_device(arguments.device)


def method_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the chosen method's settings that were given: those of a settings file, then the flags over them."""
    kept = getattr(arguments, "settings", None)
    values = read_settings(arguments.method, kept) if kept else {}
    return values | from_flags(arguments, find_method(arguments.method).settings_class)


def method_settings(arguments: argparse.Namespace, rows: Rows) -> Settings:
    """Build the chosen method's settings; the number of clusters defaults to the number of known classes."""
    model = find_method(arguments.method).settings_class
    values = method_values(arguments)
    if "n_clusters" in model.model_fields and "n_clusters" not in values:
        classes = rows.dataset.n_classes or len({name for name in rows.truth if name is not None})
        if classes > 1:
            values["n_clusters"] = classes
    if "device" in model.model_fields:
        values["device"] = arguments.device
    return model.parse(values)
