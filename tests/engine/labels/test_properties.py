"""Properties of the history for any sequence of actions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from engine.labels.proposals import Proposals
from engine.labels.state import BY_YOU, CONFIRMED

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
    st.tuples(st.sampled_from(["rename", "rename_all"]), st.integers(0, 6), st.one_of(st.none(), LABEL)),
    st.tuples(st.just("merge"), st.lists(st.integers(0, 6), min_size=2, max_size=3), st.one_of(st.none(), LABEL)),
    st.tuples(st.just("split"), ROWS, st.one_of(st.none(), LABEL)),
    st.tuples(st.sampled_from(["move", "move_group"]), ROWS, st.one_of(st.integers(-1, 6), LABEL)),
    st.tuples(st.sampled_from(["label", "label_group"]), ROWS, st.one_of(st.none(), LABEL)),
    st.tuples(st.just("accept"), ROWS, LABEL),
    st.tuples(st.sampled_from(["reject", "reject_group", "lock", "unlock", "confirm"]), ROWS, st.none()),
    st.tuples(st.just("audit"), st.integers(0, 6), st.integers(0, 3)),
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


def guesses(view, rows, label):
    """Proposals of one label for some images."""
    rows = np.array(rows)
    chance = np.linspace(0.5, 1, len(rows), dtype=np.float32)
    return Proposals(rows, [label] * len(rows), chance, chance, "zero-shot", view.version, view.version)


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
        if kind == "audit":
            return history.audit(view, first, shown=view.to_audit(first)[:3], wrong=view.to_audit(first)[:second])
        if kind == "accept":
            return history.accept(view, guesses(view, first, second))
        if kind.startswith("rename"):
            return history.rename(view, first, second, include_yours=kind == "rename_all")
        if kind == "apart":
            return history.apart(view, first, second)
        kind, _, group = kind.partition("_")
        arguments = [np.array(first)] if second is None and kind != "label" else [np.array(first), second]
        return getattr(history, kind)(view, *arguments, **({"as_group": True} if group else {}))
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


YOU, NAME, GUESS, NONE = "by you", "cluster name", "accepted guess", "none"


def slow_step(event, number, text, was):
    """Return cluster, own label, status and source of one image after one event."""
    cluster, own, status, source = was
    detail = event.detail
    keep = source == YOU and own is not None and bool(detail.get("keeps"))
    if event.kind in ("label", "confirm", "move", "split") and detail.get("by", "you") == "you":
        return slow_pick(event, number, text, cluster)
    if event.kind in ("rename", "merge", "split", "move"):
        return slow_group(event, number, text, was, keep)
    if event.kind == "lock":
        if keep or own == text:
            return cluster, own, "locked", source
        return cluster, text, "locked", NAME if text else NONE
    if keep or event.kind not in ("reject", "label"):
        return was
    if event.kind == "reject":
        return -1, None, "rejected", NONE
    return cluster, text, "", (GUESS if detail["by"] == "guess" else NAME) if text else NONE


def slow_pick(event, number, text, cluster):
    """What a person did to an image that they looked at."""
    if event.kind == "move":
        return event.detail["to"], event.detail["label"], "confirmed", YOU
    if event.kind == "split":
        return number, event.detail["parts"][0][0], "confirmed", YOU
    return (cluster, text, "confirmed", YOU) if text or event.kind == "confirm" else (cluster, None, "", NONE)


def slow_group(event, number, text, was, keep):
    """What a person did to a cluster or to images chosen together."""
    cluster, own, status, source = was
    if event.kind == "merge":
        cluster, text = event.detail["into"], event.detail["label"]
        if text is None:
            return cluster, own, status, source
    elif event.kind != "rename":
        split = event.kind == "split"
        cluster, text = (number, event.detail["parts"][0][0]) if split else (event.detail["to"], event.detail["label"])
        status = "" if status == "rejected" else status
    looked = source == YOU and (own == text or (own is None and event.kind == "rename"))
    if keep or looked:
        return cluster, own if keep else text, status, source
    return cluster, text, "" if status == "confirmed" else status, NAME if text else NONE


def slow_replay(events):
    """Replay events of run "a" with dictionaries, one image at a time."""
    state = {row: (cluster, None, "", NONE) for row, cluster in enumerate(BASES["a"].tolist())}
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
            cluster, own, status, source = state[row]
            if event.kind == "unlock" and status == "locked":
                state[row] = (cluster, own, "confirmed" if source == YOU else "", source)
            elif event.kind == "audit" and status != "locked":
                wrong = row in [row_of[content] for content in answers(event)[: event.detail["wrong"]]]
                if wrong and not (own and source == YOU):
                    state[row] = (-1, None, "rejected", NONE)
                elif event.detail["label"] and own is None and not wrong:
                    state[row] = (cluster, event.detail["label"], status, source if source == YOU else NAME)
            elif status != "locked" and event.kind not in ("audit", "unlock"):
                state[row] = slow_step(event, number, texts[at] if texts else None, state[row])
    return list(state.values())


def answers(event):
    """The images that were shown in an audit, the wrong ones first."""
    return np.frombuffer(event.blob, "S16")[event.count :].tolist()


@RULES
@given(st.lists(STEP, max_size=10))
def test_a_slow_reference_agrees_on_the_clusters_labels_statuses_and_sources(two_windows, steps):
    """Exact replay of one run against dictionaries, one image at a time."""
    history, _ = two_windows()
    for _, _, action in steps:
        act(history, "a", action)
    expected = slow_replay(history.events())
    found = state(history, "a")
    assert found.cluster.tolist() == [cluster for cluster, *_ in expected]
    assert found.given_labels == [own for _, own, *_ in expected]
    assert found.statuses == [status for *_, status, _ in expected]
    for row, (cluster, own, status, source) in enumerate(expected):
        name = next((item.name for item in found.clusters if item.id == cluster), None)
        inherits = status not in ("rejected", "locked")
        assert found.labels[row] == (own or (name if inherits else None))
        assert found.sources[row] == (source if own else NAME if found.labels[row] else NONE)
    assert sum(found.source_counts.values()) == N
    assert (found.source[found.status == CONFIRMED] == BY_YOU)[found.given[found.status == CONFIRMED] >= 0].all()
    assert np.isfinite(found.probability).tolist() == [source == GUESS for source in found.sources]
    assert np.isnan(found.bound[found.source == BY_YOU]).all()


GROUP = ("rename", "merge", "split", "move_group", "label_group", "reject_group", "accept")


@RULES
@given(st.lists(STEP, max_size=8), st.lists(ACTION.filter(lambda action: action[0] in GROUP), max_size=4))
def test_no_group_action_changes_what_a_person_said_of_an_image(two_windows, steps, groups):
    """Neither in the window that acts nor in one that had not seen the labels, and on no run."""
    history, other = two_windows()
    for _, run, action in steps:
        act(history, run, action)
    before = {run: state(history, run) for run in "ab"}
    told = {run: view.by_you(np.arange(N)) for run, view in before.items()}
    for action in groups:
        act(other, "a", action)
    for run, was in before.items():
        now = state(history, run)
        mine = was.source == BY_YOU
        assert mine.sum() == told[run]
        assert [now.labels[row] for row in np.flatnonzero(mine)] == [was.labels[row] for row in np.flatnonzero(mine)]
        assert (now.source[mine] == BY_YOU).all()
        assert (now.status[mine] == was.status[mine]).all()


@RULES
@given(st.lists(STEP, max_size=12), st.integers(0, 12))
def test_a_replay_in_pieces_equals_the_whole(two_windows, steps, cut):
    """One window looks in between, so its replay goes on; the other reads all at once."""
    history, _ = two_windows()
    looking = LabelHistory(Workspace(history.catalog.parent.parent), history.dataset)
    for at, (_, run, action) in enumerate(steps):
        act(history, run, action)
        if at == cut or at % 3 == 0:
            state(looking, "a")
    whole = LabelHistory(Workspace(history.catalog.parent.parent), history.dataset)
    for run in "ab":
        assert state(looking, run).same(state(whole, run))
