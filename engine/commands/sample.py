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


def sample_values(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Return the fields of a request about a sample; no size where no flag gives one.

    Raises
    ------
    InputError
        A share or a number that is out of bounds, or a file of pairs that cannot be read.
    """
    size = {"rate": arguments.dataset_sample, "count": arguments.sample_count}
    size = {name: value for name, value in size.items() if value is not None}
    pairs = read_pairs(arguments.validation_pairs) if arguments.validation_pairs is not None else []
    return {
        "sample": SampleSettings.parse({"random_state": seed} | size).model_dump() if size else None,
        "target_image": tuple(arguments.target_image),
        "validation_pairs": tuple(pairs),
    }
