"""A pool of worker processes whose tasks have limits on time and memory.

Each worker is `python -m MODULE FOLDER` with one thread. It reads one line of JSON for each task and answers with
one; its first line says that it has started, and only then does a task's time run. A worker whose task passes a
limit is killed with all that it started, and replaced; the task comes back as failed, with the reason. Where there is a
GPU one worker more owns it, and no other opens it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.device import thread_variables, without_gpu
from engine.core.processes import end_process_tree, own_memory_mb

POLL_SECONDS = 0.05
START_SECONDS = 300.0
MEMORY_SECONDS = 0.2


@dataclass(frozen=True)
class Limits:
    """What one task may take: seconds, and MiB of memory of its own (None: as much as there is)."""

    seconds: float
    memory_mb: float | None = None


@dataclass(frozen=True)
class PoolTask:
    """What one worker does at a time: `content` is sent to it as JSON, after the tasks named in `after` are done.

    With `gpu` it goes to the owner of the GPU, where the pool has one.
    """

    name: str
    content: dict[str, Any]
    limits: Limits
    after: tuple[str, ...] = ()
    gpu: bool = False


@dataclass(frozen=True)
class TaskResult:
    """A finished task: the worker's answer, None where there is none, and the reason where it failed, else empty."""

    task: PoolTask
    answer: dict[str, Any] | None
    reason: str
    seconds: float


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    answers: queue.Queue[str | None]
    log: Path
    owns_gpu: bool
    task: PoolTask | None = None
    began: float = 0.0
    ready: bool = False
    imports_mb: float = 0.0
    memory_mb: float = 0.0
    measured: float = 0.0

    def measure(self) -> float:
        """Return the MiB that the worker has for itself, measured anew every `MEMORY_SECONDS`."""
        now = time.monotonic()
        if now - self.measured >= MEMORY_SECONDS:
            self.memory_mb, self.measured = own_memory_mb(self.process.pid), now
        return self.memory_mb


class Pool:
    """A few workers and the tasks they have.

    Parameters
    ----------
    folder : Path
        Given to every worker; also where their error output goes.
    workers : int
        How many at once that leave the GPU alone, one thread each; with `gpu_owner` it may be 0.
    module : str
        What they run.
    gpu_owner : bool
        Whether one worker more may use the GPU. Without other workers it does everything.

    Attributes
    ----------
    peak_mb, peak_mb_above_imports : float
        Most memory that all workers together had of their own, whole and beyond what each had when it started.
    """

    def __init__(self, folder: Path, workers: int, *, module: str, gpu_owner: bool = False) -> None:
        self.folder, self.module = folder, module
        self.room = {False: workers if gpu_owner else max(1, workers), True: int(gpu_owner)}
        self._workers: list[_Worker] = []
        self._started = 0
        self.peak_mb = self.peak_mb_above_imports = 0.0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            _end(worker)
        self._workers.clear()

    def run(self, tasks: list[PoolTask], *, stop: Callable[[], bool] = lambda: False) -> Iterator[TaskResult]:
        """Yield results as they come; a task whose forerunner failed fails with that reason.

        When `stop()` turns true nothing new is started, and what runs is ended without a result.
        """
        waiting = list(tasks)
        finished: dict[str, TaskResult] = {}
        while waiting or any(worker.task for worker in self._workers):
            if stop():
                self.__exit__()
                return
            for result in [*self._collect(), *self._drop(waiting, finished)]:
                finished[result.task.name] = result
                yield result
            self._hand_out(waiting, finished)
            time.sleep(POLL_SECONDS / 5 if waiting else POLL_SECONDS)

    def _drop(self, waiting: list[PoolTask], finished: dict[str, TaskResult]) -> list[TaskResult]:
        lost = []
        for task in list(waiting):
            before = (finished[name] for name in task.after if name in finished)
            failed = next((result for result in before if result.reason), None)
            if failed is not None:
                waiting.remove(task)
                lost.append(TaskResult(task, failed.answer, failed.reason, failed.seconds))
        return lost

    def _is_owners(self, task: PoolTask) -> bool:
        """Whether the task goes to the owner of the GPU."""
        return not self.room[False] or (task.gpu and bool(self.room[True]))

    def _hand_out(self, waiting: list[PoolTask], finished: dict[str, TaskResult]) -> None:
        done = {name for name, result in finished.items() if not result.reason}
        for owner, room in self.room.items():
            own = [worker for worker in self._workers if worker.owns_gpu == owner]
            for _ in range(room - sum(worker.task is not None for worker in own)):
                fitting = (task for task in waiting if self._is_owners(task) == owner and done.issuperset(task.after))
                ready = next(fitting, None)
                if ready is None:
                    break
                waiting.remove(ready)
                self._give(ready, next((worker for worker in own if not worker.task), None) or self._start(owner))

    def _give(self, task: PoolTask, worker: _Worker) -> None:
        worker.task, worker.began = task, time.monotonic()
        assert worker.process.stdin is not None
        try:
            worker.process.stdin.write(json.dumps(task.content) + "\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            worker.answers.put(None)

    def _start(self, owns_gpu: bool) -> _Worker:
        environment = os.environ | thread_variables(1) | {"KINDRED_PARENT": str(os.getpid())}
        if not owns_gpu:
            environment |= without_gpu()
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
        worker = _Worker(process, queue.Queue(), log, owns_gpu)
        threading.Thread(target=_listen, args=(worker,), daemon=True).start()
        self._workers.append(worker)
        return worker

    def _collect(self) -> list[TaskResult]:
        """Return the results of tasks that answered, died or passed a limit."""
        results = []
        total = above = 0.0
        for worker in list(self._workers):
            memory = worker.measure() if worker.process.poll() is None else 0.0
            total += memory
            above += max(0.0, memory - worker.imports_mb) if worker.ready else 0.0
            if worker.task is None:
                continue
            result = self._look(worker)
            if result is not None:
                results.append(result)
                worker.task = None
                if result.answer is None:
                    _end(worker)
                    self._workers.remove(worker)
        self.peak_mb = max(self.peak_mb, total)
        self.peak_mb_above_imports = max(self.peak_mb_above_imports, above)
        return results

    def _look(self, worker: _Worker) -> TaskResult | None:
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
            if not worker.ready and seconds < START_SECONDS:
                return None
            reason = self._passed(worker, task.limits, seconds)
            return TaskResult(task, None, reason, seconds) if reason else None
        if line is None:
            return TaskResult(task, None, _why_ended(worker), seconds)
        answer = json.loads(line)
        if "reason" in answer:
            return TaskResult(task, answer, str(answer["reason"]), seconds)
        return TaskResult(task, answer, "", seconds)

    def _passed(self, worker: _Worker, limits: Limits, seconds: float) -> str:
        if seconds > limits.seconds:
            return f"It took longer than the time limit of {limits.seconds:g} seconds."
        if limits.memory_mb is not None:
            memory = worker.measure()
            if memory > limits.memory_mb:
                return f"It needed {memory:,.0f} MiB of memory; the limit is {limits.memory_mb:,.0f} MiB."
        return ""


def _listen(worker: _Worker) -> None:
    assert worker.process.stdout is not None
    for line in worker.process.stdout:
        worker.answers.put(line)
    worker.answers.put(None)


def _why_ended(worker: _Worker) -> str:
    """Return a sentence on a worker that ended without an answer; the system kills what needs too much memory."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.process.wait(timeout=1)
    if worker.process.returncode == -getattr(signal, "SIGKILL", 9):
        return (
            "The system killed the worker, most likely because memory ran out. Close other programs or take a sample."
        )
    return f"The worker process ended unexpectedly. {_tail(worker.log)}".strip()


def _end(worker: _Worker) -> None:
    end_process_tree(worker.process.pid)
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
