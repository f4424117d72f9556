"""What a file says of labels, whatever its format: one line for each image that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class LabelFile:
    """Labels as a file says them.

    Attributes
    ----------
    title : str
        What kind of file it is, for a person.
    paths : list of bytes
        Path or name of each image as the file has it, forward slashes; empty where it names none.
    labels : list of str or None
        None where the file gives the image no label.
    contents : list of bytes or None
        Content id of each image; empty where the file knows none.
    sources, statuses : list of str
        Who gave each label and its status, as Kindred exports them; empty where the file is not Kindred's.
    cluster_names : list of str or None
        What the cluster of each image was called; empty where the file does not know.
    probability, bound : (n,) float32
        How sure the label is, and the purity that an audit proved, both in [0, 1]; NaN where unknown; empty for none.
    problems : list of (str, str)
        Lines that say nothing that can be used, each with its reason.
    notes : list of str
        Sentences on how the file was read.
    columns : set of str
        The names of its columns, where it has any.
    """

    title: str
    paths: list[bytes]
    labels: list[str | None]
    contents: list[bytes | None] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    cluster_names: list[str | None] = field(default_factory=list)
    probability: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    bound: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def is_kindred(self) -> bool:
        """Whether the file is an export of Kindred, which says who gave each label."""
        return bool(self.sources)


def text_path(text: str) -> bytes:
    """Return the bytes of a path that a program wrote as text: forward slashes, no "./" before it."""
    return text.strip().replace("\\", "/").removeprefix("./").encode("utf-8", "surrogateescape")


def numbers(values: Sequence[object]) -> NDArray[np.float32]:
    """Return shares in [0, 1] as (n,) numbers; NaN for what is none. Percentages ("87%") are divided by 100."""
    return np.array([_number(value) for value in values], np.float32)


def _number(value: object) -> float:
    text = str(value).strip() if value is not None else ""
    percent = text.endswith("%")
    try:
        found = float(text.rstrip("%").replace(",", "."))
    except ValueError:
        return float("nan")
    found = found / 100 if percent else found
    return found if 0 <= found <= 1 else float("nan")


def content_of(text: object) -> bytes | None:
    """Return the content id that 32 hex digits name, None for anything else."""
    if not isinstance(text, str) or len(text) != 32:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
