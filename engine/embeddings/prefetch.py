"""Decoding ahead of the device: threads fill the next batches while the encoder works on this one.

Batches keep the order of the jobs. At most three are in memory; each is one uint8 array that the threads
write into, and the array is used again for a later batch, so nothing is copied twice. A thread is handed several images
at once: one hand-over per file would cost as much as a small image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import KindredError

Pixels = NDArray[np.uint8]
HANDFUL = 8  # images handed to a thread at once, where a batch has enough of them for all threads


@dataclass(frozen=True)
class Batch:
    """A decoded batch.

    Attributes
    ----------
    jobs : (m,) int64
        Which jobs the images are, ascending.
    images : (m, side, side, 3) uint8
        Valid until the next batch is asked for.
    failures : list of (job, KindredError)
        Jobs of this stretch that could not be decoded.
    """

    jobs: NDArray[np.int64]
    images: Pixels
    failures: list[tuple[int, KindredError]]


def decoded_batches(
    count: int,
    decode: Callable[[int, Pixels], None],
    *,
    side: int,
    batch_size: int,
    threads: int,
    ahead: int = 2,
    pinned: bool = False,
) -> Generator[Batch, None, None]:
    """Yield batches of decoded images.

    Parameters
    ----------
    count : int
        Number of jobs; `decode` is called with 0..count-1.
    decode : callable
        Writes the image of a job into (side, side, 3) uint8 or raises a `KindredError`; runs in a thread.
    side, batch_size : int
    threads : int
        How many images are decoded at once.
    ahead : int
        Batches that are decoded while the caller works on the current one.
    pinned : bool
        Keep batches in memory that CUDA copies from while it computes.
    """
    spare = [_buffer((min(batch_size, count), side, side, 3), pinned) for _ in range(ahead + 1)]
    handful = max(1, min(HANDFUL, batch_size // threads))

    def fill(target: Pixels, slots: range, start: int) -> list[KindredError | None]:
        return [fill_one(target[slot], start + slot) for slot in slots]

    def fill_one(into: Pixels, job: int) -> KindredError | None:
        try:
            decode(job, into)
        except KindredError as error:
            return error
        return None

    Waiting = tuple[int, Pixels, list[Future[list[KindredError | None]]]]
    waiting: deque[Waiting] = deque()
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode")
    try:
        starts = iter(range(0, count, batch_size))
        while True:
            while spare and (start := next(starts, None)) is not None:
                target = spare.pop()
                size = min(batch_size, count - start)
                parts = [range(at, min(at + handful, size)) for at in range(0, size, handful)]
                waiting.append((start, target, [pool.submit(fill, target, part, start) for part in parts]))
            if not waiting:
                return
            start, target, futures = waiting.popleft()
            outcomes = [outcome for future in futures for outcome in future.result()]
            yield _collect(start, target, outcomes)
            spare.append(target)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _buffer(shape: tuple[int, ...], pinned: bool) -> Pixels:
    if not pinned:
        return np.empty(shape, dtype=np.uint8)
    import torch

    found: Pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy()
    return found


def _collect(start: int, target: Pixels, outcomes: list[KindredError | None]) -> Batch:
    good = np.array([outcome is None for outcome in outcomes], dtype=bool)
    jobs = start + np.flatnonzero(good)
    images = target[: len(outcomes)]
    failures = [(start + slot, outcome) for slot, outcome in enumerate(outcomes) if outcome is not None]
    return Batch(jobs.astype(np.int64), images if good.all() else images[good], failures)
