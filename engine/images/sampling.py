"""Choosing a sample before embedding: by the hash of each content, so that samples nest and never reshuffle.

In go the analysis rows of a data set and the images that must be in; out comes a `Sample`, kept as sample.json.
A larger rate contains the smaller one; a file that is added changes nothing for the others.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core import ids as content_ids
from engine.core.errors import InputError, StorageError
from engine.core.files import read_json, write_json
from engine.core.ids import Ids
from engine.core.settings import Settings, setting
from engine.core.workspace import Workspace
from engine.images.sources import shown
from engine.images.tables import files_of, load_images

VERSION = 1
Name = str | bytes
_HEADERS = {
    "a",
    "b",
    "first",
    "second",
    "left",
    "right",
    "image",
    "image_a",
    "image_b",
    "image1",
    "image2",
    "path_a",
    "path_b",
    "path1",
    "path2",
}


class SampleSettings(Settings):
    """How large a sample to take, and which one."""

    rate: float = setting(
        100.0,
        "Percent of the images to take.",
        label="Percent of the images",
        ge=0.001,
        le=100.0,
        log=True,
        aliases=("dataset-sample",),
    )
    count: int | None = setting(
        None, "How many images to take instead of a percentage.", label="Number of images", ge=1, le=100_000_000
    )
    random_state: int = setting(0, "Another number takes another sample.", ge=0, le=2**31 - 1)


@dataclass(frozen=True)
class Sample:
    """A chosen part of a data set.

    Attributes
    ----------
    dataset : str
        Id of the data set.
    settings : SampleSettings
    total : int
        Analysis rows that there were to choose from.
    contents : (m,) S16
        Chosen content ids, in the order of the analysis rows.
    targets : list of bytes
        Content ids of the target images, all in the sample.
    pairs : list of (bytes, bytes)
        Content ids of the validation pairs, both ends in the sample.
    warnings : list of str
        One sentence for each name that was not found.
    """

    dataset: str
    settings: SampleSettings
    total: int
    contents: Ids
    targets: list[bytes]
    pairs: list[tuple[bytes, bytes]]
    warnings: list[str]

    def __len__(self) -> int:
        return len(self.contents)

    def rows(self, contents: Ids) -> NDArray[np.int64]:
        """Return the indices of the sample's images in `contents`, rising; images that are gone are left out."""
        at = content_ids.positions(contents, self.contents)
        return np.sort(at[at >= 0])

    def target_rows(self, contents: Ids) -> NDArray[np.int64]:
        """Return the indices of the target images in `contents`; images that are gone are left out."""
        at = content_ids.positions(contents, content_ids.pack(self.targets))
        return at[at >= 0]

    def pair_rows(self, contents: Ids) -> NDArray[np.int64]:
        """Return (p, 2) indices of the validation pairs in `contents`; pairs with an end that is gone are left out."""
        if not self.pairs:
            return np.empty((0, 2), np.int64)
        flat = content_ids.pack([one for pair in self.pairs for one in pair])
        at = content_ids.positions(contents, flat).reshape(-1, 2)
        found: NDArray[np.int64] = at[(at >= 0).all(axis=1)]
        return found

    def save(self, path: Path) -> None:
        """Write sample.json, atomically."""
        write_json(
            path,
            {
                "version": VERSION,
                "dataset": self.dataset,
                "settings": self.settings.model_dump(mode="json"),
                "total": self.total,
                "size": len(self),
                "targets": [one.hex() for one in self.targets],
                "pairs": [[first.hex(), second.hex()] for first, second in self.pairs],
                "warnings": self.warnings,
                "contents": content_ids.to_hex(self.contents),
            },
        )

    @classmethod
    def load(cls, path: Path) -> Sample:
        """Read sample.json.

        Raises
        ------
        StorageError
            Missing, edited into something else, or of a newer version.
        """
        found = read_json(path)
        try:
            if found["version"] > VERSION:
                raise StorageError(f"{path} was written by a newer Kindred.", "Update Kindred.")
            return cls(
                str(found["dataset"]),
                SampleSettings.parse(found["settings"]),
                int(found["total"]),
                content_ids.from_hex(found["contents"]),
                [bytes.fromhex(one) for one in found["targets"]],
                [(bytes.fromhex(first), bytes.fromhex(second)) for first, second in found["pairs"]],
                [str(one) for one in found["warnings"]],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{path} is no sample that Kindred wrote.", "Draw the sample again.") from error


def hashes(contents: Ids, seed: int) -> NDArray[np.uint64]:
    """Return (n,) uniform 64-bit numbers: blake2b of the seed and the content id."""
    prefix = seed.to_bytes(8, "little", signed=True)
    joined = np.ascontiguousarray(contents).tobytes()
    width = content_ids.WIDTH
    digests = b"".join(
        hashlib.blake2b(prefix + joined[at : at + width], digest_size=8).digest() for at in range(0, len(joined), width)
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def in_sample(contents: Ids, settings: SampleSettings) -> NDArray[np.bool_]:
    """Return the (n,) mask of the sample, without forced images."""
    numbers = hashes(contents, settings.random_state)
    if settings.count is not None:
        mask = np.zeros(len(contents), bool)
        mask[np.argsort(numbers, kind="stable")[: settings.count]] = True
        return mask
    return numbers.astype(np.float64) / 2.0**64 < settings.rate / 100


def draw_sample(
    workspace: Workspace,
    dataset_id: str,
    settings: SampleSettings,
    *,
    targets: Sequence[Name] = (),
    pairs: Sequence[tuple[Name, Name]] = (),
) -> Sample:
    """Draw a sample of a scanned data set, with the target images and both ends of every pair in it.

    Parameters
    ----------
    targets, pairs : sequence of names
        An image is named by its path, the end of its path, its file name, or 32 hex digits of its content id.

    Raises
    ------
    InputError
        A name fits several different images, or the data set has no images.
    """
    table = load_images(workspace, dataset_id)
    if not len(table):
        raise InputError("There is no image to choose from.", "Scan the data set first.")
    known = {row.path: row.content for row in files_of(workspace, dataset_id) if row.content and not row.failure}
    names = Names(known)
    warnings: list[str] = []
    found_targets = [one for one in (names.find(name, warnings) for name in targets) if one is not None]
    found_pairs = []
    for first, second in pairs:
        ends = names.find(first, warnings), names.find(second, warnings)
        if ends[0] is not None and ends[1] is not None:
            found_pairs.append((ends[0], ends[1]))
    mask = in_sample(table.contents, settings)
    forced = list(dict.fromkeys([*found_targets, *(end for pair in found_pairs for end in pair)]))
    mask[content_ids.positions(table.contents, content_ids.pack(forced))] = True
    if not mask.any():
        raise InputError(
            f"{settings.rate:g} percent of {len(table):,} images is none.",
            "Take a larger share, or a number of images.",
        )
    warnings = list(dict.fromkeys(warnings))
    return Sample(dataset_id, settings, len(table), table.contents[mask], found_targets, found_pairs, warnings)


def kept_sample(workspace: Workspace, dataset_id: str) -> Sample | None:
    """Return the sample that the person works on; None where it is the whole data set.

    Raises
    ------
    StorageError
        The file was edited into something else.
    """
    path = workspace.sample(dataset_id)
    return Sample.load(path) if path.exists() else None


def keep_sample(workspace: Workspace, sample: Sample) -> None:
    """Make this the sample that the person works on."""
    path = workspace.sample(sample.dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    sample.save(path)


def forget_sample(workspace: Workspace, dataset_id: str) -> None:
    """Work on the whole data set again."""
    workspace.sample(dataset_id).unlink(missing_ok=True)


class Names:
    """Finds images by what a person calls them."""

    def __init__(self, known: Mapping[bytes, bytes]) -> None:
        self._known = known
        self._contents = set(known.values())
        self._ends: dict[str, list[bytes]] = {}
        for path in known:
            self._ends.setdefault(_nfc(path).rsplit("/", 1)[-1], []).append(path)

    def find(self, name: Name, warnings: list[str]) -> bytes | None:
        """Return the content id; an absent name adds a warning, an ambiguous one raises."""
        text = os.fsencode(name) if isinstance(name, str) else name
        if text in self._known:
            return self._known[text]
        if isinstance(name, bytes) and name in self._contents:
            return name
        if re.fullmatch(rb"[0-9a-fA-F]{32}", text) and bytes.fromhex(text.decode()) in self._contents:
            return bytes.fromhex(text.decode())
        plain = _nfc(text.strip(b"/").removeprefix(b"./"))
        fitting = [
            path
            for path in self._ends.get(plain.rsplit("/", 1)[-1], [])
            if _nfc(path) == plain or _nfc(path).endswith(f"/{plain}") or plain.endswith(f"/{_nfc(path)}")
        ]
        contents = {self._known[path] for path in fitting}
        if len(contents) > 1:
            some = ", ".join(shown(path) for path in sorted(fitting)[:3])
            raise InputError(f"{shown(text)!r} fits {len(fitting)} images: {some}.", "Give more of the path.")
        if not contents:
            warnings.append(f"There is no readable image {shown(text)!r} in the data set; it is left out.")
            return None
        return contents.pop()


def _nfc(name: bytes) -> str:
    """Return a name for comparison: whatever form its accents have on disk."""
    return unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape"))


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read validation pairs: JSON (a list of two names each) or CSV with two columns, a heading allowed.

    Raises
    ------
    InputError
        Missing, unreadable, or a line that is not two names.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"The file of pairs {path} cannot be read.", "Check the path.") from error
    lines: Iterable[Any]
    if text.lstrip().startswith("["):
        try:
            lines = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"{path.name} is not valid JSON (line {error.lineno}).") from error
    else:
        rows = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in text.partition("\n")[0] else ",")
        lines = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    pairs = []
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, list) or len(line) != 2 or not all(isinstance(one, str) and one for one in line):
            raise InputError(f"{path.name}: entry {number} is not two names.", "Give two image names in each entry.")
        if number == 1 and {one.lower() for one in line} <= _HEADERS:
            continue
        pairs.append((line[0], line[1]))
    return pairs
