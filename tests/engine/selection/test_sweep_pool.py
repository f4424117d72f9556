"""Worker processes: limits that end a task, deaths told with their reason, tasks that wait for others."""

import os
import time

import pytest

from engine.selection.sweep.pool import Limits, Pool, Task, own_memory_mb

WORKER = "tests.engine.selection.sleepy_worker"
WIDE = Limits(60)


@pytest.fixture
def pool(tmp_path):
    with Pool(tmp_path, 2, module=WORKER) as found:
        yield found


def by_name(outcomes):
    return {outcome.task.name: outcome for outcome in outcomes}


def test_tasks_are_answered_by_one_thread_each_and_workers_are_used_again(pool):
    found = by_name(pool.run([Task(str(i), {}, WIDE) for i in range(6)]))
    assert len(found) == 6 and all(outcome.reason == "" for outcome in found.values())
    assert {outcome.answer["threads"] for outcome in found.values()} == {"1"}
    assert len({outcome.answer["pid"] for outcome in found.values()}) <= 2


def test_a_task_that_passes_its_time_is_ended_and_the_rest_goes_on(pool):
    began = time.monotonic()
    found = by_name(pool.run([Task("slow", {"sleep": 50}, Limits(1.0)), Task("a", {}, WIDE), Task("b", {}, WIDE)]))
    assert "time limit of 1 seconds" in found["slow"].reason and found["slow"].answer is None
    assert found["a"].reason == found["b"].reason == ""
    assert time.monotonic() - began < 30


def test_a_task_that_passes_its_memory_is_ended(pool):
    found = by_name(pool.run([Task("big", {"mib": 300, "sleep": 20}, Limits(60, 150)), Task("a", {}, Limits(60, 150))]))
    assert "limit is 150 MiB" in found["big"].reason
    assert found["a"].reason == ""


def test_a_death_is_told_with_the_workers_last_words(pool):
    found = by_name(pool.run([Task("dead", {"die": True}, WIDE), Task("a", {}, WIDE)]))
    assert "ended unexpectedly" in found["dead"].reason and "the reason it died" in found["dead"].reason
    assert found["a"].reason == ""


def test_a_task_waits_for_its_forerunner_and_fails_with_it(pool):
    tasks = [
        Task("after good", {}, WIDE, ("good",)),
        Task("after bad", {}, WIDE, ("bad",)),
        Task("good", {"sleep": 0.3}, WIDE),
        Task("bad", {"fail": "no room"}, WIDE),
    ]
    names = [outcome.task.name for outcome in pool.run(tasks)]
    assert names.index("after good") > names.index("good") and set(names) == {task.name for task in tasks}
    found = by_name(pool.run(tasks))
    assert found["after bad"].reason == "no room" and found["after good"].reason == ""


def test_stopping_ends_what_runs_at_once(pool):
    began = time.monotonic()
    found = list(pool.run([Task("slow", {"sleep": 50}, WIDE)], stop=lambda: time.monotonic() - began > 0.5))
    assert found == [] and time.monotonic() - began < 20


def test_memory_of_a_process_is_measured():
    assert 5 < own_memory_mb(os.getpid()) < 100_000
    assert own_memory_mb(2**22 - 1) == 0
