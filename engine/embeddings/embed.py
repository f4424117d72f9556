"""From a data set to vectors: what is missing is read, decoded, encoded and committed shard by shard.

Asking twice embeds nothing and opens no image. A kill at any moment loses at most the last seconds of work.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.device import threads
from engine.core.errors import InputError, WeightsError
from engine.core.ids import Ids, to_bytes
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.core.vectors import blocks
from engine.core.workspace import Workspace
from engine.embeddings.configurations import describe, find_without_weights, key_of, siblings
from engine.embeddings.encoders.registry import Encoder, EncoderEntry, encoder_of_vectors, find_encoder
from engine.embeddings.generations import next_generation, swap
from engine.embeddings.nuisance import derived_of, extend_derived
from engine.embeddings.prefetch import Pixels, decoded_batches
from engine.embeddings.store import EmbeddingStore, Vectors
from engine.embeddings.writing import Sized, Writer
from engine.images.contents import read_image
from engine.images.datasets import Dataset, find_dataset
from engine.images.decode import ImageError, PreprocessSettings, decode_square
from engine.images.depth import Ranges
from engine.images.ranges import load_depths, load_ranges
from engine.images.sources import shown
from engine.images.tables import ImageTable, load_images


@dataclass(frozen=True)
class EmbeddingSet:
    """The vectors of one data set in one configuration.

    Attributes
    ----------
    key : str
        Names the configuration, its generation and exactly these rows; what graphs and maps are cached by.
    config_key : str
        The configuration alone.
    contents : (n,) S16
        Content ids.
    vectors : (n, d) float32
        Unit length where the encoder normalises.
    rows : (n,) int64
        Where each stands in the data set's `ImageTable`; images that failed are left out.
    """

    key: str
    config_key: str
    contents: Ids
    vectors: Vectors
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def embed(
    workspace: Workspace,
    dataset_id: str,
    encoder_name: str,
    settings: Settings | None = None,
    *,
    preprocess: PreprocessSettings | None = None,
    progress: Progress = SILENT,
    device: str = "auto",
    force: bool = False,
    only: Ids | None = None,
) -> EmbeddingSet:
    """Embed what is missing and return the vectors of the data set.

    Parameters
    ----------
    encoder_name : str
        A name of `ENCODERS`.
    settings : Settings, optional
        The encoder's own; its defaults when absent.
    preprocess : PreprocessSettings, optional
        How images become squares; letterbox when absent.
    device : str
        "auto", "cpu", "cuda", ...
    force : bool
        Embed everything again; the old vectors serve until the new ones are complete.
    only : (m,) S16, optional
        Embed and return only these content ids (a sample).

    Raises
    ------
    InputError
        The encoder does not fit the data set, or vectors given by the person cannot be used.
    WeightsError
        The weights are absent and cannot be had.
    StorageError
        The disk is full.
    """
    entry = find_encoder(encoder_name)
    settings = settings if settings is not None else entry.settings_class()
    preprocess = preprocess or PreprocessSettings()
    dataset, table = find_dataset(workspace, dataset_id), load_images(workspace, dataset_id)
    _check_fit(entry, dataset)
    dtype = "float16"
    if entry.takes == "vectors":
        settings = entry.encoder_class.for_dataset(settings, dataset)
        dtype = entry.encoder_class.dtype_of(settings)
    wanted = np.arange(len(table.contents)) if only is None else np.flatnonzero(np.isin(table.contents, only))
    ranges = load_ranges(workspace, dataset_id)
    try:
        revision = entry.revision(settings, download=False)
    except WeightsError:
        chosen = table.contents[wanted]
        known = None if force else find_without_weights(workspace, entry, settings, preprocess, chosen, ranges)
        if known is not None:
            return _collect(known, table, wanted)
        revision = entry.revision(settings, progress=progress)
    config = describe(entry, settings, preprocess, revision, dtype, ranges)
    store = EmbeddingStore(workspace.embeddings(key_of(config)), config)
    for sentence in store.damaged:
        progress.say(sentence)
    if force or len(_missing(store, table, wanted)):
        with store.writing(progress):
            target = next_generation(store) if force else store
            if not force and entry.takes == "images":
                _copy_same(workspace, dataset_id, target, table, wanted)
            todo = _missing(target, table, wanted)
            if entry.takes == "vectors":
                _copy_vectors(entry, settings, dataset, table, todo, target, progress)
            elif len(todo):
                encoder = entry.build(settings, device=device)
                reader = Reader(workspace, dataset, table, todo, encoder.side, preprocess, ranges)
                _embed_rows(encoder, reader, target, progress)
            if force:
                swap(store, target)
            store.compact()
        for derived in derived_of(workspace, store.folder.name):
            extend_derived(derived, store, table.contents[wanted], progress=progress)
    return _collect(store, table, wanted)


def load_set(workspace: Workspace, dataset_id: str, key: str, *, only: Ids | None = None) -> EmbeddingSet:
    """Return the vectors of one cached configuration; images without one are left out.

    Raises
    ------
    InputError
        There is no such configuration.
    """
    folder = workspace.embeddings(key)
    store = EmbeddingStore(folder)
    if not store.settings:
        raise InputError("These embeddings are not in the cache.", "Embed the data set again on Embed.")
    table = load_images(workspace, dataset_id)
    wanted = np.arange(len(table.contents)) if only is None else np.flatnonzero(np.isin(table.contents, only))
    return _collect(store, table, wanted)


def _check_fit(entry: EncoderEntry, dataset: Dataset) -> None:
    if dataset.kind == "vectors" and entry.takes != "vectors":
        raise InputError(
            f"{dataset.name} holds vectors, not images; {entry.title} has nothing to look at.",
            f"Use the encoder {encoder_of_vectors().name!r}.",
        )


def _missing(store: EmbeddingStore, table: ImageTable, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows without a vector that are worth trying."""
    todo = wanted[~store.holds(table.contents[wanted])]
    hopeless = store.failures(final=True) if len(todo) else {}
    if hopeless:
        keep = [key not in hopeless for key in to_bytes(table.contents[todo])]
        todo = todo[np.array(keep, dtype=bool)]
    return todo


def _copy_same(
    workspace: Workspace, dataset_id: str, store: EmbeddingStore, table: ImageTable, wanted: NDArray[np.int64]
) -> None:
    """Take over vectors that would come out the same: of images whose depth is shown alike in another configuration.

    So a data set in which the first image of a new depth appears embeds that image, not everything again.
    """
    depths: dict[bytes, str] | None = None
    own = store.settings["ranges"]
    for other in siblings(workspace, store.settings):
        rows = wanted[~store.holds(table.contents[wanted])]
        rows = rows[other.holds(table.contents[rows])]
        if not len(rows):
            continue
        depths = load_depths(workspace, dataset_id) if depths is None else depths
        shown = other.settings.get("ranges", {})
        kinds = [depths.get(content, "") for content in to_bytes(table.contents[rows])]
        alike = [not kind or (kind in own and own[kind] == shown.get(kind)) for kind in kinds]
        for part in blocks(len(rows)):
            contents = table.contents[rows[part][np.array(alike[part], dtype=bool)]]
            if len(contents):
                store.append(contents, other.load(contents))


def _collect(store: EmbeddingStore, table: ImageTable, wanted: NDArray[np.int64]) -> EmbeddingSet:
    rows = wanted[store.holds(table.contents[wanted])]
    contents = table.contents[rows]
    config_key = store.folder.name
    digest = hashlib.blake2b(f"{config_key} {store.settings.get('made')}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(contents).tobytes())
    return EmbeddingSet(digest.hexdigest(), config_key, contents, store.load(contents), rows)


def _copy_vectors(
    entry: EncoderEntry,
    settings: Settings,
    dataset: Dataset,
    table: ImageTable,
    todo: NDArray[np.int64],
    store: EmbeddingStore,
    progress: Progress,
) -> None:
    given = entry.encoder_class(settings)
    contents, vectors = given.vectors_of(dataset, table)
    for note in given.notes:
        progress.say(note)
    chosen = np.isin(contents, table.contents[todo])
    store.append(contents[chosen], vectors[chosen])


class Reader:
    """Reads and decodes the images of a data set by job number; called from many threads."""

    def __init__(
        self,
        workspace: Workspace,
        dataset: Dataset,
        table: ImageTable,
        rows: NDArray[np.int64],
        side: int,
        preprocess: PreprocessSettings,
        ranges: Ranges,
    ) -> None:
        self.contents = table.contents[rows]
        self.keys = to_bytes(self.contents)
        self.side = side
        self._workspace = workspace
        self._dataset = dataset
        self._source = dataset.source()
        self._paths = [table.paths[row] for row in rows]
        self._preprocess = preprocess
        self._ranges = ranges

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, job: int) -> str:
        """Return the image's path for the eye."""
        return shown(self._paths[job])

    def decode(self, job: int, into: Pixels) -> None:
        """Write the square of an image into (side, side, 3) uint8.

        Raises
        ------
        ImageError
            It is no image.
        KindredError
            It is gone or has changed since the scan, and no other file has its content.
        """
        data = read_image(self._workspace, self._dataset, self._source, self._paths[job], self.keys[job])
        decode_square(data, self.side, self._preprocess, ranges=self._ranges, max_pixels=None, into=into)


def _embed_rows(encoder: Encoder, reader: Reader, store: EmbeddingStore, progress: Progress) -> None:
    for note in encoder.notes:
        progress.say(note)
    writer, sized = Writer(store), Sized(encoder, progress)
    began, last, done, failed = time.monotonic(), 0.0, 0, 0
    size = max(1, min(encoder.batch_size, len(reader)))
    pinned = getattr(encoder, "device", "cpu").startswith("cuda")
    stream = decoded_batches(
        len(reader), reader.decode, side=reader.side, batch_size=size, threads=threads(), pinned=pinned
    )
    try:
        with closing(stream):
            for batch in stream:
                for job, error in batch.failures:
                    writer.fail(reader.keys[job], error.sentence, again=not isinstance(error, ImageError))
                    if not failed:
                        progress.say(f"{reader.name(job)} is left out: {error.sentence}")
                    failed += 1
                if len(batch.jobs):
                    writer.add(reader.contents[batch.jobs], sized.encode(batch.images))
                done += len(batch.jobs) + len(batch.failures)
                now = time.monotonic()
                if now - last > 0.2 or done == len(reader):
                    rate = done / max(now - began, 1e-9)
                    progress.update(done, len(reader), phase="embedding", unit="images", images_per_second=rate)
                    last = now
    finally:
        writer.commit()
    if failed:
        progress.say(f"{failed:,} of {len(reader):,} images could not be embedded; each is listed with its reason.")
