"""What the sweep and the experiment share: how large a sample to take and which images must be in it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.images.sampling import SampleSettings, read_pairs


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sample, the target images and the validation pairs."""
    group = parser.add_argument_group("sample")
    group.add_argument("--dataset-sample", type=float, metavar="PERCENT", help="percent of the images to take")
    group.add_argument("--sample-count", type=int, help="how many images to take instead of a percentage")
    group.add_argument("--target-image", nargs="+", default=[], help="images whose cluster is reported for each rank")
    group.add_argument(
        "--validation-pairs", type=Path, help="JSON or CSV of two image names each that belong into one cluster"
    )


def sampling_of(arguments: argparse.Namespace, seed: int) -> SampleSettings:
    """Return the settings of the sample.

    Raises
    ------
    InputError
        A share or a number that is out of bounds.
    """
    values: dict[str, Any] = {"random_state": seed}
    if arguments.dataset_sample is not None:
        values["rate"] = arguments.dataset_sample
    if arguments.sample_count is not None:
        values["count"] = arguments.sample_count
    return SampleSettings.parse(values)


def pairs_of(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the validation pairs that a file names."""
    return read_pairs(arguments.validation_pairs) if arguments.validation_pairs is not None else []
