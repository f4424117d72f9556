import threading
import time

import pytest

from engine.core.errors import InputError
from engine.embeddings.prefetch import decoded_batches


def numbered(job, into):
    into[:] = job % 251


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
    def decode(job, into):
        if job % 3 == 0:
            raise InputError("no")
        numbered(job, into)

    seen = collect(10, decode)
    assert seen[0] == ([1, 2, 4], [1, 2, 4], [0, 3])
    assert seen[1] == ([5, 7, 8], [5, 7, 8], [6, 9])


def test_decoding_goes_on_while_the_caller_works_and_not_further():
    started, lock = [], threading.Lock()

    def decode(job, into):
        with lock:
            started.append(job)
        numbered(job, into)

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
    def decode(job, into):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        collect(3, decode)


@pytest.mark.parametrize(("batch_size", "threads", "calls"), [(16, 2, 2), (16, 16, 16), (20, 1, 3)])
def test_a_thread_is_handed_several_images_at_once_and_no_thread_goes_without(monkeypatch, batch_size, threads, calls):
    from engine.embeddings import prefetch

    handed = []

    class Counting(prefetch.ThreadPoolExecutor):
        def submit(self, *arguments):
            handed.append(arguments)
            return super().submit(*arguments)

    monkeypatch.setattr(prefetch, "ThreadPoolExecutor", Counting)
    assert sum(len(jobs) for jobs, _, _ in collect(batch_size, batch_size=batch_size, threads=threads)) == batch_size
    assert len(handed) == calls
