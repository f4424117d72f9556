"""Sets that the Hugging Face hub keeps as Parquet shards: a column of encoded images and a column of class numbers.

Shards are downloaded with progress and compared with the SHA-256 that the hub publishes for each; class names are
read from the metadata inside the shards. Reading is by row group, the last few of them kept.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.images.sets.base import default_root, find_folder
from engine.images.sets.download import fetch, missing
from engine.images.sources import Entry, ReadError
from engine.images.wordnet import class_words

_SHARD = re.compile(r"(train|valid|validation|val)-(\d+)-of-(\d+)(-[0-9a-f]+)?\.parquet")
_KEPT_GROUPS = 8


class HubSet:
    """A set of Parquet shards named `train-00000-of-00001.parquet` and `validation-...`; the test split has no truth.

    Parameters
    ----------
    root : Path or None
        Where the shards lie, in a folder called like the repository or directly.
    title : str
    repository : str
        "owner/name" on the hub.
    forms : str
        What may lie on disk instead, in words; the shards when empty.
    """

    def __init__(self, root: Path | None, title: str, repository: str, *, forms: str = "") -> None:
        self.root = root or default_root()
        self.forms = forms or f"the Parquet shards of huggingface.co/datasets/{repository}"
        self.title, self.repository = title, repository
        self.folder = repository.rpartition("/")[2]
        self.problems: list[tuple[bytes, str]] = []
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[Path, int], list[bytes]] = OrderedDict()
        self._index: dict[str, tuple[Path, list[int]]] | None = None

    def _shards(self) -> list[Path]:
        folder = find_folder(self.root, [self.folder]) or self.root
        found = [path for place in (folder / "data", folder) for path in sorted(place.glob("*.parquet"))]
        shards = [path for path in found if _SHARD.fullmatch(path.name)]
        counts: dict[tuple[str, int], int] = {}
        for path in shards:
            match = _SHARD.fullmatch(path.name)
            if match:
                counts[match[1], int(match[3])] = counts.get((match[1], int(match[3])), 0) + 1
        complete = bool(counts) and all(have == want for (_, want), have in counts.items())
        return shards if complete and {split == "train" for split, _ in counts} == {True, False} else []

    def prepare(self, progress: Progress = SILENT) -> None:
        """Make the shards be on disk, downloading what is missing."""
        if self._shards():
            return
        shards = self._published()
        total = sum(size for _, _, size, _ in shards)
        before = 0
        for name, url, size, digest in shards:
            path = self.root / self.folder / "data" / Path(name).name
            if not path.exists():
                fetch(
                    url,
                    path,
                    f"sha256:{digest}",
                    title=self.title,
                    progress=progress,
                    headers=_headers(),
                    before=before,
                    total=total,
                )
            before += size
        self._index = None

    def _published(self) -> list[tuple[str, str, int, str]]:
        """Return (name, address, bytes, SHA-256) of the shards that the hub lists."""
        import huggingface_hub as hub
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            raise missing(self.title, self.forms, self.root, "working offline")
        try:
            info = hub.HfApi().dataset_info(self.repository, files_metadata=True)
        except Exception as error:  # the client raises its transport's errors as well as its own
            why = _why(error, self.repository)
            raise missing(self.title, self.forms, self.root, why) from error
        shards = []
        for sibling in info.siblings or []:
            lfs = sibling.lfs
            if lfs is not None and _SHARD.fullmatch(Path(sibling.rfilename).name):
                url = hub.hf_hub_url(self.repository, sibling.rfilename, repo_type="dataset", revision=info.sha)
                shards.append((sibling.rfilename, url, int(lfs.size), str(lfs.sha256)))
        if not shards:
            raise missing(self.title, self.forms, self.root, "its source lists no shards")
        return sorted(shards)

    def entries(self) -> Iterator[Entry]:
        """List the images, shard by shard, in the published order; `size` is the mean of the shard."""
        import pyarrow.parquet as pq

        shards = self._shards()
        if not shards:
            raise missing(self.title, self.forms, self.root, "it was not downloaded yet")
        try:
            names = self._class_names(shards[0])
            for path in shards:
                found = path.stat()
                labels = pq.read_table(path, columns=["label"]).column("label").to_pylist()
                size = found.st_size // max(1, len(labels))
                split = "train" if path.name.startswith("train") else "test"
                for row, label in enumerate(labels):
                    name = f"{path.name.removesuffix('.parquet')}/{row:06}".encode()
                    yield Entry(name, size, found.st_mtime_ns, truth=names[label] if label >= 0 else None, split=split)
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise InputError(f"The shards of {self.title} cannot be read: {error}.", "Download them again.") from error

    def _class_names(self, shard: Path) -> list[str]:
        import pyarrow.parquet as pq

        metadata = pq.read_schema(shard).metadata or {}
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return class_words([str(name) for name in features["label"]["names"]])

    def read(self, name: bytes) -> bytes:
        """Return the encoded bytes of one image."""
        shard, _, row = name.decode("ascii", "replace").partition("/")
        index = self._offsets()
        if shard not in index or not re.fullmatch(r"\d{6,}", row) or int(row) >= index[shard][1][-1]:
            raise ReadError("There is no such image in the set.")
        path, ends = index[shard]
        group = int(np.searchsorted(ends, int(row), side="right"))
        images = self._group(path, group)
        return images[int(row) - (ends[group - 1] if group else 0)]

    def _offsets(self) -> dict[str, tuple[Path, list[int]]]:
        """Return of each shard its path and the row number after each row group."""
        import pyarrow.parquet as pq

        if self._index is None:
            index = {}
            for path in self._shards():
                metadata = pq.read_metadata(path)
                rows = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
                index[path.name.removesuffix(".parquet")] = (path, np.cumsum(rows).tolist())
            self._index = index
        return self._index

    def _group(self, path: Path, group: int) -> list[bytes]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self._lock:
            if (path, group) in self._groups:
                self._groups.move_to_end((path, group))
                return self._groups[path, group]
            try:
                column: Any = pq.ParquetFile(path).read_row_group(group, columns=["image"]).column("image")
            except (OSError, pa.ArrowException) as error:
                raise ReadError(f"{path.name} cannot be read: {error}.") from error
            images = [cell["bytes"] if isinstance(cell, dict) else cell for cell in column.to_pylist()]
            self._groups[path, group] = images
            while len(self._groups) > _KEPT_GROUPS:
                self._groups.popitem(last=False)
            return images


def _headers() -> dict[str, str]:
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    return {str(key): str(value) for key, value in build_hf_headers().items()}


def _why(error: Exception, repository: str) -> str:
    name = type(error).__name__
    if "Gated" in name:
        return f"accept its terms first at huggingface.co/datasets/{repository}"
    if "NotFound" in name:
        return "its source does not have it"
    return "no answer from the network"
