"""Decoding ahead of the device: threads fill the next batches while the encoder works on this one.

Batches keep the order of the jobs. At most three are in memory; each is one uint8 array that the threads
write into, and the array is used again for a later batch, so nothing is copied twice.
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
    count: int, decode: Callable[[int], Pixels], *, side: int, batch_size: int, threads: int, ahead: int = 2
) -> Generator[Batch, None, None]:
    """Yield batches of decoded images.

    Parameters
    ----------
    count : int
        Number of jobs; `decode` is called with 0..count-1.
    decode : callable
        Returns the (side, side, 3) uint8 image of a job or raises a `KindredError`; runs in a thread.
    side, batch_size : int
    threads : int
        How many images are decoded at once.
    ahead : int
        Batches that are decoded while the caller works on the current one.
    """
    spare = [np.empty((min(batch_size, count), side, side, 3), dtype=np.uint8) for _ in range(ahead + 1)]

    def fill(target: Pixels, slot: int, job: int) -> KindredError | None:
        try:
            target[slot] = decode(job)
        except KindredError as error:
            return error
        return None

    Waiting = tuple[int, Pixels, list[Future[KindredError | None]]]
    waiting: deque[Waiting] = deque()
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode")
    try:
        starts = iter(range(0, count, batch_size))
        while True:
            while spare and (start := next(starts, None)) is not None:
                target = spare.pop()
                size = min(batch_size, count - start)
                waiting.append((start, target, [pool.submit(fill, target, slot, start + slot) for slot in range(size)]))
            if not waiting:
                return
            start, target, futures = waiting.popleft()
            outcomes = [future.result() for future in futures]
            yield _collect(start, target, outcomes)
            spare.append(target)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _collect(start: int, target: Pixels, outcomes: list[KindredError | None]) -> Batch:
    good = np.array([outcome is None for outcome in outcomes], dtype=bool)
    jobs = start + np.flatnonzero(good)
    images = target[: len(outcomes)]
    failures = [(start + slot, outcome) for slot, outcome in enumerate(outcomes) if outcome is not None]
    return Batch(jobs.astype(np.int64), images if good.all() else images[good], failures)
