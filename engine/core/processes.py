"""Other processes: the memory that is their own, and ending one together with all that it started."""

from __future__ import annotations

import psutil


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started, itself first; empty when it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def own_memory_mb(pid: int) -> float:
    """Return the MiB of memory that a process tree has for itself, mapped files left out; 0 when it is gone.

    Where a system does not tell mapped files apart (macOS, Windows) they are counted.
    """
    total = 0
    for process in process_tree(pid):
        try:
            memory = process.memory_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += memory.rss - getattr(memory, "shared", 0)
    return total / 2**20


def end_process_tree(pid: int, *, timeout: float = 5.0) -> None:
    """Kill a process and all that it started, and wait up to `timeout` seconds until they are gone."""
    tree = process_tree(pid)
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree, timeout=timeout)
