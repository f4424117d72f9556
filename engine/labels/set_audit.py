"""The audit of a whole label set: a few checks in each label or cluster give one bound for all labels.

It is about the labels that nobody gave one by one; its answers are one event of kind "audit", so that the bound stands
beside every label in every export, leaves with a label that changes, and can be undone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.labels.chosen import grouped
from engine.labels.conflicts import images
from engine.labels.log import Event, EventLog
from engine.labels.state import BY_YOU, LabelState
from engine.labels.stratified import draw_checks, most_wrong, plan_checks

PARTS = ("label", "cluster")


@dataclass(frozen=True)
class SetAudit:
    """Which labels are audited, in which parts, and which images are to be looked at.

    Attributes
    ----------
    rows : (m,) int64
        The images with a label that nobody gave one by one.
    part : (m,) int64
        Part of each.
    names : tuple of str
        Of the parts.
    sample : (k,) int64
        The rows of the state to look at.
    seen : int
        Version of the state that it was drawn from.
    """

    rows: NDArray[np.int64]
    part: NDArray[np.int64]
    names: tuple[str, ...]
    sample: NDArray[np.int64]
    seen: int

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Images of each part."""
        return np.bincount(self.part, minlength=len(self.names))

    def counts(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many of some of the audited rows each part has."""
        return np.bincount(self.part[np.isin(self.rows, rows)], minlength=len(self.names))


def draw_audit(
    state: LabelState, checks: int, *, by: str = "label", events: Sequence[Event] = (), random_state: int = 0
) -> SetAudit:
    """Draw the images to look at for an audit of all labels of a state.

    Parameters
    ----------
    state : LabelState
    checks : int
        How many images to look at; all where there are not more.
    by : str
        "label" or "cluster": what the parts are.
    events : sequence of Event
        Those that hold: what earlier audits of the set found in parts of the same name plans where to look.
    random_state : int
        With the version of the labels it decides the draw: the same labels give the same images, and after an audit
        was kept or a label changed they are drawn anew, whatever was looked at before.

    Raises
    ------
    InputError
        No label to audit, no check, or parts of another kind.
    """
    if by not in PARTS:
        raise InputError(f"Labels can be audited by {' or by '.join(PARTS)}, not by {by}.")
    rows = np.flatnonzero((state.codes >= 0) & (state.source != BY_YOU))
    if not len(rows):
        raise InputError("There is no label that nobody gave one by one, so there is nothing to audit.")
    of = state.codes[rows] if by == "label" else state.cluster[rows]
    found, part = np.unique(of, return_inverse=True)
    names = tuple(state.label_names[code] if by == "label" else state.title(code) for code in found.tolist())
    checked, wrong = _known(names, events)
    plan = plan_checks(np.bincount(part), checks, checked=checked, wrong=wrong)
    sample = rows[draw_checks(part, plan, random_state=(random_state, state.version))]
    return SetAudit(rows, part.astype(np.int64), names, sample, state.version)


def _known(names: Sequence[str], events: Sequence[Event]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many images earlier audits of the set checked in parts of these names, and how many were wrong."""
    place = {name: at for at, name in enumerate(names)}
    checked, wrong = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    for event in events:
        for name, _, looked, bad in event.detail.get("audited", ()):
            if name in place:
                checked[place[name]] += looked
                wrong[place[name]] += bad
    return checked, wrong


def keep_set_audit(
    history: EventLog, state: LabelState, audit: SetAudit, wrong: NDArray[np.int64], *, confidence: float = 0.95
) -> Event:
    """Append what a person answered for each image of the sample; the bound of all labels goes with them.

    Parameters
    ----------
    history : LabelHistory
    state : LabelState
        The one that the audit was drawn from.
    audit : SetAudit
    wrong : (w,) int
        Rows of the sample whose label is wrong.
    confidence : float
        In (0, 1).

    Raises
    ------
    InputError
        The labels have changed since the draw, or an answer is about another image.
    """
    if audit.seen != state.version:
        raise InputError("The labels have changed since these images were drawn.", "Draw them again.")
    bad = np.unique(np.asarray(wrong, np.int64))
    if not np.isin(bad, audit.sample).all():
        raise InputError("An answer is about an image that was not drawn.", "Answer for the images of the sample only.")
    sizes, checked, found = audit.sizes, audit.counts(audit.sample), audit.counts(bad)
    most = most_wrong(sizes, checked, found, confidence=confidence)
    total = len(audit.rows)
    bound = 1 - most / total
    least = math.floor(bound * 1000 + 1e-9) / 10
    rows, groups = grouped(audit.rows, [state.label_names[code] for code in state.codes[audit.rows].tolist()])
    shown = np.concatenate([bad, np.setdiff1d(audit.sample, bad)])
    told = f"{len(shown):,} of {images(total)} checked, {len(bad):,} wrong: at least {least:g}% of the labels are right"
    mine = int(np.count_nonzero(state.source == BY_YOU))
    if mine:
        told += f", {images(mine)} labelled by you not counted"
    detail = {
        "clusters": [],
        "checked": len(shown),
        "wrong": len(bad),
        "confidence": confidence,
        "bound": bound,
        "most_wrong": most,
        "label": None,
        "labels": [list(group) for group in groups],
        "audited": [
            [name, *counts]
            for name, *counts in zip(audit.names, sizes.tolist(), checked.tolist(), found.tolist(), strict=True)
        ],
        "anchors": len(shown),
        "run": state.run,
        "sentence": told,
    }
    blob = state.contents[rows].tobytes() + state.contents[shown].tobytes()
    return history.append("audit", detail, blob, version=state.version)
