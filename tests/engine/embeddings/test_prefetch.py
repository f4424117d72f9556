import threading
import time

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.embeddings.prefetch import decoded_batches


def numbered(job):
    return np.full((4, 4, 3), job % 251, dtype=np.uint8)


def collect(count, decode=numbered, **options):
    seen = []
    for batch in decoded_batches(count, decode, **({"side": 4, "batch_size": 5, "threads": 3} | options)):
        seen.append((batch.jobs.tolist(), batch.images[:, 0, 0, 0].tolist(), [job for job, _ in batch.failures]))
    return seen


@pytest.mark.parametrize("count", [0, 1, 5, 23])
def test_batches_keep_the_order(count):
    seen = collect(count)
    assert [job for jobs, _, _ in seen for job in jobs] == list(range(count))
    assert [value for _, values, _ in seen for value in values] == list(range(count))
    assert all(len(jobs) == 5 for jobs, _, _ in seen[:-1])


def test_failures_are_handed_on_and_the_others_close_up():
    def decode(job):
        if job % 3 == 0:
            raise InputError("no")
        return numbered(job)

    seen = collect(10, decode)
    assert seen[0] == ([1, 2, 4], [1, 2, 4], [0, 3])
    assert seen[1] == ([5, 7, 8], [5, 7, 8], [6, 9])


def test_decoding_goes_on_while_the_caller_works_and_not_further():
    started, lock = [], threading.Lock()

    def decode(job):
        with lock:
            started.append(job)
        return numbered(job)

    stream = decoded_batches(100, decode, side=4, batch_size=5, threads=2, ahead=2)
    next(stream)
    deadline = time.monotonic() + 5
    while len(started) < 15 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(started) == 15, "this batch and two more"
    stream.close()


def test_closing_early_ends_the_threads():
    before = threading.active_count()
    stream = decoded_batches(1000, numbered, side=4, batch_size=5, threads=4)
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_an_error_that_is_no_failure_of_an_image_comes_through():
    def decode(job):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        collect(3, decode)
