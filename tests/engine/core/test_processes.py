"""Other processes: their own memory, and ending one with all that it started."""

import os
import subprocess
import sys

import psutil

from engine.core.processes import end_process_tree, own_memory_mb, process_tree

GONE = 2**22 - 1
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"


def start_pair(child: str) -> tuple[subprocess.Popen, int]:
    """Start a process that starts another, which says when it is ready; return the first and the other's id."""
    code = PARENT.format(child=child)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return parent, int(parent.stdout.readline())


def test_memory_counts_what_a_process_has_for_itself_with_what_it_started():
    assert 5 < own_memory_mb(os.getpid()) < 100_000
    assert own_memory_mb(GONE) == 0
    child = "import os, time; held = b'x' * 2**28; print(os.getpid(), flush=True); time.sleep(600)"
    parent, _ = start_pair(child)
    try:
        assert 256 < own_memory_mb(parent.pid) < 512
    finally:
        end_process_tree(parent.pid)
        parent.communicate()


def test_ending_a_process_ends_what_it_started():
    parent, child = start_pair("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    assert [process.pid for process in process_tree(parent.pid)] == [parent.pid, child]
    end_process_tree(parent.pid)
    parent.communicate()
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert process_tree(parent.pid) == []
    end_process_tree(GONE)
