"""What the catalog answered once is kept while it holds, read by one thread only, and asked anew once rows changed."""

from __future__ import annotations

import threading
import time

import pytest

from engine.core.catalog import append_event, open_catalog
from engine.images.datasets import add_folder
from engine.images.memory import remembered


@pytest.fixture
def datasets(workspace, tmp_path):
    found = []
    for name in "abc":
        (tmp_path / name).mkdir()
        found.append(add_folder(workspace, tmp_path / name).id)
    return found


def test_an_answer_is_asked_once_until_rows_come(workspace, datasets):
    asked = []

    def ask(db):
        asked.append(db.execute("SELECT count(*) FROM image").fetchone()[0])
        return asked[-1]

    assert [remembered(workspace, datasets[0], "rows", ask) for _ in range(3)] == [0, 0, 0]
    with open_catalog(workspace.catalog, write=True) as db:
        append_event(db, datasets[0], "set_aside", {}, b"")
    assert remembered(workspace, datasets[0], "rows", ask) == 0
    assert len(asked) == 1
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("INSERT INTO image (dataset, path, size, mtime_ns) VALUES (?, ?, 1, 1)", (datasets[0], b"x.png"))
    assert remembered(workspace, datasets[0], "rows", ask) == 1
    assert asked == [0, 1]


def test_a_commit_after_another_question_was_answered_is_noticed_by_the_first(workspace, datasets):
    def ask(db):
        return db.execute("SELECT count(*) FROM image").fetchone()[0]

    assert remembered(workspace, datasets[0], "first", ask) == remembered(workspace, datasets[0], "second", ask) == 0
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("INSERT INTO image (dataset, path, size, mtime_ns) VALUES (?, ?, 1, 1)", (datasets[0], b"x.png"))
    assert remembered(workspace, datasets[0], "second", ask) == 1
    assert remembered(workspace, datasets[0], "first", ask) == 1


def test_two_threads_read_an_answer_once(workspace, datasets):
    asked, found = [], []

    def ask(db):
        asked.append(threading.get_ident())
        time.sleep(0.2)
        return "answer"

    workers = [
        threading.Thread(target=lambda: found.append(remembered(workspace, datasets[0], "slow", ask))) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == ["answer"] * 4
    assert len(asked) == 1


def test_a_thread_that_fails_leaves_the_question_to_the_next(workspace, datasets):
    def fail(db):
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        remembered(workspace, datasets[0], "failing", fail)
    assert remembered(workspace, datasets[0], "failing", lambda db: 1) == 1


def test_only_the_data_sets_asked_last_are_kept(workspace, datasets):
    asked = []

    def ask_of(dataset, keep):
        return remembered(workspace, dataset, f"keep {keep}", lambda db: asked.append(dataset), keep=keep)

    for dataset in [*datasets, *datasets]:
        ask_of(dataset, 3)
    assert asked == datasets
    asked.clear()
    for dataset in [*datasets, datasets[1], datasets[0]]:
        ask_of(dataset, 2)
    assert asked == [*datasets, datasets[0]]
