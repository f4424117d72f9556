"""Full and read-only disks, clocks that go back, caches that vanish, several programs at once: told, and whole."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from engine.core.errors import KindredError, StorageError
from engine.core.files import write_json
from engine.core.workspace import Workspace
from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.images.tables import files_of
from engine.jobs import job as jobs
from engine.jobs.tasks.data import EmbedRequest, embed_images
from engine.jobs.tasks.upkeep import DoctorRequest, check_workspace
from engine.labels.events import LabelHistory
from engine.runs.run import list_runs
from tests.seed import clustered_pictures, coloured_pictures

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def small_disk(place: Path, size: str):
    """Mount a file system of its own at `place`; the test is skipped where this user may not."""
    place.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(params=["the workspace", "the library"])
def full(request, tmp_path, monkeypatch):
    """A workspace with labels whose disk, or whose library's, can be filled to the last byte."""
    root = tmp_path / "workspace"
    place = root if request.param == "the workspace" else root / "library"
    with small_disk(place, "6m"):
        monkeypatch.setenv("KINDRED_WORKSPACE", str(root))
        workspace = Workspace.open()
        rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "photos"))
        yield workspace, rows, run, place / "filler"


def fill(filler: Path) -> None:
    with pytest.raises(OSError) as caught, filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert caught.value.errno == errno.ENOSPC


def labels(workspace, rows, run):
    return LabelHistory(workspace, rows.dataset.id).state(rows.contents, run.assignments, run=run.folder.name)


def test_on_a_full_disk_an_edit_is_refused_in_a_sentence_and_made_when_there_is_room(full):
    workspace, rows, run, filler = full
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(labels(workspace, rows, run), 0, "before")
    fill(filler)
    made, refused = 1, ""
    for step in range(2000):  # the write-ahead log may have room for a few
        try:
            history.rename(labels(workspace, rows, run), step % 3, f"name {step}")
            made += 1
        except StorageError as error:
            refused = error.sentence
            break
    assert "disk is full" in refused
    filler.unlink()
    assert len(history.events()) == made
    history.rename(labels(workspace, rows, run), 1, "after")
    assert labels(workspace, rows, run).find(1).name == "after"
    assert check_workspace(workspace, DoctorRequest()).library.findings == []


def test_on_a_full_disk_commands_end_in_a_sentence_and_go_on_later(full, tmp_path):
    workspace, rows, run, filler = full
    more = coloured_pictures(tmp_path / "more", 60)
    fill(filler)
    words = [sys.executable, "-m", "engine", "run", "--folder", str(more), "--encoder", "descriptor"]
    words += ["--method", "kmeans", "--num-clusters", "3"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert "full" in done.stderr.splitlines()[-1], done.stderr
    assert "Traceback" not in done.stderr
    filler.unlink()
    assert check_workspace(workspace, DoctorRequest()).library.findings == []
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(list_runs(workspace)) == 2


def test_a_read_only_workspace_is_told_in_a_sentence(tmp_path, monkeypatch):
    with small_disk(tmp_path / "workspace", "20m") as place:
        monkeypatch.setenv("KINDRED_WORKSPACE", str(place))
        workspace = Workspace.open()
        rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "photos"))
        history = LabelHistory(workspace, rows.dataset.id)
        before = labels(workspace, rows, run)
        from engine.core import catalog

        for path in list(catalog._watches):
            catalog._watches.pop(path).db.close()
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        with pytest.raises(StorageError, match="written|permission|read-only"):
            history.rename(before, 0, "cat")
        request = EmbedRequest(dataset=rows.dataset.id, encoder="descriptor", force=True)
        with pytest.raises(StorageError):
            embed_images(workspace, request)
        words = [sys.executable, "-m", "engine"]
        checked = subprocess.run([*words, "doctor"], capture_output=True, text=True, check=False, cwd=ROOT)
        assert (checked.returncode, "Traceback" in checked.stderr) == (0, False), checked.stderr + checked.stdout
        words += ["name", str(run.folder), "0=cat"]
        named = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
        assert named.returncode == 2 and "Traceback" not in named.stderr
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        history.rename(before, 0, "cat")


def test_a_clock_that_goes_back_changes_no_order(workspace, tmp_path, monkeypatch):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "photos"))
    history = LabelHistory(workspace, rows.dataset.id)
    now = time.time()
    for step, clock in enumerate((now, now - 86_400, now - 2 * 86_400, 0.0)):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        history.rename(labels(workspace, rows, run), 0, f"name {step}")
    assert [event.detail["labels"][0][0] for event in history.events()] == [f"name {step}" for step in range(4)]
    assert labels(workspace, rows, run).find(0).name == "name 3"
    history.undo()
    assert labels(workspace, rows, run).find(0).name == "name 2"


def test_a_job_that_was_started_in_the_future_is_not_starting_for_ever(workspace):
    folder = jobs.create(workspace.jobs, "scan", "Reading", {"dataset": {"id": "x"}})
    (folder / "started").write_text("1")
    assert jobs.status(folder).state == "starting"
    later = time.time() + 3600
    os.utime(folder / "started", (later, later))  # the clock was put back by an hour since
    assert jobs.status(folder).state == "interrupted"
    lines = [{"at": at, "phase": "scan", "done": done, "total": 9} for at, done in ((100.0, 1), (40.0, 2))]
    assert jobs._pace(lines) == (None, None)


def test_a_cache_that_is_deleted_while_it_is_filled_is_filled_the_next_time(workspace, tmp_path):
    dataset = add_folder(workspace, coloured_pictures(tmp_path / "photos", 60))
    scan(workspace, dataset.id)
    history = LabelHistory(workspace, dataset.id)
    contents = np.array([file.content for file in files_of(workspace, dataset.id)], "S16")
    history.label(history.state(contents, np.full(60, -1, np.int32), run=""), np.arange(60), "kept")
    stop = threading.Event()

    def delete():
        while not stop.wait(0.02):
            shutil.rmtree(workspace.cache, ignore_errors=True)

    request = EmbedRequest(dataset=dataset.id, encoder="descriptor", force=True)
    thread = threading.Thread(target=delete)
    thread.start()
    try:
        for _ in range(5):
            try:
                embed_images(workspace, request)
                scan(workspace, dataset.id)
            except KindredError as error:
                assert error.sentence.endswith(".")
    finally:
        stop.set()
        thread.join()
    shutil.rmtree(workspace.cache, ignore_errors=True)
    assert len(embed_images(Workspace.open(), request)) == 60
    assert len(history.events()) == 1
    assert check_workspace(workspace, DoctorRequest()).left == []


WRITER = """
import sys
from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from engine.runs.rows import align, rows_of_run
from engine.runs.run import list_runs
workspace = Workspace.open()
run = list_runs(workspace)[0]
rows = rows_of_run(workspace, run)
history = LabelHistory(workspace, rows.dataset.id)
for step in range(25):
    state = history.state(rows.contents, align(run, rows)[0], run=run.folder.name)
    history.rename(state, step % 3, f"{sys.argv[1]} {step}")
"""


def test_two_apps_and_the_command_line_work_on_one_workspace_at_once(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "photos"))
    more = coloured_pictures(tmp_path / "more", 40)
    engine = [sys.executable, "-m", "engine"]
    orders = [
        [sys.executable, "-c", WRITER, "first"],
        [sys.executable, "-c", WRITER, "second"],
        [*engine, "embed", "--folder", str(more), "--encoder", "descriptor"],
        [*engine, "embed", "--folder", str(more), "--encoder", "descriptor"],
        [*engine, "export", str(run.folder), "--format", "csv", "--output", str(tmp_path / "labels.csv")],
        [*engine, "doctor"],
    ]
    running = [
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for words in orders
    ]
    for words, process in zip(orders, running, strict=True):
        _, said = process.communicate(timeout=250)
        assert process.returncode == 0, (words, said)
    events = LabelHistory(workspace, rows.dataset.id).events()
    assert len(events) == 50
    for name in ("first", "second"):
        mine = [event.detail["labels"][0][0] for event in events if event.detail["labels"][0][0].startswith(name)]
        assert mine == [f"{name} {step}" for step in range(25)]
    assert check_workspace(workspace, DoctorRequest()).left == []


def test_a_file_that_the_disk_does_not_take_is_one_sentence(tmp_path):
    """RLIMIT_FSIZE is what a disk says that takes no file of this size."""
    code = (
        "import resource, sys, pathlib\n"
        "from engine.core.files import write_json\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_json(pathlib.Path(sys.argv[1]), ['x' * 1000])\n"
    )
    target = tmp_path / "kept.json"
    write_json(target, ["old"])
    words = [sys.executable, "-c", code, str(target)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert "StorageError" in done.stderr.splitlines()[-1], done.stderr
    assert "kept.json" in done.stderr.splitlines()[-1]
    assert target.read_text() == '[\n  "old"\n]\n'
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
