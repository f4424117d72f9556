"""Properties of the history for any sequence of actions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory

from .conftest import add_dataset, make_contents

N = 24
CONTENTS = make_contents(N, seed=3)
BASES = {
    "a": np.array([i % 4 for i in range(22)] + [-1, -1], np.int32),
    "b": np.array([i // 5 for i in range(24)], np.int32),
}
ROWS = st.lists(st.integers(0, N - 1), min_size=1, max_size=8, unique=True)
LABEL = st.sampled_from(["cat", "dog", "قط", "a/b"])
ACTION = st.one_of(
    st.tuples(st.just("rename"), st.integers(0, 6), st.one_of(st.none(), LABEL)),
    st.tuples(st.just("merge"), st.lists(st.integers(0, 6), min_size=2, max_size=3), st.one_of(st.none(), LABEL)),
    st.tuples(st.just("split"), ROWS, st.one_of(st.none(), LABEL)),
    st.tuples(st.just("move"), ROWS, st.one_of(st.integers(-1, 6), LABEL)),
    st.tuples(st.just("label"), ROWS, st.one_of(st.none(), LABEL)),
    st.tuples(st.sampled_from(["reject", "lock", "unlock", "confirm"]), ROWS, st.none()),
    st.tuples(st.just("apart"), st.integers(0, 6), st.integers(0, 6)),
    st.tuples(st.sampled_from(["undo", "redo"]), st.none(), st.none()),
)
STEP = st.tuples(st.integers(0, 1), st.sampled_from("ab"), ACTION)
RULES = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def two_windows(tmp_path):
    """A function that makes a fresh data set and two windows on it."""
    workspace = Workspace.open(tmp_path)
    count = iter(range(10**6))
    return lambda: [LabelHistory(workspace, name) for name in [add_dataset(workspace, f"d{next(count)}")] * 2]


def state(history, run):
    return history.state(CONTENTS, BASES[run], run=run)


def act(history, run, action):
    """Do one action on a current view; what makes no sense is refused and changes nothing."""
    kind, first, second = action
    try:
        if kind in ("undo", "redo"):
            return getattr(history, kind)()
        view = state(history, run)
        if kind == "merge":
            return history.merge(view, first, label=second)
        if kind == "split":
            return history.split(view, np.array(first), labels=[second])
        if kind in ("rename", "apart"):
            return getattr(history, kind)(view, first, second)
        arguments = [np.array(first)] if second is None and kind != "label" else [np.array(first), second]
        return getattr(history, kind)(view, *arguments)
    except InputError:
        return None


@RULES
@given(st.lists(STEP, max_size=12))
def test_replaying_the_log_gives_what_each_window_shows(two_windows, steps):
    windows = two_windows()
    for window, run, action in steps:
        act(windows[window], run, action)
    fresh = LabelHistory.__new__(LabelHistory)
    fresh.__init__(Workspace(windows[0].catalog.parent.parent), windows[0].dataset)
    for run in "ab":
        shown = [state(window, run) for window in windows]
        assert shown[0].same(shown[1])
        assert shown[0].same(state(fresh, run))
        assert shown[0].version == fresh.version()


@RULES
@given(st.lists(STEP, max_size=8), ACTION)
def test_undo_then_redo_is_identity_on_every_run(two_windows, steps, action):
    history, other = two_windows()
    for _, run, earlier in steps:
        act(history, run, earlier)
    before = {run: state(history, run) for run in "ab"}
    if act(history, "a", action) is None or action[0] in ("undo", "redo"):
        return
    after = {run: state(history, run) for run in "ab"}
    other.undo()
    assert all(state(history, run).same(before[run]) for run in "ab")
    history.redo()
    assert all(state(other, run).same(after[run]) for run in "ab")


@RULES
@given(st.lists(STEP, min_size=1, max_size=8), st.integers(0, 7))
def test_jump_back_equals_the_log_cut_there(two_windows, steps, index):
    history, _ = two_windows()
    shown, made = [state(history, "b")], [0]
    for _, run, action in steps:
        if action[0] not in ("undo", "redo") and (event := act(history, run, action)):
            shown.append(state(history, "b"))
            made.append(event.id)
    index = min(index, len(made) - 1)
    last = state(history, "b")
    if index < len(made) - 1:
        history.jump_back(made[index])
        assert state(history, "b").same(shown[index])
        history.redo()
    assert state(history, "b").same(last)


def slow_step(event, number, text, was):
    """Return cluster, own label and status of one image after one event."""
    cluster, own, status = was
    if event.kind in ("rename", "label", "confirm", "lock"):
        return cluster, text, {"rename": status, "lock": "locked"}.get(event.kind, "confirmed")
    if event.kind == "merge":
        return event.detail["into"], event.detail["label"] or own, status
    if event.kind == "split":
        return number, event.detail["parts"][0][0], "" if status == "rejected" else status
    if event.kind == "move":
        return event.detail["to"], event.detail["label"], "confirmed"
    if event.kind == "reject":
        return -1, None, "rejected"
    return was


def slow_replay(events):
    """Replay events of run "a" with dictionaries, one image at a time."""
    cluster = dict(enumerate(BASES["a"].tolist()))
    own: dict[int, str | None] = dict.fromkeys(range(N))
    status = dict.fromkeys(range(N), "")
    row_of = {content: row for row, content in enumerate(CONTENTS.tolist())}
    created = 0
    for event in events:
        rows = [row_of[content] for content in event.contents.tolist()]
        number = 4 + created
        created += event.detail.get("creates", 0)
        if not event.effective:
            continue
        texts = [label for label, count in event.detail.get("labels", []) for _ in range(count)]
        for at, row in enumerate(rows):
            if event.kind == "unlock":
                status[row] = "confirmed" if status[row] == "locked" else status[row]
            elif status[row] != "locked":
                text = texts[at] if texts else None
                cluster[row], own[row], status[row] = slow_step(
                    event, number, text, (cluster[row], own[row], status[row])
                )
    return list(cluster.values()), list(own.values()), list(status.values())


@RULES
@given(st.lists(STEP, max_size=10))
def test_a_slow_reference_agrees_on_the_clusters_labels_and_statuses(two_windows, steps):
    """Exact replay of one run against dictionaries, one image at a time."""
    history, _ = two_windows()
    for _, _, action in steps:
        act(history, "a", action)
    cluster, own, status = slow_replay(history.events())
    found = state(history, "a")
    assert found.cluster.tolist() == cluster
    assert found.given_labels == own
    assert found.statuses == status
    for row in range(N):  # the label is the own one, else the name of the cluster
        name = next((item.name for item in found.clusters if item.id == cluster[row]), None)
        inherits = status[row] not in ("rejected", "locked")
        assert found.labels[row] == (own[row] or (name if inherits else None))
