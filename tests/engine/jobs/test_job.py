"""Jobs are processes: state is read off the folder, cancel ends one, a kill shows as interrupted, resume goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from engine.core.errors import InputError, StorageError
from engine.images.datasets import add_folder
from engine.images.tables import files_of
from engine.jobs import job as jobs
from engine.jobs.runner import FileProgress


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


COUNT = 300


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        Image.new("RGB", (300, 200), (number % 256, number // 2, 90)).save(folder / f"{number:04d}.bmp")
    return folder


def scan_job(workspace, photos):
    dataset = add_folder(workspace, photos)
    folder = jobs.create(workspace.jobs, "scan", "Reading", {"dataset": {"id": dataset.id}})
    return dataset, folder


def test_a_job_ends_done_with_its_result(workspace, photos):
    dataset, folder = scan_job(workspace, photos)
    jobs.start(workspace, folder)
    wait_for(lambda: not jobs.status(folder).active)
    status = jobs.status(folder)
    assert (status.state, status.result["readable"]) == ("done", COUNT)
    assert jobs.list_jobs(workspace)[0].folder == folder
    assert len(files_of(workspace, dataset.id)) == COUNT


def test_a_killed_job_shows_as_interrupted_and_resumes(workspace, photos):
    dataset, folder = scan_job(workspace, photos)
    jobs.start(workspace, folder)
    wait_for(lambda: (folder / "pid").exists() and jobs.status(folder).state == "running")
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    wait_for(lambda: not jobs.is_locked(folder))
    assert jobs.status(folder).state == "interrupted"
    jobs.start(workspace, folder)
    wait_for(lambda: jobs.status(folder).state == "done")
    assert len(files_of(workspace, dataset.id)) == COUNT


def test_cancel_ends_the_process_and_says_so(workspace, photos):
    _, folder = scan_job(workspace, photos)
    jobs.start(workspace, folder)
    wait_for(lambda: jobs.status(folder).state == "running")
    jobs.cancel(folder)
    assert jobs.status(folder).state == "cancelled"
    assert not jobs.is_locked(folder)


SLOW_TO_END = """
import os, pathlib, signal, sys, time
from filelock import FileLock
folder = pathlib.Path(sys.argv[1])
def save(number, frame):
    time.sleep(4)
    (folder / "saved").touch()
    os._exit(143)
signal.signal(signal.SIGTERM, save)
with FileLock(folder / "lock"):
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(100)
"""


def test_a_cancelled_training_has_time_to_save_and_can_be_resumed_at_once(workspace, photos):
    _, folder = scan_job(workspace, photos)
    subprocess.Popen([sys.executable, "-c", SLOW_TO_END, str(folder)], start_new_session=True)
    wait_for((folder / "pid").exists)
    jobs.cancel(folder)
    assert jobs.status(folder).state == "cancelled"
    assert jobs.is_locked(folder) and not (folder / "saved").exists()
    jobs.start(workspace, folder)
    wait_for(lambda: jobs.status(folder).state == "done")
    assert (folder / "saved").exists()


def test_a_cancelled_job_that_does_not_end_by_itself_is_ended_by_force(workspace, photos, monkeypatch):
    monkeypatch.setattr(jobs, "SAVING", 2.5)
    _, folder = scan_job(workspace, photos)
    process = subprocess.Popen([sys.executable, "-c", SLOW_TO_END.replace("sleep(4)", "sleep(100)"), str(folder)])
    wait_for((folder / "pid").exists)
    jobs.cancel(folder)
    assert process.wait(timeout=60) == -signal.SIGKILL


def test_a_job_cancelled_before_it_begins_never_runs_and_can_be_started_again(workspace, photos):
    dataset, folder = scan_job(workspace, photos)
    jobs.start(workspace, folder)
    jobs.start(workspace, folder)  # a second click changes nothing
    started = int((folder / "started").read_text())
    assert jobs.status(folder).state == "starting"
    jobs.cancel(folder)
    assert os.waitpid(started, 0)[1] == signal.SIGTERM
    assert jobs.status(folder).state == "cancelled"
    assert files_of(workspace, dataset.id) == []
    jobs.start(workspace, folder)
    wait_for(lambda: jobs.status(folder).state == "done")


def test_a_failure_is_one_sentence_and_the_next_step(workspace):
    folder = jobs.create(workspace.jobs, "scan", "Reading", {"dataset": {"id": "gone"}})
    done = subprocess.run([sys.executable, "-m", "engine", "job", str(folder)], capture_output=True, check=False)
    status = jobs.status(folder)
    assert (done.returncode, status.state) == (2, "failed")
    assert "gone" in status.sentence
    assert "Traceback" in status.detail
    assert "Traceback" not in status.sentence


def test_two_processes_never_run_the_same_job(workspace, photos):
    _, folder = scan_job(workspace, photos)
    with jobs.holding(folder / "lock", timeout=0):
        with pytest.raises(StorageError, match="running already"), jobs.holding(folder / "lock", timeout=0.05):
            pass
        assert jobs.is_locked(folder)
    assert not jobs.is_locked(folder)


def test_a_torn_last_progress_line_is_left_out(workspace):
    folder = jobs.create(workspace.jobs, "scan", "Reading", {})
    progress = FileProgress(folder)
    progress.update(1, 4, phase="embedding", unit="images", loss=0.5)
    progress.say("Half a batch at a time.")
    with (folder / "progress.jsonl").open("ab") as file:
        file.write(b'{"at": 1.0, "phase": "embe')
    status = jobs.status(folder)
    assert (status.done, status.total, status.metrics, status.notes) == (
        1,
        4,
        {"loss": 0.5},
        ["Half a batch at a time."],
    )


def test_rate_and_time_left_come_from_the_current_phase(workspace):
    lines = [
        {"at": 0.0, "phase": "scan", "done": 0, "total": 9},
        {"at": 100.0, "phase": "embedding", "done": 10, "total": 110},
        {"at": 110.0, "phase": "embedding", "done": 60, "total": 110},
    ]
    assert jobs._pace(lines) == (5.0, 10.0)
    assert jobs._pace(lines[:1]) == (None, None)
    resumed = [
        *lines,
        {"at": 90_000.0, "phase": "begin", "done": 0, "total": 1},
        {"at": 90_001.0, "phase": "embedding", "done": 0, "total": 50},
        {"at": 90_002.0, "phase": "embedding", "done": 10, "total": 50},
    ]
    assert jobs._pace(resumed) == (10.0, 4.0)  # the night between two starts does not count


def test_a_folder_without_a_job_is_told(tmp_path):
    with pytest.raises(InputError, match=r"config\.json"):
        jobs.status(tmp_path)


def test_the_warm_worker_is_started_once_and_a_while_after_it_was_asked_for(workspace, monkeypatch):
    spare, started = jobs._Spare(), []
    monkeypatch.setattr(jobs, "_SOON", 0.2)
    monkeypatch.setattr(spare, "prepare", started.append)
    spare.prepare_soon(workspace)
    spare.prepare_soon(workspace)
    assert started == []
    spare.timer.join(timeout=60)
    assert started == [workspace]


def test_the_warm_worker_takes_the_next_job(workspace, photos, monkeypatch):
    _, folder = scan_job(workspace, photos)
    spare = jobs._Spare()
    monkeypatch.setattr(jobs, "_SOON", 0.2)
    spare.prepare(workspace)
    waiting = spare.process
    assert spare.take(workspace, folder)
    wait_for(lambda: jobs.status(folder).state == "done", seconds=120)
    assert int((folder / "pid").read_text()) == waiting.pid
    spare.timer.join(timeout=60)  # the next one begins a while later, so that it takes no processor from the job
    assert spare.process.pid != waiting.pid
    spare.process.stdin.close()
    assert spare.process.wait(timeout=60) == 0
