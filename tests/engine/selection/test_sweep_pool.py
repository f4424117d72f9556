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


def test_a_worker_that_the_system_killed_says_that_memory_ran_out_and_the_rest_goes_on(pool):
    found = by_name(pool.run([PoolTask("killed", {"killed": True}, WIDE), PoolTask("a", {}, WIDE)]))
    assert "killed the worker, most likely because memory ran out" in found["killed"].reason
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


def test_one_worker_owns_the_gpu_and_the_others_have_none(tmp_path):
    with Pool(tmp_path, 2, module=WORKER, gpu_owner=True) as pool:
        tasks = [PoolTask(f"g{i}", {"sleep": 0.1}, WIDE, gpu=True) for i in range(4)]
        tasks += [PoolTask(f"c{i}", {"sleep": 0.1}, WIDE, (f"g{i}",)) for i in range(4)]
        tasks += [PoolTask(f"d{i}", {"sleep": 0.1}, WIDE) for i in range(4)]
        found = by_name(pool.run(tasks))
    assert all(result.reason == "" for result in found.values()) and len(found) == 12
    seen = {name: (result.answer["pid"], tuple(result.answer["gpus"])) for name, result in found.items()}
    owners = {seen[f"g{i}"] for i in range(4)}
    others = {one for name, one in seen.items() if name[0] != "g"}
    assert len(owners) == 1 and {gpus for _, gpus in owners} == {("cuda",)}
    assert len(others) == 2 and {gpus for _, gpus in others} == {()}


def test_a_single_worker_with_the_gpu_does_everything_and_without_one_nobody_has_it(tmp_path, pool):
    tasks = [PoolTask("g", {}, WIDE, gpu=True), PoolTask("c", {}, WIDE)]
    with Pool(tmp_path, 0, module=WORKER, gpu_owner=True) as alone:
        found = by_name(alone.run(tasks))
        assert len({result.answer["pid"] for result in found.values()}) == 1
        assert {tuple(result.answer["gpus"]) for result in found.values()} == {("cuda",)}
    assert {tuple(result.answer["gpus"]) for result in pool.run(tasks)} == {()}


def test_what_a_forerunner_said_of_its_failure_comes_with_the_task_that_waited(pool):
    found = by_name(pool.run([PoolTask("fit", {"fail": "no time"}, WIDE), PoolTask("score", {}, WIDE, ("fit",))]))
    assert found["score"].reason == "no time" and found["score"].answer["left_out"]
