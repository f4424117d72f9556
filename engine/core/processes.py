"""Processes: the memory that is their own, ending one with all that it started, and being asked to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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


class NotedSignal:
    """The signal that asked this process to end; 0 while there is none."""

    number = 0


@contextmanager
def noting_signals() -> Iterator[NotedSignal]:
    """Note the first SIGINT or SIGTERM instead of ending, so that work can save what it has; a second one ends it.

    Outside of the main thread Python gives no signals, and one that the process ignores stays ignored.
    """
    noted = NotedSignal()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if (handler := signal.getsignal(number)) not in (None, signal.SIG_IGN)
    }

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        noted.number = number
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        restore()
