"""Worker processes: limits that end a task, deaths told with their reason, tasks that wait for others."""

import pytest

from engine.selection.sweep.pool import Limits, Pool, PoolTask

WORKER = "tests.engine.selection.sleepy_worker"
WIDE = Limits(60)


@pytest.fixture
def pool(tmp_path):
    with Pool(tmp_path, 2, module=WORKER) as found:
        yield found


def by_name(results):
    return {result.task.name: result for result in results}


def test_tasks_are_answered_by_one_thread_each_and_workers_are_used_again(pool):
    found = by_name(pool.run([PoolTask(str(i), {}, WIDE) for i in range(6)]))
    assert len(found) == 6 and all(result.reason == "" for result in found.values())
    assert {result.answer["threads"] for result in found.values()} == {"1"}
    assert len({result.answer["pid"] for result in found.values()}) <= 2


def test_a_task_that_passes_its_time_is_ended_and_the_rest_goes_on(pool):
    found = by_name(
        pool.run([PoolTask("slow", {"sleep": 50}, Limits(1.0)), PoolTask("a", {}, WIDE), PoolTask("b", {}, WIDE)])
    )
    assert "time limit of 1 seconds" in found["slow"].reason and found["slow"].answer is None
    assert found["a"].reason == found["b"].reason == ""


def test_a_task_that_passes_its_memory_is_ended(pool):
    found = by_name(
        pool.run([PoolTask("big", {"mib": 300, "sleep": 20}, Limits(60, 150)), PoolTask("a", {}, Limits(60, 150))])
    )
    assert "limit is 150 MiB" in found["big"].reason
    assert found["a"].reason == ""


def test_a_death_is_told_with_the_workers_last_words(pool):
    found = by_name(pool.run([PoolTask("dead", {"die": True}, WIDE), PoolTask("a", {}, WIDE)]))
    assert "ended unexpectedly" in found["dead"].reason and "the reason it died" in found["dead"].reason
    assert found["a"].reason == ""


def test_a_task_waits_for_its_forerunner_and_fails_with_it(pool):
    tasks = [
        PoolTask("after good", {}, WIDE, ("good",)),
        PoolTask("after bad", {}, WIDE, ("bad",)),
        PoolTask("good", {"sleep": 0.3}, WIDE),
        PoolTask("bad", {"fail": "no room"}, WIDE),
    ]
    names = [result.task.name for result in pool.run(tasks)]
    assert names.index("after good") > names.index("good") and set(names) == {task.name for task in tasks}
    found = by_name(pool.run(tasks))
    assert found["after bad"].reason == "no room" and found["after good"].reason == ""


def test_stopping_ends_what_runs_at_once(pool):
    asked = iter([False] * 20)
    found = list(pool.run([PoolTask("slow", {"sleep": 5000}, WIDE)], stop=lambda: next(asked, True)))
    assert found == []
