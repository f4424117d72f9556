"""Looking at every image of a data set once: hash, decode, size, thumbnail; then keeping the catalog true.

A file whose size and time of change match the catalog is not opened. Results are committed in batches,
so a killed scan loses at most one batch and the next one goes on where it stopped. Images of more than 8 bits wait
until the range of their kind is measured over all of them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from engine.core.catalog import open_catalog
from engine.core.device import threads
from engine.core.errors import InputError
from engine.core.files import content_id
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.images.datasets import Dataset, find_dataset, store_vectors
from engine.images.decode import MAX_PIXELS, ImageError, UnmeasuredDepth, decode
from engine.images.depth import Range
from engine.images.identity import How, Looks, compare, known_as, note_alias, note_former, settle_identity
from engine.images.kinds import NAMED
from engine.images.quality import measure
from engine.images.ranges import forget_ranges, keep_range, load_ranges, measure_range
from engine.images.report import ScanReport, beside, report
from engine.images.sources import Entry, FolderSource, ReadError, Source
from engine.images.thumbnails import SIDE, ThumbnailStore, encode_thumbnail, thumbnail_key
from engine.images.traces import BARS, traces
from engine.images.vectors import read_vectors

BATCH = 256
BATCH_SECONDS = 2.0
HANDFUL = 8  # files handed to a thread at once: one hand-over per file would cost more than a small image


@dataclass(slots=True)
class _Looked:
    """What one look at a file told.

    `content` is the id of its bytes, `how` says what became of the picture that lay there before. `thumbnail` is empty
    where none was made, `waits` names an unmeasured depth.
    """

    entry: Entry
    content: bytes | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    failure: str | None = None
    quality: str | None = None
    depth: str = ""
    pixels: bytes | None = None
    orientation: int | None = None
    how: How = "changed"
    note: str | None = None
    thumbnail: bytes = b""
    waits: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the catalog has of a path; `data_id` is of the bytes that were read there last."""

    size: int
    mtime_ns: int
    data_id: bytes | None
    format: str | None
    depth: str | None
    pixels: bytes | None
    orientation: int | None
    width: int | None
    height: int | None
    failure: str | None
    traced: bool

    def current(self, entry: Entry, again: bool) -> bool:
        """Return whether the file need not be opened; one that could not be read is tried again.

        With `again` that holds for one that could not be decoded, too: another limit may let it through.
        """
        unknown = self.depth is None and self.format in (None, "png", "tiff")  # may be deep, and nobody looked
        older = self.pixels is None or not self.traced  # read by a version that did not look for these
        unknown |= older and self.failure is None
        same = (self.size, self.mtime_ns) == (entry.size, entry.mtime_ns)
        return self.data_id is not None and same and not unknown and not (again and self.failure is not None)

    def looks(self, thumbnail: bytes | None) -> Looks:
        """Return what is compared where the file was written anew."""
        return Looks(self.pixels, (), self.width, self.height, self.format, self.orientation, thumbnail)


def scan(
    workspace: Workspace,
    dataset_id: str,
    *,
    progress: Progress = SILENT,
    thumbnails: bool = True,
    measure_again: bool = False,
) -> ScanReport:
    """Bring the catalog up to date with a data set.

    Parameters
    ----------
    thumbnails : bool
        Keep a 256 px thumbnail of each image in the same pass; else pages make them when they are needed.
    measure_again : bool
        Measure anew between which values images of more than 8 bits are shown; vectors made before are then stale.

    Returns
    -------
    ScanReport
        What the data set holds now; `opened`, `added`, `changed` and `removed` tell what this scan did.

    Raises
    ------
    InputError
        The place is gone or holds no image.
    StorageError
        The disk is full or the catalog is locked; what was committed stays.
    """
    started = time.monotonic()
    dataset = find_dataset(workspace, dataset_id)
    if dataset.kind == "vectors":
        store_vectors(workspace, dataset_id, read_vectors(dataset.path))
        return report(workspace, dataset_id, seconds=time.monotonic() - started)
    source = dataset.source()
    source.prepare(progress)
    entries = _list(source, progress)
    if not entries and not source.problems:
        raise InputError(
            f"There is no image in {dataset.name!r}.",
            " ".join([*beside(_left_alone(source)), f"Kindred reads {NAMED}, also in folders inside."]),
        )
    if measure_again:
        forget_ranges(workspace, dataset_id)
    known, before = _known(workspace, dataset_id)
    last = int(before["last"])
    again = before.get("max_megapixels") != _left_alone(source).get("max_megapixels")
    todo = [entry for entry in entries if not (entry.name in known and known[entry.name].current(entry, again))]
    looked_at = _look_twice(workspace, dataset, source, todo, known, progress, thumbnails=thumbnails)
    changed = _keep(workspace, dataset, looked_at, len(entries), len(todo), progress)
    removed, told = _settle(workspace, dataset, source, entries, last)
    for sentence in told:
        progress.say(sentence)
    added = sum(entry.name not in known for entry in todo)
    return report(
        workspace,
        dataset_id,
        seconds=time.monotonic() - started,
        opened=len(todo),
        added=added,
        changed=changed,
        removed=removed,
    )


def _list(source: Source, progress: Progress) -> list[Entry]:
    entries = []
    for entry in source.entries():
        entries.append(entry)
        if len(entries) % 1000 == 0:
            progress.update(len(entries), 0, phase="Looking for images", unit="images")
    return entries


def _known(workspace: Workspace, dataset_id: str) -> tuple[dict[bytes, _Known], dict[str, Any]]:
    """Return what the catalog has of each path, and what the scan before has kept (`last` is its newest image)."""
    with open_catalog(workspace.catalog) as db:
        db.row_factory = None
        rows = db.execute(
            "SELECT path, size, mtime_ns, coalesce(bytes, content), format, depth, pixels, orientation, width, height,"
            " failure, instr(quality, ?) > 0 FROM image WHERE dataset = ?",
            (json.dumps(BARS), dataset_id),
        )
        known = {row[0]: _Known(*row[1:]) for row in rows}
        found = json.loads(db.execute("SELECT found FROM dataset WHERE id = ?", (dataset_id,)).fetchone()[0] or "{}")
        last = db.execute("SELECT max(id) FROM image WHERE dataset = ?", (dataset_id,)).fetchone()[0] or 0
    return known, {"last": last} | found


def _look_twice(
    workspace: Workspace,
    dataset: Dataset,
    source: Source,
    entries: Sequence[Entry],
    known: Mapping[bytes, _Known],
    progress: Progress,
    *,
    thumbnails: bool,
) -> Iterator[_Looked]:
    """Look at the files; those of a depth without a range once more, when it is measured over all of them."""
    ranges = load_ranges(workspace, dataset.id)
    limit = source.settings.max_pixels if isinstance(source, FolderSource) else MAX_PIXELS
    store = ThumbnailStore(workspace.thumbnails)
    look = partial(_look, source, known, store, ranges=ranges, thumbnails=thumbnails, max_pixels=limit)
    waiting: list[_Looked] = []
    for looked in _look_at_all(partial(look, wait=True), entries):
        if looked.waits:
            waiting.append(looked)
        else:
            yield looked
    for depth in sorted({looked.waits for looked in waiting}):
        names = {looked.content: looked.entry.name for looked in waiting if looked.waits == depth and looked.content}
        measured = measure_range(names, source.read, max_pixels=limit)
        if measured is not None:
            low, high = ranges[depth] = keep_range(workspace, dataset.id, depth, measured)
            progress.say(f"Images of {depth} are shown between {low:,.6g} and {high:,.6g}.")
    yield from _look_at_all(partial(look, wait=False), [looked.entry for looked in waiting])


def _look_at_all(look: Callable[[Entry], _Looked], entries: Sequence[Entry]) -> Iterator[_Looked]:
    """Look at the files in `threads()` threads, in order, a handful at a time, with a bounded number in flight."""
    workers = threads()
    handfuls = (entries[at : at + HANDFUL] for at in range(0, len(entries), HANDFUL))
    waiting: deque[Future[list[_Looked]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="scan") as pool:
        try:
            for handful in handfuls:
                waiting.append(pool.submit(lambda some: [look(one) for one in some], handful))
                if len(waiting) > 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _look(
    source: Source,
    known: Mapping[bytes, _Known],
    store: ThumbnailStore,
    entry: Entry,
    *,
    ranges: Mapping[str, Range],
    thumbnails: bool,
    max_pixels: int,
    wait: bool,
) -> _Looked:
    looked = _Looked(entry)
    try:
        data = source.read(entry.name)
    except ReadError as error:
        looked.failure = error.sentence
        return looked
    looked.content = content_id(data)
    read = partial(decode, data, SIDE, ranges=ranges, max_pixels=max_pixels)
    try:
        found = read(wait=wait, hashed=1)
    except UnmeasuredDepth as error:
        looked.waits = error.depth
        return looked
    except ImageError as error:
        looked.failure = error.reason
        return looked
    looked.depth, looked.note = found.depth, found.note or None
    looked.width, looked.height, looked.format = found.width, found.height, found.format
    looked.pixels, looked.orientation = found.hashes[0], found.orientation
    pixels = np.asarray(found.image)  # Pillow copies them each time
    looked.quality = json.dumps(measure(found.image, pixels) | traces(pixels) | found.said, ensure_ascii=False)
    before = known.get(entry.name)
    rewritten = before is not None and before.data_id is not None and before.data_id != looked.content
    thumbnail = encode_thumbnail(found.image) if thumbnails or rewritten else b""
    if before is not None and before.data_id is not None and rewritten:
        turns = () if before.pixels == looked.pixels else read(hashed=8).hashes[1:]
        shown = store.get(thumbnail_key(before.data_id, ranges.get(before.depth or "")))
        after = Looks(looked.pixels, turns, found.width, found.height, found.format, found.orientation, thumbnail)
        looked.how = compare(before.looks(shown), after)
    looked.thumbnail = thumbnail if thumbnails else b""
    return looked


def _keep(
    workspace: Workspace, dataset: Dataset, looked_at: Iterable[_Looked], total: int, todo: int, progress: Progress
) -> int:
    """Commit results in batches; return how many known files had changed."""
    store = ThumbnailStore(workspace.thumbnails)
    batch: list[_Looked] = []
    done = total - todo
    failed = changed = 0
    last = time.monotonic()
    progress.update(done, total, phase="Reading images", unit="images")
    try:
        for looked in looked_at:
            batch.append(looked)
            done += 1
            failed += looked.failure is not None
            if len(batch) >= BATCH or time.monotonic() - last > BATCH_SECONDS:
                changed += _commit(workspace, dataset, batch, store)
                batch, last = [], time.monotonic()
                progress.update(done, total, phase="Reading images", unit="images", failed=failed)
        changed += _commit(workspace, dataset, batch, store)
        progress.update(done, total, phase="Reading images", unit="images", failed=failed)
    finally:
        store.close()
    return changed


def _commit(workspace: Workspace, dataset: Dataset, batch: Sequence[_Looked], store: ThumbnailStore) -> int:
    """Write one batch: thumbnails first, then the catalog rows that make it count."""
    if not batch:
        return 0
    ranges = load_ranges(workspace, dataset.id)
    store.put_many(
        [
            (thumbnail_key(one.content, ranges.get(one.depth)), one.thumbnail)
            for one in batch
            if one.content and one.thumbnail
        ]
    )
    with open_catalog(workspace.catalog, write=True) as db:
        return sum(_write(db, dataset.id, one) for one in batch)


def _write(db: sqlite3.Connection, dataset: str, one: _Looked) -> bool:
    """Write the row of one file; return whether it was known and holds another picture now."""
    entry = one.entry
    row = db.execute(
        "SELECT id, content, coalesce(bytes, content) AS bytes, depth, pixels FROM image"
        " WHERE dataset = ? AND path = ?",
        (dataset, entry.name),
    ).fetchone()
    before = None if row is None else row["content"]
    content = one.content
    rewritten = row is not None and row["bytes"] != one.content
    if one.content is not None and row is not None and not rewritten:
        content = before
    elif one.content is not None:
        content = known_as(db, dataset, one.content)
        if content is None and rewritten and before is not None and one.how != "changed":
            content = before
            note_alias(db, dataset, one.content, before, one.how)
        content = content or one.content
    if rewritten or (row is not None and one.depth and not row["depth"]):  # a picture of its own, or another look
        db.execute("DELETE FROM image WHERE id = ?", (row["id"],))
    db.execute(
        "INSERT INTO image (dataset, path, content, bytes, size, mtime_ns, width, height, format, truth, split,"
        " failure, quality, depth, note, pixels, orientation)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (dataset, path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        " width = excluded.width, height = excluded.height, format = excluded.format,"
        " failure = excluded.failure, quality = excluded.quality, depth = excluded.depth, note = excluded.note,"
        " pixels = excluded.pixels, orientation = excluded.orientation",
        (
            dataset,
            entry.name,
            content,
            one.content if content != one.content else None,
            entry.size,
            entry.mtime_ns,
            one.width,
            one.height,
            one.format,
            entry.truth,
            entry.split,
            one.failure,
            one.quality,
            one.depth,
            one.note,
            one.pixels,
            one.orientation,
        ),
    )
    if before is None or content == before:
        return False
    note_former(db, dataset, before, entry.name, row["pixels"], one.content)
    return True


def _settle(
    workspace: Workspace, dataset: Dataset, source: Source, entries: Sequence[Entry], last: int
) -> tuple[int, list[str]]:
    """Remove rows of files that are gone, list what could not be opened, refresh truth, find moved pictures again.

    Returns how many files are gone, and sentences on pictures whose files another program has changed.
    """
    present = {entry.name: entry for entry in entries}
    problems = source.problems
    closed = tuple(name for name, _ in problems if name.endswith(b"/"))
    trouble = dict(problems)
    with open_catalog(workspace.catalog, write=True) as db:
        rows = db.execute(
            "SELECT path, truth, split, failure, content, pixels FROM image WHERE dataset = ?", (dataset.id,)
        ).fetchall()
        gone = [
            row
            for row in rows
            if row["path"] not in present
            and not (closed and row["path"].startswith(closed) and row["path"] not in closed)
        ]
        db.executemany("DELETE FROM image WHERE dataset = ? AND path = ?", [(dataset.id, row["path"]) for row in gone])
        for row in gone:
            if row["content"] is not None and row["failure"] is None:
                note_former(db, dataset.id, row["content"], row["path"], row["pixels"], None)
        db.executemany(
            "INSERT INTO image (dataset, path, size, mtime_ns, failure) VALUES (?, ?, 0, 0, ?)"
            " ON CONFLICT (dataset, path) DO NOTHING",
            [(dataset.id, path, reason) for path, reason in problems],
        )
        moved: list[tuple[Any, ...]] = []
        for row in rows:
            entry = present.get(row["path"])
            if entry is not None and (entry.truth, entry.split) != (row["truth"], row["split"]):
                moved.append((entry.truth, entry.split, dataset.id, row["path"]))
        db.executemany("UPDATE image SET truth = ?, split = ? WHERE dataset = ? AND path = ?", moved)
        told = settle_identity(db, dataset.id, last)
        newest = db.execute("SELECT max(id) FROM image WHERE dataset = ?", (dataset.id,)).fetchone()[0] or 0
        found = json.dumps({"last": newest, "told": told} | _left_alone(source))
        db.execute("UPDATE dataset SET scanned = ?, found = ? WHERE id = ?", (time.time(), found, dataset.id))
    return sum(row["path"] not in trouble for row in gone), told


def _left_alone(source: Source) -> dict[str, Any]:
    """Return what a folder holds beside its images, for the catalog."""
    if not isinstance(source, FolderSource):
        return {}
    return {
        "others": dict(source.others),
        "left_out": source.left_out,
        "max_megapixels": source.settings.max_megapixels,
    }
