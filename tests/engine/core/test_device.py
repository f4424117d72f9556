"""Where tensors live, and that freed memory serves again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from engine.core import device as devices
from engine.core.device import choose_device, reproducible, thread_variables, threads, threads_for
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


def test_one_answer_decides_what_auto_means_and_what_may_be_named(monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: ("mps",))
    assert (devices.best_device(), choose_device("auto"), choose_device("cpu")) == ("mps", "mps", "cpu")
    with pytest.raises(InputError, match="'cuda:1' is not available here"):
        choose_device("cuda:1")
    monkeypatch.setattr(devices, "gpus", tuple)
    assert devices.best_device() == "cpu"


def test_one_call_sets_the_threads_of_faiss_torch_and_blas():
    code = (
        "import faiss, numpy, torch\nfrom threadpoolctl import threadpool_info\n"
        "from engine.core.device import use_threads\n"
        "print(use_threads(3), faiss.omp_get_max_threads(), torch.get_num_threads(), "
        "{pool['num_threads'] for pool in threadpool_info()})\n"
        "print(use_threads(), faiss.omp_get_max_threads(), torch.get_num_threads())"
    )
    environment = os.environ | thread_variables(2)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["3 3 3 {3}", "2 2 2"]


def test_threads_are_set_without_importing_a_library():
    code = (
        "import sys\nfrom engine.core.device import use_threads\nuse_threads()\n"
        "print({'torch', 'faiss'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("kind", "wanted", "expected"),
    [
        ("cpu", "auto", True),
        ("cuda", "auto", False),
        ("cuda", "on", True),
        ("mps", "auto", False),
        ("cpu", "off", False),
    ],
)
def test_results_are_reproducible_on_a_cpu_and_where_it_is_asked_for(kind, wanted, expected, monkeypatch):
    import torch

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "as it was")
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    with reproducible(torch.device(kind), wanted) as on:
        assert on == expected == torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert (torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory) == before
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == "as it was"
