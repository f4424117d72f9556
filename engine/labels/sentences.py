"""What an action on labels says: how many images it changes, which keep their label, what an audit covers no more."""

from __future__ import annotations

import numpy as np

from engine.labels.conflicts import images
from engine.labels.replay import Rows
from engine.labels.state import ACCEPTED_GUESS, IMPORTED, LOCKED, LabelState


def given(count: int, label: str | None) -> str:
    """Say how many images get a label, or have none now."""
    return f"{images(count)} -> {label}" if label else f"{images(count)} have no label now"


def keep_theirs(count: int, state: LabelState) -> str:
    """Say how many images a group action left as a person had labelled them."""
    if not count:
        return ""
    return f"; {count:,} {personal(state)} {'keeps its' if count == 1 else 'keep their'} label"


def all_personal(state: LabelState) -> str:
    """Say that a group action would leave every one of its images as it is."""
    if (state.source == IMPORTED).any():
        return f"Each of these images is {personal(state)}."
    return "You labelled each of these images yourself."


def personal(state: LabelState) -> str:
    """Say whose labels a group action leaves as they are."""
    return "labelled by you or imported" if (state.source == IMPORTED).any() else "labelled by you"


def guesses_other_than(state: LabelState, rows: Rows, label: str | None) -> int:
    """Return how many of the images have an accepted guess of another label, which a name for all takes away."""
    code = state.label_names.index(label) if label in state.label_names else -1
    guessed = (state.source[rows] == ACCEPTED_GUESS) & (state.status[rows] != LOCKED)
    return int(np.count_nonzero(guessed & (state.given[rows] != code)))


def replace_guesses(count: int) -> str:
    """Say how many accepted guesses a name for a whole group takes the place of."""
    return f"; {count:,} accepted {'guess is' if count == 1 else 'guesses are'} replaced" if count else ""


def leaves_audit(state: LabelState, rows: Rows, label: str | None, cluster: int | None = None) -> str:
    """Say how many images an audit covers no more: those that go to another cluster or get another label."""
    if not state.audited:
        return ""
    leaves = np.zeros(len(rows), bool) if cluster is None else state.cluster[rows] != cluster
    code = state.label_names.index(label) if label in state.label_names else -1
    if label is not None or cluster is None:
        leaves |= (state.given[rows] >= 0) & (state.given[rows] != code)
    return _no_longer(int(np.count_nonzero(leaves & np.isfinite(state.bound[rows]))))


def unaudited(state: LabelState, rows: Rows) -> str:
    """Say how many images an audit covers no more, because a person labels them one by one."""
    return _no_longer(int(np.count_nonzero(np.isfinite(state.bound[rows])))) if state.audited else ""


def _no_longer(count: int) -> str:
    return f"; the audit no longer covers {images(count)}" if count else ""


def only_covers(state: LabelState, cluster: int) -> str:
    """Say that images which join an audited cluster are not covered by its audit."""
    covered = int(np.count_nonzero(np.isfinite(state.bound[state.rows(cluster)]))) if state.audited else 0
    return f"; the audit of {state.title(cluster)} covers only {images(covered)} of before" if covered else ""
