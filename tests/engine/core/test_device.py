"""Where tensors live, and that freed memory serves again."""

from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from engine.core.device import choose_device, threads, threads_for
from engine.core.errors import InputError

PAGES_OF_A_BLOCK = """
import resource, sys
import numpy as np
from engine.core.device import choose_device

if sys.argv[1] == "kept":
    choose_device("cpu")
np.ones(12_000_000, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(12_000_000, np.float32)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


def fresh_pages(mode: str) -> int:
    """Return how many fresh pages each of ten equal blocks of 48 MB takes."""
    done = subprocess.run(
        [sys.executable, "-c", PAGES_OF_A_BLOCK, mode], capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives blocks back at once")
def test_freed_memory_serves_the_next_block():
    assert fresh_pages("kept") < 100
    assert fresh_pages("given back") > 20 * max(1, fresh_pages("kept"))


def test_a_device_that_is_not_here_is_never_replaced_silently():
    with pytest.raises(InputError, match="is not available here"):
        choose_device("tpu")


def _numbers():
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_small_steps_get_one_thread_and_large_ones_what_there_was():
    import faiss

    np.ones((2, 2)) @ np.ones((2, 2))
    before = _numbers()
    with threads_for(10) as number:
        assert number == 1 == faiss.omp_get_max_threads()
        assert set(_numbers().values()) == {1}
    assert _numbers() == before
    with threads_for(1e12) as number:
        assert number == threads() == faiss.omp_get_max_threads()
        assert _numbers() == before
