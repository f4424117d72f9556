"""What one embedding configuration is, how it is named, and which ones a data set has in the cache.

The key covers everything that changes a vector: encoder, settings, the weights that were really loaded,
preprocessing, decoder and number format. Where and how fast it was computed is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.core.errors import InputError, KindredError, StorageError, WeightsError
from engine.core.ids import Ids, to_bytes
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import ENCODERS, EncoderEntry
from engine.embeddings.store import EmbeddingStore
from engine.images.decode import DECODER, PreprocessSettings
from engine.images.depth import Ranges
from engine.images.ranges import conflict, load_ranges
from engine.images.tables import load_images

State = Literal["complete", "partial", "stale"]
_RECORDED = {"encoder", "settings", "settings_key", "revision", "preprocess", "decoder", "dtype", "made"}
_Signature = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class Configuration:
    """One cached configuration as a data set sees it.

    Attributes
    ----------
    key : str
        Its folder under cache/embeddings.
    encoder : str
    settings, preprocess : dict
        As they were given.
    revision : str
        What weights made the vectors.
    have, want, failed : int
        Rows of the data set with a vector, all rows, and rows that can never have one.
    state : "complete" | "partial" | "stale"
    reason : str
        One sentence on why it is partial or stale; empty when complete.
    dimension : int or None
    made : float
        Seconds since 1970 of the first embedding.
    removed : str
        The nuisance that was taken out of the vectors (`engine.embeddings.nuisance`); mostly empty.
    """

    key: str
    encoder: str
    settings: dict[str, Any]
    preprocess: dict[str, Any]
    revision: str
    have: int
    want: int
    failed: int
    state: State
    reason: str
    dimension: int | None
    made: float
    removed: str = ""

    @property
    def reads_text(self) -> bool:
        """Whether words can be compared with these vectors."""
        entry = ENCODERS.get(self.encoder)
        return entry is not None and entry.reads_text


def describe(
    entry: EncoderEntry,
    settings: Settings,
    preprocess: PreprocessSettings,
    revision: str,
    dtype: str = "float16",
    ranges: Ranges | None = None,
) -> dict[str, Any]:
    """Return what config.json records of a configuration; `ranges` are what deep images of the data set show."""
    images = entry.takes == "images"
    return {
        "encoder": entry.name,
        "settings": settings.model_dump(mode="json"),
        "settings_key": settings.key(),
        "revision": revision,
        "preprocess": preprocess.model_dump(mode="json") if images else {},
        "decoder": DECODER if images else "",
        "ranges": {depth: list(shown) for depth, shown in sorted((ranges or {}).items())} if images else {},
        "dtype": dtype,
        "made": time.time(),
    }


def key_of(config: Mapping[str, Any]) -> str:
    """Return the 32 hex digits that name a configuration: blake2b of what changes a vector."""
    parts = [config[name] for name in ("encoder", "settings_key", "revision", "preprocess", "decoder", "dtype")]
    if config.get("ranges"):
        parts.append(config["ranges"])
    if config.get("removed"):
        parts.append(config["removed"])
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def stores(workspace: Workspace) -> Iterator[EmbeddingStore]:
    """Yield every store of the cache that can say what it holds."""
    for path in _folders(workspace):
        store = _open(path)
        if store is not None:
            yield store


def _folders(workspace: Workspace) -> list[Path]:
    """Return the stores' folders, those among them whose exchange of generations a crash cut short."""
    folder = workspace.cache / "embeddings"
    names = {path.name.split(".")[0] for path in folder.iterdir()} if folder.is_dir() else set()
    return [folder / name for name in sorted(names)]


def _open(path: Path) -> EmbeddingStore | None:
    """Open a store; None where config.json is damaged or missing: nobody can say what such vectors are."""
    try:
        store = EmbeddingStore(path)
    except StorageError:
        return None
    return store if _RECORDED <= store.settings.keys() else None


def list_configurations(workspace: Workspace, dataset_id: str) -> list[Configuration]:
    """Return the cached configurations that hold vectors of this data set, the newest first.

    What a store holds is counted once and remembered until one of its files changes, so that pages may ask often.
    """
    table = load_images(workspace, dataset_id)
    ranges = load_ranges(workspace, dataset_id)
    found = [_configuration(path, table.contents, table.digest, ranges) for path in _folders(workspace)]
    return sorted((item for item in found if item is not None), key=lambda item: -item.made)


def find_without_weights(
    workspace: Workspace,
    entry: EncoderEntry,
    settings: Settings,
    preprocess: PreprocessSettings,
    contents: Ids,
    ranges: Ranges | None = None,
) -> EmbeddingStore | None:
    """Return the newest store of this configuration that holds all `contents`, whatever weights made it.

    It answers while the weights are not on this machine: what is embedded already needs none.
    """
    expected = describe(entry, settings, preprocess, "", ranges=ranges)
    same = ("encoder", "settings_key", "preprocess", "decoder")
    found = [
        store
        for store in stores(workspace)
        if all(store.settings.get(name) == expected[name] for name in same)
        and store.settings.get("ranges", {}) == expected["ranges"]
        and not store.settings.get("removed")
        and store.holds(contents).all()
    ]
    return max(found, key=lambda store: float(store.settings["made"]), default=None)


def siblings(workspace: Workspace, config: Mapping[str, Any]) -> Iterator[EmbeddingStore]:
    """Yield the stores whose vectors differ from this configuration's at most in the range of deep images."""
    same = ("encoder", "settings_key", "revision", "preprocess", "decoder", "dtype")
    for store in stores(workspace):
        known = store.settings
        if known.get("removed"):
            continue
        if known.get("ranges", {}) != config["ranges"] and all(known[name] == config[name] for name in same):
            yield store


@dataclass(frozen=True)
class _Count:
    """What a store holds of a data set's images."""

    config: dict[str, Any]
    have: int
    failed: int
    dimension: int | None
    damaged: list[str]


_counts: dict[tuple[Path, bytes], tuple[_Signature, _Count]] = {}


def _signature(path: Path) -> _Signature:
    """Return the names, sizes and times of a store's files; equal means unchanged."""
    try:
        with os.scandir(path) as entries:
            stats = [(entry.name, entry.stat()) for entry in entries]
    except FileNotFoundError:
        return frozenset()
    return frozenset((name, found.st_size, found.st_mtime_ns) for name, found in stats)


def _count(path: Path, contents: Ids, digest: bytes) -> _Count | None:
    signature = _signature(path)
    known = _counts.get((path, digest))
    if known is not None and signature and known[0] == signature:
        return known[1]
    store = _open(path)
    if store is None:
        return None
    holds = store.holds(contents)
    failures = store.failures(final=True)
    failed = sum(key in failures for key in to_bytes(contents[~holds])) if failures else 0
    counted = _Count(store.settings, int(holds.sum()), failed, store.dimension, list(store.damaged))
    if len(_counts) >= 256:
        _counts.clear()
    _counts[path, digest] = signature, counted
    return counted


def _configuration(path: Path, contents: Ids, digest: bytes, ranges: Ranges) -> Configuration | None:
    counted = _count(path, contents, digest)
    if counted is None or not counted.have:
        return None
    config = counted.config
    state, reason = _state(config, counted.have, len(contents) - counted.failed, counted.damaged)
    if state != "stale" and conflict(config.get("ranges", {}), ranges):
        state, reason = "stale", "Images of more than 8 bits are shown in another range in this data set."
    return Configuration(
        key=path.name,
        encoder=config["encoder"],
        settings=config["settings"],
        preprocess=config["preprocess"],
        revision=config["revision"],
        have=counted.have,
        want=len(contents),
        failed=counted.failed,
        state=state,
        reason=reason,
        dimension=counted.dimension,
        made=float(config["made"]),
        removed=str(config.get("removed", {}).get("what", "")),
    )


def _state(config: Mapping[str, Any], have: int, possible: int, damaged: list[str]) -> tuple[State, str]:
    why = stale_reason(config)
    if why:
        return "stale", why
    if have < possible:
        missing = f"{possible - have:,} of {possible:,} images are not embedded yet."
        return "partial", f"{damaged[0]} {missing}" if damaged else missing
    return "complete", ""


def stale_reason(config: Mapping[str, Any]) -> str:
    """Return why these vectors would come out differently today; empty when they would not."""
    entry = ENCODERS.get(config["encoder"])
    if entry is None:
        return f"The encoder {config['encoder']!r} is not part of this Kindred."
    if config["decoder"] not in ("", DECODER):
        return "Images are decoded differently since; embed again for vectors that match new ones."
    try:
        settings = entry.settings_class.parse(config["settings"])
        if settings.key() != config["settings_key"]:
            return "The encoder has settings today that it did not have then."
        revision = entry.revision(settings, download=False)
    except InputError:
        return "The encoder's settings have changed since."
    except WeightsError:
        return ""  # the weights are not here now; the vectors are as good as ever
    except KindredError as error:
        return error.sentence
    return "" if revision == config["revision"] else "The weights have changed since these vectors were made."
