"""Two writers, kill -9, a locked catalog and a full disk: nothing lost, nothing half-written, all told."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import engine.core.catalog
from engine.core.errors import StorageError
from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory

from .conftest import make_contents

ROOT = Path(__file__).resolve().parents[3]
WRITER = """
import sys
import numpy as np
from engine.labels.events import LabelHistory
from engine.core.workspace import Workspace
history = LabelHistory(Workspace.open(sys.argv[1]), "photos")
contents = np.frombuffer(bytes.fromhex(sys.argv[2]), "S16")
base = np.arange(len(contents)) % 3
for step in range(int(sys.argv[3])):
    event = history.rename(history.state(contents, base, run="a"), step % 3, f"{sys.argv[4]} {step}")
    print(event.id, event.before, flush=True)
"""


def writer(history, contents, steps, name):
    arguments = [str(history.catalog.parent.parent), contents.tobytes().hex(), str(steps), name]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ
    )


def test_kill_between_edits_loses_nothing(history, contents):
    process = writer(history, contents, 100_000, "w")
    told = [int(process.stdout.readline().split()[0]) for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    told += [int(line.split()[0]) for line in process.stdout.read().splitlines() if len(line.split()) == 2]
    process.wait()
    kept = [event.id for event in history.events()]
    assert kept[: len(told)] == told
    assert len(kept) <= len(told) + 1, "at most one was saved and not told"
    state = history.state(contents, np.arange(12) % 3, run="a")
    assert state.labels[(len(kept) - 1) % 3] == f"w {len(kept) - 1}"
    with sqlite3.connect(history.catalog) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_two_processes_interleave_and_each_sees_that_the_other_wrote(history, contents):
    processes = [writer(history, contents, 30, name) for name in ("left", "right")]
    lines = [line for process in processes for line in process.communicate(timeout=60)[0].splitlines()]
    assert all(process.returncode == 0 for process in processes)
    pairs = sorted(tuple(map(int, line.split())) for line in lines)
    assert len(pairs) == 60
    assert [before for _, before in pairs] == [0] + [written for written, _ in pairs][:-1]
    events = history.events()
    last = {event.detail["clusters"][0]: event.detail["labels"][0][0] for event in events}
    state = history.state(contents, np.arange(12) % 3, run="a")
    assert {cluster.id: cluster.name for cluster in state.clusters} == last


def test_threads_sharing_one_history(history):
    contents = make_contents(40)
    base = np.arange(40) % 4

    def work(cluster):
        for step in range(10):
            history.rename(history.state(contents, base, run="a"), cluster, f"{cluster} {step}")

    threads = [threading.Thread(target=work, args=(cluster,)) for cluster in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = history.state(contents, base, run="a")
    assert [cluster.name for cluster in state.clusters] == [f"{cluster} 9" for cluster in range(4)]
    assert len(history.events()) == 40


def test_a_view_knows_that_another_window_wrote(workspace, history, contents, base):
    other = LabelHistory(workspace, history.dataset)
    view = history.state(contents, base, run="a")
    other.rename(other.state(contents, base, run="a"), 1, "dog")
    assert history.version() != view.version
    event = history.rename(view, 0, "cat")
    assert event.before != view.version
    assert history.state(contents, base, run="a").labels[4] == "dog"


def test_a_locked_catalog_is_told_and_the_edit_can_be_repeated(history, contents, base, monkeypatch):
    history.rename(history.state(contents, base, run="a"), 0, "cat")
    view = history.state(contents, base, run="a")
    connect = sqlite3.connect
    monkeypatch.setattr(
        engine.core.catalog.sqlite3, "connect", lambda path, **more: connect(path, **more | {"timeout": 0.1})
    )
    holder = connect(history.catalog, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="in use by another process"):
        history.rename(view, 1, "dog")
    assert history.state(contents, base, run="a").same(view), "reading goes on"
    holder.execute("ROLLBACK")
    holder.close()
    history.rename(view, 1, "dog")
    assert history.state(contents, base, run="a").find(1).name == "dog"


def test_a_full_disk_is_told_and_nothing_is_half_written(history, monkeypatch):
    contents = make_contents(20_000)
    base = np.zeros(20_000, np.int32)
    before = history.state(contents, base, run="a")
    connect = engine.core.catalog.connect

    def nearly_full(path):
        db = connect(path)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 4}")
        return db

    monkeypatch.setattr(engine.core.catalog, "connect", nearly_full)
    with pytest.raises(StorageError, match="disk is full"):
        history.rename(before, 0, "cat")
    assert history.version() == 0
    assert history.state(contents, base, run="a").same(before)
    monkeypatch.setattr(engine.core.catalog, "connect", connect)
    history.rename(before, 0, "cat")
    assert history.state(contents, base, run="a").find(0).name == "cat"


def test_a_read_only_library_is_told(history, contents, base):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    view = history.state(contents, base, run="a")
    history.catalog.chmod(0o444)
    history.catalog.parent.chmod(0o555)
    try:
        with pytest.raises(StorageError):
            history.rename(view, 0, "cat")
    finally:
        history.catalog.parent.chmod(0o755)
        history.catalog.chmod(0o644)


def test_the_history_survives_a_restart(workspace, history, contents, base):
    history.rename(history.state(contents, base, run="a"), 0, "cat")
    reopened = LabelHistory(Workspace.open(workspace.root), history.dataset)
    assert reopened.state(contents, base, run="a").labels[0] == "cat"


def test_a_library_that_cannot_be_opened_is_told(workspace, history):
    place = workspace.root / "not a folder"
    place.write_text("")
    with pytest.raises(StorageError, match="cannot be opened"):
        LabelHistory(Workspace(place), history.dataset).version()
    catalog = workspace.catalog
    catalog.rename(catalog.with_name("away"))
    catalog.mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        history.version()
