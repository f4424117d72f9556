"""Two folders of one store that a crash may leave beside it: `<key>.next`, being filled, and `<key>.old`, being left.

`finish_swap` puts a complete new folder in the old one's place; every opening of a store calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from engine.core.errors import StorageError
from engine.core.files import sync_folder
from engine.core.progress import Progress

DONE = "complete.json"


@contextmanager
def held(
    folder: Path, kind: str, refusal: StorageError, *, seconds: float = 0, waiting: Progress | None = None
) -> Iterator[None]:
    """Hold the lock `<folder>.<kind>` for the body; it ends with the process, however that ends.

    Parameters
    ----------
    folder, kind
        Name the lock.
    refusal : StorageError
        What is raised when another process holds it for longer than `seconds`.
    seconds : float
    waiting : Progress, optional
        Wait as long as it takes, and tell this listener.

    Raises
    ------
    StorageError
        `refusal`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(beside(folder, kind))
    try:
        lock.acquire(timeout=seconds)
    except Timeout as error:
        if waiting is None:
            raise refusal from error
        waiting.say("Waits for another job that embeds with the same encoder.")
        waiting.update(0, 1, phase="waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def beside(folder: Path, suffix: str) -> Path:
    """Return the path that belongs to a store but lies next to its folder."""
    return folder.with_name(f"{folder.name}.{suffix}")


def finish_swap(folder: Path) -> None:
    """Exchange the generations when a complete new one waits; called at every opening, so a crash heals itself."""
    fresh, old = beside(folder, "next"), beside(folder, "old")
    if not (fresh / DONE).exists() and not old.exists():
        return
    busy = StorageError("The embeddings are being exchanged by another process.", "Try again in a moment.")
    with held(folder, "swap", busy, seconds=30):
        if (fresh / DONE).exists():
            if folder.exists():
                _drop(old)
                folder.rename(old)
            fresh.rename(folder)
            (folder / DONE).unlink()
            sync_folder(folder.parent)
        elif old.exists() and not folder.exists():
            old.rename(folder)
        _drop(old)


def _drop(folder: Path) -> None:
    """Delete one store's folder."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
