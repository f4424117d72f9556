"""Worker processes with a real limit on time and memory: a task that passes it is ended, not asked.

Each worker is `python -m engine.selection.sweep.worker FOLDER`, one thread, fed one JSON line per task and
answering with one; its first line says that it has started, and only then does a task's time run. A worker
that is ended is replaced; its task comes back as a failure with the reason.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAUSE = 0.05
STARTING = 300.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Limits:
    """What one task may take: seconds, and MiB of memory of its own (None: as much as there is)."""

    seconds: float
    memory_mb: float | None = None


@dataclass(frozen=True)
class Task:
    """One piece of work: `content` is sent to the worker as JSON; it waits for the tasks named in `after`."""

    name: str
    content: dict[str, Any]
    limits: Limits
    after: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What came of a task: the worker's answer, and the reason where it failed (else empty)."""

    task: Task
    answer: dict[str, Any] | None
    reason: str
    seconds: float


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    answers: queue.Queue[str | None]
    log: Path
    task: Task | None = None
    began: float = 0.0
    ready: bool = False
    imports_mb: float = 0.0


class Pool:
    """A few workers and the tasks they have.

    Parameters
    ----------
    folder : Path
        Given to every worker; also where their error output goes.
    workers : int
        How many at once, one thread each.
    module : str
        What they run.
    use_gpu : bool
        Whether they may see a GPU.

    Attributes
    ----------
    peak_mb, peak_mb_above_imports : float
        Most memory that all workers together had of their own, whole and beyond what each had when it started.
    """

    def __init__(
        self, folder: Path, workers: int, *, module: str = "engine.selection.sweep.worker", use_gpu: bool = True
    ) -> None:
        self.folder, self.count, self.module, self.use_gpu = folder, max(1, workers), module, use_gpu
        self._workers: list[_Worker] = []
        self._started = 0
        self.peak_mb = self.peak_mb_above_imports = 0.0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            _end(worker)
        self._workers.clear()

    def run(self, tasks: list[Task], *, stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        """Yield outcomes as they come; a task whose forerunner failed fails with that reason.

        When `stop()` turns true nothing new is started, and what runs is ended without an outcome.
        """
        waiting = list(tasks)
        finished: dict[str, str] = {}
        while waiting or any(worker.task for worker in self._workers):
            if stop():
                self.__exit__()
                return
            for outcome in [*self._collect(), *self._drop(waiting, finished)]:
                finished[outcome.task.name] = outcome.reason
                yield outcome
            self._hand_out(waiting, finished)
            time.sleep(PAUSE / 5 if waiting else PAUSE)

    def _drop(self, waiting: list[Task], finished: dict[str, str]) -> list[Outcome]:
        lost = []
        for task in list(waiting):
            reason = next((finished[name] for name in task.after if finished.get(name)), "")
            if reason:
                waiting.remove(task)
                lost.append(Outcome(task, None, reason, 0.0))
        return lost

    def _hand_out(self, waiting: list[Task], finished: dict[str, str]) -> None:
        busy = [worker for worker in self._workers if worker.task]
        for _ in range(self.count - len(busy)):
            ready = next((task for task in waiting if all(finished.get(name) == "" for name in task.after)), None)
            if ready is None:
                return
            waiting.remove(ready)
            worker = next((worker for worker in self._workers if not worker.task), None) or self._start()
            worker.task, worker.began = ready, time.monotonic()
            assert worker.process.stdin is not None
            try:
                worker.process.stdin.write(json.dumps(ready.content) + "\n")
                worker.process.stdin.flush()
            except BrokenPipeError:
                worker.answers.put(None)

    def _start(self) -> _Worker:
        environment = os.environ | dict.fromkeys(_THREADS, "1") | {"KINDRED_PARENT": str(os.getpid())}
        if not self.use_gpu:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        root = str(Path(__file__).resolve().parents[3])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
        self._started += 1
        log = self.folder / f"worker-{self._started}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", self.module, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        worker = _Worker(process, queue.Queue(), log)
        threading.Thread(target=_listen, args=(worker,), daemon=True).start()
        self._workers.append(worker)
        return worker

    def _collect(self) -> list[Outcome]:
        """Return the outcomes of tasks that answered, died or passed a limit."""
        outcomes = []
        total = above = 0.0
        for worker in list(self._workers):
            memory = own_memory_mb(worker.process.pid) if worker.process.poll() is None else 0.0
            total += memory
            above += max(0.0, memory - worker.imports_mb) if worker.ready else 0.0
            if worker.task is None:
                continue
            outcome = self._look(worker)
            if outcome is not None:
                outcomes.append(outcome)
                worker.task = None
                if outcome.answer is None:
                    _end(worker)
                    self._workers.remove(worker)
        self.peak_mb = max(self.peak_mb, total)
        self.peak_mb_above_imports = max(self.peak_mb_above_imports, above)
        return outcomes

    def _look(self, worker: _Worker) -> Outcome | None:
        task = worker.task
        assert task is not None
        seconds = time.monotonic() - worker.began
        try:
            line = worker.answers.get_nowait()
            if line is not None and not worker.ready:
                worker.ready, worker.began = True, time.monotonic()
                worker.imports_mb = own_memory_mb(worker.process.pid)
                return None
        except queue.Empty:
            if not worker.ready and seconds < STARTING:
                return None
            reason = self._passed(worker, task.limits, seconds)
            return Outcome(task, None, reason, seconds) if reason else None
        if line is None:
            return Outcome(task, None, f"The worker process ended unexpectedly. {_tail(worker.log)}".strip(), seconds)
        answer = json.loads(line)
        if "reason" in answer:
            return Outcome(task, answer, str(answer["reason"]), seconds)
        return Outcome(task, answer, "", seconds)

    def _passed(self, worker: _Worker, limits: Limits, seconds: float) -> str:
        if seconds > limits.seconds:
            return f"It took longer than the time limit of {limits.seconds:g} seconds."
        if limits.memory_mb is not None:
            memory = own_memory_mb(worker.process.pid)
            if memory > limits.memory_mb:
                return f"It needed {memory:,.0f} MiB of memory; the limit is {limits.memory_mb:,.0f} MiB."
        return ""


def _listen(worker: _Worker) -> None:
    assert worker.process.stdout is not None
    for line in worker.process.stdout:
        worker.answers.put(line)
    worker.answers.put(None)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    for stream in (worker.process.stdin, worker.process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                continue


def _tail(log: Path) -> str:
    """Return the last line that a worker wrote about its end."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


def own_memory_mb(pid: int) -> float:
    """Return the MiB of memory that are a process's own, mapped files left out; 0 when it is gone."""
    status = Path(f"/proc/{pid}/status")
    try:
        for line in status.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
        return 0.0
    except OSError:
        if status.parent.parent.exists() and sys.platform == "linux":
            return 0.0
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(found.stdout or 0) / 1024
