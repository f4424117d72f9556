"""What the doctor looks at in the cache: shards against their keys, graphs, maps, thumbnails, jobs, leftovers.

Each finding can be mended, for the cache is made again when it is needed. What a living job is writing is left alone.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from engine.core.errors import KindredError, StorageError
from engine.core.files import load_array, read_json
from engine.core.ids import WIDTH, Ids, pack
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.embeddings.exchange import DONE, beside, finish_swap
from engine.embeddings.store import EmbeddingStore
from engine.jobs.job import is_locked
from engine.jobs.upkeep.archive import STAGING
from engine.jobs.upkeep.findings import Finding, half_written, size_of
from engine.jobs.upkeep.library import LibraryCheck, read_only

_AGAIN = "It is made again when it is needed."


def check_caches(workspace: Workspace, library: LibraryCheck, progress: Progress = SILENT) -> list[Finding]:
    """Look at everything in the cache; nothing is changed.

    Parameters
    ----------
    library : LibraryCheck
        What was found in the library: embeddings are called orphaned only against a catalog that can be read and
        holds a data set.
    """
    known = _known_contents(workspace) if library.readable and library.datasets else None
    folder = workspace.cache / "embeddings"
    names = sorted({path.name.split(".")[0] for path in folder.iterdir()}) if folder.is_dir() else []
    found: list[Finding] = []
    for done, name in enumerate(names):
        progress.update(done, len(names), phase="Looking at the embeddings", unit="configurations")
        found += _of_store(folder / name, known)
    for path in _children(workspace.cache / "neighbors"):
        if not _is_graph(path):
            found.append(_removed(path, f"The neighbour graph is incomplete. {_AGAIN}"))
    for path in _children(workspace.cache / "projections"):
        if not _is_map(path):
            found.append(_removed(path, f"The map is incomplete. {_AGAIN}"))
    found += _of_thumbnails(workspace.thumbnails)
    for path in _children(workspace.jobs):
        if not _is_job(path) and not ((path / "lock").exists() and is_locked(path)):
            found.append(_removed(path, "The job was never written whole, so it cannot be started."))
    for path in workspace.root.glob(f"{STAGING}.*"):
        if not psutil.pid_exists(int(path.name.split(".")[2])):
            found.append(_removed(path, "A restore did not come to its end; the backup can be restored again."))
    for path in half_written(workspace.cache):
        found.append(_removed(path, "It was half written when its program ended."))
    return found


def _of_store(folder: Path, known: Ids | None) -> Iterator[Finding]:
    """Look at one configuration's embeddings."""
    fresh, old = beside(folder, "next"), beside(folder, "old")
    if (fresh / DONE).exists() or old.exists():
        sentence = "Embeddings that were made again were not put in the old ones' place before the program ended."
        yield Finding(folder, sentence, partial(finish_swap, folder), "is finished")
        return
    if not folder.is_dir():
        return
    try:
        store = EmbeddingStore(folder)
    except StorageError as error:
        yield _removed(folder, f"Nobody can say what these embeddings are: {error.sentence}")
        return
    bad = {number: f"The shard is damaged: {why}" for number, why in store.unreadable.items()}
    bad |= dict.fromkeys(_not_finite(store), "The shard holds NaN or infinity.")
    for number, sentence in sorted(bad.items()):
        path = folder / f"shard-{number:06d}.npy"
        remedy = "is removed; its images are embedded again"
        yield Finding(path, sentence, _writing(store, partial(store.drop, [number])), remedy, size_of(path))
    for number in store.uncommitted():
        path = folder / f"shard-{number:06d}.keys"
        sentence = "The program ended between a shard's keys and its vectors."
        yield Finding(path, sentence, _writing(store, partial(store.drop, [number])), "is removed", size_of(path))
    if known is not None and len(store) and not bad and not np.isin(store.keys(), known).any():
        sentence = "None of these embeddings belongs to a data set of the catalog."
        yield Finding(folder, sentence, _writing(store, partial(_delete, folder)), "is removed", size_of(folder))


def _writing(store: EmbeddingStore, mend: Callable[[], None]) -> Callable[[], None]:
    """Return `mend` under the store's lock, so that no job writes into it meanwhile."""

    def work() -> None:
        with store.writing():
            mend()

    return work


def _not_finite(store: EmbeddingStore) -> Iterator[int]:
    for shard in store.numbered():
        if not np.isfinite(shard.rows).all():
            yield shard.number


def _known_contents(workspace: Workspace) -> Ids:
    """Return every content id that the catalog knows, also of files that have gone."""
    db = read_only(workspace.catalog)
    try:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows: set[bytes] = set()
        for table in ("image", "former", "alias"):
            if table in tables:
                rows |= {row[0] for row in db.execute(f"SELECT content FROM {table} WHERE content IS NOT NULL")}
    finally:
        db.close()
    return pack(row for row in rows if len(row) == WIDTH)


def _is_graph(folder: Path) -> bool:
    try:
        meta = read_json(folder / "meta.json")
        indices, similarities = load_array(folder / "indices.npy"), load_array(folder / "similarities.npy")
        return bool(indices.shape == similarities.shape == (meta["n"], meta["k"]))
    except (StorageError, KeyError, TypeError):
        return False


def _is_map(folder: Path) -> bool:
    try:
        xy = load_array(folder / "xy.npy")
    except StorageError:
        return False
    return xy.ndim == 2 and xy.shape[1] == 2


def _is_job(folder: Path) -> bool:
    try:
        return isinstance(read_json(folder / "config.json"), dict)
    except KindredError:
        return False


def _of_thumbnails(path: Path) -> Iterator[Finding]:
    if not path.exists():
        return
    try:
        db = read_only(path)
        try:
            whole = db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        finally:
            db.close()
    except sqlite3.OperationalError:  # in use, or not readable by this user: that is no damage
        return
    except sqlite3.Error:
        whole = False
    if not whole:
        yield _removed(path, f"The thumbnails are damaged. {_AGAIN}")


def _removed(place: Path, sentence: str) -> Finding:
    return Finding(place, sentence, partial(_delete, place), "is removed", size_of(place))


def _delete(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
        return
    place.unlink(missing_ok=True)
    if place.suffix == ".sqlite":
        for beside_it in ("-wal", "-shm"):
            place.with_name(place.name + beside_it).unlink(missing_ok=True)


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
