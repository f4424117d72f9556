"""The one place that decides where tensors live and how many threads work gets."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from engine.core.errors import InputError

if TYPE_CHECKING:
    import torch


_NO_GPU = "KINDRED_NO_GPU"


def without_gpu() -> dict[str, str]:
    """Return the environment of a new process that shall leave the GPU alone: no library opens it there."""
    return {_NO_GPU: "1", "CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}


@cache
def gpus() -> tuple[str, ...]:
    """Return which of "cuda" and "mps" this machine has, the faster first. Imports torch.

    The one place where a library is asked whether there is a GPU. Where `without_gpu` started this process, there is
    none and torch is not imported.
    """
    if os.environ.get(_NO_GPU):
        return ()
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return tuple(name for name, found in there.items() if found)


def best_device() -> str:
    """Return "cuda", "mps" or "cpu": the fastest that this machine has. Imports torch."""
    return (*gpus(), "cpu")[0]


@cache
def keep_freed_memory() -> None:
    """Ask glibc to keep the memory of freed tensors for the next ones; does nothing on other systems.

    By default it gives back every block above 32 MiB at once, and a network that asks for the same blocks with each
    batch spends up to half its time on fresh pages (EfficientNet-Lite0 at 224 pixels: 16 ms an image, with this 9).
    Blocks above 256 MiB, and a free end of more than 512 MiB, still go back.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(trim_threshold, 512 << 20)
    if not mallopt(mmap_threshold, 256 << 20):
        mallopt(mmap_threshold, 32 << 20)  # the most that older releases take


def likely_device(wanted: str = "auto") -> str:
    """Return what `choose_device` is going to say, without importing torch where the system shows no GPU."""
    files = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
    if wanted == "auto" and sys.platform == "linux" and not any(os.path.exists(path) for path in files):
        return "cpu"
    return "cpu" if wanted == "cpu" else choose_device(wanted)


def accelerator(wanted: str = "auto") -> str | None:
    """Return the GPU that `wanted` means here, such as "cuda" or "mps"; None where the CPU does the work.

    Neighbours, k-means and the sweep ask this, and nothing else, whether there is a GPU. Torch is imported only where
    the system shows one.

    Raises
    ------
    InputError
        When a GPU is named that is not on this machine.
    """
    device = likely_device(wanted)
    return None if device == "cpu" else device


def free_memory(device: str) -> int:
    """Return how many bytes are free on a device of torch."""
    import torch

    kind = device.split(":")[0]
    if kind == "cuda":
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    if kind == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    import psutil

    return int(psutil.virtual_memory().available)


def choose_device(wanted: str = "auto") -> str:
    """Resolve "auto", "cpu", "cuda", "cuda:1", "mps"; on the CPU, freed memory is kept from then on.

    Raises
    ------
    InputError
        When the device is not on this machine; never a silent fallback.
    """
    if wanted == "auto":
        wanted = best_device()
    kind = wanted.split(":")[0]
    if kind not in (*gpus(), "cpu"):
        raise InputError(f"The device {wanted!r} is not available here.", "Use --device auto or --device cpu.")
    if kind == "cpu":
        keep_freed_memory()
    return wanted


def device_name(wanted: str = "auto") -> str:
    """Return the one name of the device that `wanted` means here: "cuda" and, where it has a GPU, "auto" are "cuda:0".

    Raises
    ------
    InputError
        When the device is not on this machine.
    """
    name = choose_device(wanted)
    return "cuda:0" if name == "cuda" else name


Reproducible = Literal["auto", "on", "off"]


@contextmanager
def reproducible(device: torch.device, wanted: Reproducible = "auto") -> Iterator[bool]:
    """Let torch compute the same numbers from the same seed each time; yields whether it does.

    "auto" does so on a CPU and not on a GPU. What an operation has no such way for is told by torch's warning. New
    tensors are not filled, which torch does in this mode by default: nothing here reads what it has not written.
    """
    import torch

    on = wanted == "on" or (wanted == "auto" and device.type == "cpu")
    if on and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filling: Any = torch.utils.deterministic  # torch's types do not know its switch
    filled = filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(on, warn_only=True)
    filling.fill_uninitialized_memory = False
    try:
        yield on
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        filling.fill_uninitialized_memory = filled


# Multiplications that take one core about 5 ms.
_SMALL_STEP = 1e8


def threads() -> int:
    """Return how many threads this process may use: OMP_NUM_THREADS, else the cores it may run on."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(number: int | None = None) -> int:
    """Give FAISS and torch, where they are imported, and BLAS so many threads; returns how many.

    Parameters
    ----------
    number : int, optional
        What `threads` says when absent; BLAS has that from the start, by `thread_variables` or by itself.
    """
    if number is not None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(number)
    count = threads() if number is None else number
    if (faiss := sys.modules.get("faiss")) is not None:
        faiss.omp_set_num_threads(count)
    if (torch := sys.modules.get("torch")) is not None and torch.get_num_threads() != count:
        torch.set_num_threads(count)
    return count


def thread_variables(number: int) -> dict[str, str]:
    """Return the environment that gives every library of a new process so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
    return dict.fromkeys(names, str(number))


@contextmanager
def threads_for(multiplications: float) -> Iterator[int]:
    """Give a computation of many short steps one thread where each step is small, else all; yields how many.

    The threads of BLAS and FAISS wait for one another at the end of every step. On a machine that does other things
    too, k-means of 2,500 x 64 in 60 clusters took 2.5 s of processor with two threads and 0.1 s with one.

    Parameters
    ----------
    multiplications : float
        How many one step does.
    """
    import faiss
    from threadpoolctl import threadpool_limits

    small = multiplications < _SMALL_STEP
    number = 1 if small else threads()
    with threadpool_limits(1 if small else None):
        faiss.omp_set_num_threads(number)
        try:
            yield number
        finally:
            faiss.omp_set_num_threads(threads())
