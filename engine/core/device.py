"""The one place that decides where tensors live and how many threads work gets."""

from __future__ import annotations

import os
from functools import cache

from engine.core.errors import InputError


@cache
def best_device() -> str:
    """Return "cuda", "mps" or "cpu": the fastest that this machine has. Imports torch."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_device(wanted: str = "auto") -> str:
    """Resolve "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises
    ------
    InputError
        When the device is not on this machine; never a silent fallback.
    """
    if wanted == "auto":
        return best_device()
    import torch

    kind = wanted.split(":")[0]
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(kind, False):
        raise InputError(f"The device {wanted!r} is not available here.", "Use --device auto or --device cpu.")
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


def gpu_count() -> int:
    """Return the number of GPUs that FAISS can use; faiss-gpu also imports where there is none."""
    import faiss

    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def threads() -> int:
    """Return how many threads this process may use: OMP_NUM_THREADS, else the cores it may run on."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
