"""What every benchmark of a device needs: its flag, time that waits for the device, and what was measured on."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch

from engine.core.device import choose_device, threads

_PACKAGES = ("torch", "numpy", "faiss-gpu", "faiss-cpu", "pillow")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Declare `--device`."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")


def chosen(arguments: argparse.Namespace) -> torch.device:
    """Return the device that the flag means; refused in a sentence where it is not here."""
    return torch.device(choose_device(arguments.device))


def wait(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds(work: Callable[[], object], device: torch.device, *, repeats: int = 5) -> float:
    """Return the median wall time of some work on the device, after one call that warms it up."""
    work()
    found = []
    for _ in range(repeats):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that do the work."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine(device: torch.device) -> str:
    """Return what is measured on, such as "NVIDIA H200, 16 threads" or "x86_64, 2 threads"."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return f"{name}{', mps' if device.type == 'mps' else ''}, {threads()} threads, load {os.getloadavg()[0]:.1f}"


def print_machine(device: torch.device) -> None:
    """Print the machine and the versions as one line."""
    print(f"{machine(device)}; {', '.join(f'{name} {number}' for name, number in versions().items())}", flush=True)
