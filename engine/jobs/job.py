"""Work outside the page: a job is a process that reads a folder, appends progress and writes results.

A job's folder holds config.json (what to do), progress.jsonl (how far), outcome.json (how it ended),
lock (held while it runs), started and pid (its process) and log.txt. There is no scheduler: jobs that compute
wait on one file lock for each device, named as it really is ("auto" is one of the others), "running" means that the
folder's lock is held, and so a dead job shows itself as interrupted. A refresh, a closed browser or a crash of the
page loses nothing; cancel ends the process; resume starts the same folder again and goes on from what is on disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
from filelock import FileLock, Timeout

from engine.core.errors import InputError, StorageError
from engine.core.files import read_json, write_json
from engine.core.workspace import PROGRAM, Workspace
from engine.jobs.tasks.registry import verb_name

State = Literal["starting", "waiting", "running", "done", "failed", "cancelled", "interrupted"]
ACTIVE: tuple[State, ...] = ("starting", "waiting", "running")
_SOON = 5.0  # seconds until the app starts the worker that waits for a job
SAVING = 15.0  # seconds that a job which was asked to end has to save what it trained
_GRACE = 20.0  # seconds a new process has to take its lock before it counts as dead


@dataclass(frozen=True)
class JobStatus:
    """A job as a page sees it.

    Attributes
    ----------
    state : State
        Read off the folder, never remembered.
    phase, done, total, unit
        The newest progress line.
    rate, seconds_left : float or None
        Units per second over the phase and the time that is left at that rate.
    metrics : dict
        The newest losses or rates, by name.
    notes : list of str
        Sentences the work said.
    sentence, hint, detail : str
        Why it failed, when it did.
    """

    folder: Path
    task: str
    title: str
    state: State
    created: float
    phase: str = ""
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    rate: float | None = None
    seconds_left: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sentence: str = ""
    hint: str = ""
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether a process works on it or waits to."""
        return self.state in ACTIVE

    @property
    def fraction(self) -> float:
        """How far the current phase is, in [0, 1]."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total else 0.0


def create(parent: Path, task: str, title: str, config: dict[str, Any]) -> Path:
    """Make a job's folder with its config.json; nothing runs yet."""
    folder = parent / f"{task}_{time.strftime('%Y%m%d-%H%M%S')}_{uuid.uuid4().hex[:6]}"
    folder.mkdir(parents=True, exist_ok=False)
    configure(folder, task, title, config)
    return folder


def configure(folder: Path, task: str, title: str, config: dict[str, Any]) -> None:
    """Write into an existing folder what its job shall do."""
    write_json(folder / "config.json", {"task": task, "title": title, "created": time.time()} | config)


def start(workspace: Workspace, folder: Path) -> None:
    """Run the job in a process of its own session; a warm worker takes it when one waits."""
    if _starting(folder) or (is_locked(folder) and not _is_ending(folder)):
        return
    for ended in ("outcome.json", "stop", "pid", "dismissed"):
        (folder / ended).unlink(missing_ok=True)
    process = _SPARE.take(workspace, folder) or _spawn(
        workspace, [str(folder)], folder / "log.txt", stdin=subprocess.DEVNULL
    )
    (folder / "started").write_text(str(process.pid))


def _spawn(workspace: Workspace, arguments: list[str], log: Path, *, stdin: int) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "engine", "job", *arguments],
            cwd=PROGRAM,
            env=os.environ | {"KINDRED_WORKSPACE": str(workspace.root)},
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class _Spare:
    """One worker that waits with torch imported, so that a job begins at once."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.root: Path | None = None
        self.timer: threading.Timer | None = None

    def _waits(self, workspace: Workspace) -> bool:
        return self.process is not None and self.process.poll() is None and self.root == workspace.root

    def prepare_soon(self, workspace: Workspace) -> None:
        """Start a waiting worker in some seconds: its imports would take a processor from what begins now."""
        if self._waits(workspace) or (self.timer is not None and self.timer.is_alive()):
            return
        self.timer = threading.Timer(_SOON, self.prepare, (workspace,))
        self.timer.daemon = True
        self.timer.start()

    def prepare(self, workspace: Workspace) -> None:
        """Start a waiting worker unless one waits already; it ends when this process ends."""
        if self._waits(workspace):
            return
        self.process = _spawn(workspace, ["--wait"], workspace.jobs / "warm-worker.log", stdin=subprocess.PIPE)
        self.root = workspace.root

    def take(self, workspace: Workspace, folder: Path) -> subprocess.Popen[bytes] | None:
        """Hand `folder` to the waiting worker and return it; None when none waits."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None or process.stdin is None or self.root != workspace.root:
            return None
        try:
            process.stdin.write(os.fsencode(folder) + b"\n")
            process.stdin.close()
        except OSError:
            return None
        self.prepare_soon(workspace)
        return process


_SPARE = _Spare()
prepare_worker = _SPARE.prepare_soon


def is_locked(folder: Path) -> bool:
    """Return whether a living process holds the job's lock."""
    lock = FileLock(folder / "lock")
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


@contextlib.contextmanager
def holding(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold a file lock; it is released when the process ends, however it ends.

    Raises
    ------
    StorageError
        Another process keeps it longer than `timeout` seconds (-1 waits for ever).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path).acquire(timeout=timeout):
            yield
    except Timeout as error:
        raise StorageError("This job is running already.", "Wait for it, or cancel it first.") from error


def cancel(folder: Path) -> None:
    """End the job's process and everything it started; what is on disk stays for a resume.

    Returns after two seconds at the latest: a training that still saves its last step then has until `SAVING`.
    """
    if is_locked(folder) or _starting(folder):
        _end_tree(_process(folder))
    if not (folder / "outcome.json").exists():
        write_json(folder / "outcome.json", {"state": "cancelled", "ended": time.time()})


def _is_ending(folder: Path) -> bool:
    """Return whether the job was cancelled; where its lock is held, its process is saving what it has."""
    with contextlib.suppress(StorageError):
        return bool(read_json(folder / "outcome.json").get("state") == "cancelled")
    return False


def _end_tree(pid: int) -> None:
    """Ask a process and all that it started to end, also what put itself into a session of its own; then force it."""
    if pid <= 1:
        return
    tree: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.terminate()
    if not _gone(tree, 2.0):
        threading.Thread(target=_force, args=(tree, SAVING - 2.0), daemon=True).start()


def _gone(tree: list[psutil.Process], seconds: float) -> bool:
    """Return whether all have ended within so many seconds."""
    deadline = time.monotonic() + seconds
    while any(_is_alive(process) for process in tree):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _force(tree: list[psutil.Process], seconds: float) -> None:
    """Kill what has not ended by itself within so many seconds."""
    if not _gone(tree, seconds):
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.kill()


def _is_alive(process: psutil.Process) -> bool:
    """Return whether a process still runs; one that ended and that nobody asked about yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _process(folder: Path) -> int:
    """Return the process that works on the job or was started for it; 0 where that is not known."""
    for name in ("pid", "started"):
        with contextlib.suppress(OSError, ValueError):
            return int((folder / name).read_text())
    return 0


def _starting(folder: Path) -> bool:
    """Return whether a process was started a moment ago and has not begun yet."""
    if (folder / "pid").exists() or (folder / "outcome.json").exists():
        return False
    with contextlib.suppress(OSError):
        return abs(time.time() - (folder / "started").stat().st_mtime) < _GRACE  # a clock may have been put back
    return False


def dismiss(folder: Path) -> None:
    """Note that a person has seen how the job ended and does not want to be told again; a new start forgets it."""
    (folder / "dismissed").touch()


def is_dismissed(folder: Path) -> bool:
    """Return whether a person does not want to be told again how the job ended."""
    return (folder / "dismissed").exists()


def request_stop(folder: Path) -> None:
    """Ask the job to end early and keep what it has."""
    (folder / "stop").touch()


def status(folder: Path) -> JobStatus:
    """Read a job's state off its folder.

    Raises
    ------
    InputError
        When the folder holds no job.
    """
    if not (folder / "config.json").exists():
        raise InputError(f"{folder} holds no job: config.json is missing.")
    config = read_json(folder / "config.json")
    outcome = read_json(folder / "outcome.json") if (folder / "outcome.json").exists() else {}
    lines = read_progress(folder)
    updates = [line for line in lines if "done" in line]
    last = updates[-1] if updates else {}
    state: State = outcome.get("state") or _living_state(folder, lines)
    rate, left = _pace(updates)
    return JobStatus(
        folder=folder,
        task=verb_name(config.get("task", "cluster")),
        title=config.get("title") or folder.name,
        state=state,
        created=float(config.get("created") or folder.stat().st_mtime),
        phase=last.get("phase", ""),
        done=last.get("done", 0.0),
        total=last.get("total", 0.0),
        unit=last.get("unit", ""),
        rate=rate,
        seconds_left=left if state == "running" else None,
        metrics=last.get("metrics", {}),
        notes=[line["say"] for line in lines if "say" in line],
        sentence=outcome.get("sentence", ""),
        hint=outcome.get("hint", ""),
        detail=outcome.get("detail", ""),
        result=outcome.get("result", {}),
        config=config,
    )


def _living_state(folder: Path, lines: list[dict[str, Any]]) -> State:
    if is_locked(folder):
        return "waiting" if lines and lines[-1].get("phase") == "waiting" else "running"
    return "starting" if _starting(folder) else "interrupted"


def _pace(updates: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """Return units per second and seconds left, from the lines of the current phase since the last start."""
    if not updates:
        return None, None
    begun = max((at for at, line in enumerate(updates) if line.get("phase") == "begin"), default=0)
    phase = [line for line in updates[begun:] if line.get("phase") == updates[-1].get("phase")]
    first, last = phase[0], phase[-1]
    seconds, units = last["at"] - first["at"], last["done"] - first["done"]
    if seconds <= 0 or units <= 0:
        return None, None
    rate = units / seconds
    return rate, max(0.0, (last["total"] - last["done"]) / rate)


def read_progress(folder: Path) -> list[dict[str, Any]]:
    """Return the progress lines since the last start; a torn last line is left out."""
    try:
        text = (folder / "progress.jsonl").read_bytes()
    except FileNotFoundError:
        return []
    lines: list[dict[str, Any]] = []
    for raw in text.splitlines():
        with contextlib.suppress(ValueError):
            line = json.loads(raw)
            if line.get("phase") == "begin":
                lines = [kept for kept in lines if "metrics" in kept]
            lines.append(line)
    return lines


_ENDED: dict[Path, tuple[float, JobStatus]] = {}  # jobs that ended do not change until they are started again


def _kept_status(folder: Path) -> JobStatus:
    outcome = folder / "outcome.json"
    ended = outcome.stat().st_mtime if outcome.exists() else 0.0
    kept = _ENDED.get(folder)
    if kept is not None and ended and kept[0] == ended:
        return kept[1]
    found = status(folder)
    if ended:
        _ENDED[folder] = (ended, found)
    return found


def list_jobs(workspace: Workspace) -> list[JobStatus]:
    """Return the jobs of the cache and of the runs, newest first."""
    found = []
    for parent in (workspace.jobs, workspace.runs):
        if not parent.is_dir():
            continue
        for folder in parent.iterdir():
            config = folder / "config.json"
            with contextlib.suppress(OSError, StorageError):
                if (folder / "started").exists() and config.exists():
                    found.append(_kept_status(folder))
    return sorted(found, key=lambda job: job.created, reverse=True)
