"""The queue of Review: images with a proposed label by what is proposed, each answered by a key.

Spread labels, suggestions of imports and probable label errors are lists of the same kind; a `Look` says what differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import DEFAULT_KEYS, Action
from components.gallery.face import GalleryPane, gallery_order
from components.workbench.face import GroupsPane, workbench
from components.workbench.protocol import GroupItem
from engine.images.sources import shown as readable
from engine.labels.proposals import Proposals
from pages.shared.actions import do
from pages.shared.board import Board
from pages.shared.clusters import filter_groups
from pages.shared.held import hold
from pages.shared.label_keys import key_labels
from pages.shared.marks import MARK_NAMES, marks
from pages.shared.selected import act, bar_of
from pages.shared.state import settle

GALLERY = "review"
_GROUPS = "review_groups"
_UNKNOWN = 101  # in place of a chance in percent where a file said none
_ORDERS = {"unsure": "least certain first", "sure": "surest first"}
_KEYS = {
    **{key: action for key, action in DEFAULT_KEYS.items() if action in ("label", "reject", "undo", "redo")},
    "y": "agree",
}


@dataclass(frozen=True)
class Look:
    """How a list of proposals is shown.

    Attributes
    ----------
    name : str
        Names the list.
    mark : str
        Who proposes, for the legend.
    none : str
        What is said where nothing waits.
    orders : mapping of str to str
        "unsure" and "sure" with their titles; the first is the order at first.
    keys : mapping of str to str
        Keys with their actions beside those of every list.
    hints : mapping of str to str
        What these keys do.
    corrects : bool
        The images have a label already, which is shown before the proposed one.
    """

    name: str
    mark: str
    none: str
    orders: Mapping[str, str] = field(default_factory=lambda: _ORDERS)
    keys: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    corrects: bool = False


def queue(board: Board, found: Proposals, look: Look) -> None:
    """Draw the images with a proposal."""
    name, first = look.name, next(iter(look.orders))
    order = gallery_order(GALLERY, first)
    order = order if order in look.orders else first
    asked = chosen_groups(found)
    certain = np.lexsort((found.margin, found.probability))
    certain = certain[np.isin(np.array(found.names)[certain], asked)] if asked else certain
    fresh = found.rows[certain if order == "unsure" else certain[::-1]]
    view = f"{board.run.folder.name}-{board.rows.embedding.key}-{name}-{order}-{sorted(asked)}"
    rows, version, stale = hold(GALLERY, view, fresh)
    if not len(rows) and not found.stale:
        st.success(look.none, icon=":material/check:")
        return
    if not len(found) and not found.stale:
        st.caption(f"{look.none} Those that you have just seen stay in view.")
    place = np.full(len(board.rows), -1)
    place[found.rows] = np.arange(len(found.rows))
    at = place[rows]

    def captions(wanted: NDArray[np.int64]) -> list[str]:
        said = []
        for row, open_at in zip(rows[wanted], at[wanted], strict=True):
            label = board.state.label_of(row)
            guess = _guess(found, int(open_at)) if open_at >= 0 else label or "no label"
            guess = f"{label} \u2192 {guess}" if look.corrects and open_at >= 0 else guess
            said.append(f"{readable(board.rows.paths[row])} · {guess}")
        return said

    def agree(action: Action, concerned: NDArray[np.int64]) -> None:
        agree_with(board, found, place[concerned][place[concerned] >= 0], looked_at=not action.together)

    def accept(action: Action, _rows: NDArray[np.int64]) -> None:
        names = [titles[group] for group in action.values if 0 <= group < len(titles)]
        agree_with(board, found, np.flatnonzero(np.isin(np.array(found.names), names)), looked_at=False)

    def choose_groups(action: Action, _rows: NDArray[np.int64]) -> None:
        names = [titles[group] for group in action.values if 0 <= group < len(titles)]
        settle(lambda: st.session_state.update({_GROUPS: names}))

    own = {
        "agree": agree,
        "accept": accept,
        "choose": choose_groups,
        "filter_groups": lambda action, _rows: filter_groups(action.text),
    }
    titles = _titles(found)

    def on_actions(actions: Sequence[Action]) -> None:
        act(board, actions, gallery=GALLERY, own=own)

    reported = workbench(
        GALLERY,
        kind="review",
        gallery=GalleryPane(
            ids=board.rows.ids[rows],
            version=version,
            view=view,
            stale=stale,
            captions=captions,
            **_marks(board, found, rows, at, look),
            badges_version=f"{name}-{version}-{board.version}",
            chips=key_labels(board),
            hints={"Y": "agree", **look.hints, "X": "set aside", "Ctrl+Z": "undo", "?": "all keys"},
            orders=dict(look.orders),
            order=order,
            keys={**_KEYS, **look.keys},
            buttons={},
            label="Images with a proposal",
        ),
        groups=GroupsPane(
            items=lambda: _groups(board, found),
            version=f"{name}-{board.version}",
            chosen=[titles.index(name) for name in asked],
            heading="Proposed labels",
            filter=str(st.query_params.get("filter", "")),
            sorts={"size": "by number", "name": "by name"},
            actions={"accept": "Agree with all of these"},
        ),
        bar=bar_of(board, {"agree": "Agree"}),
        on_actions=on_actions,
    )
    if actions := reported.gallery.actions:
        on_actions(actions)
        st.rerun()


def _guess(found: Proposals, at: int) -> str:
    """Return a proposal in words, with its chance where one is known."""
    chance = found.probability[at]
    return f"{found.names[at]}?" if np.isnan(chance) else f"{found.names[at]}? {chance:.0%}"


def _titles(found: Proposals) -> list[str]:
    """Return the proposed labels, in the order of their names: the number of each is its place."""
    return sorted({str(name) for name in found.names})


def chosen_groups(found: Proposals) -> list[str]:
    """Return the proposed labels that are looked at; none for all."""
    chosen = st.session_state.get(_GROUPS, [])
    return [name for name in _titles(found) if name in chosen]


def _groups(board: Board, found: Proposals) -> list[GroupItem]:
    """Return a card for each proposed label, with the surest images."""
    known = {name: code for code, name in enumerate(board.state.label_names)}
    pictures = board.rows.dataset.kind != "vectors"
    items: list[GroupItem] = []
    for place, name in enumerate(_titles(found)):
        at = np.flatnonzero(np.array(found.names) == name)
        surest = at[np.argsort(-found.probability[at], kind="stable")]
        items.append(
            {
                "id": place,
                "title": f"{name}?",
                "size": len(at),
                "named": True,
                "quality": None,
                "color": known.get(name, place),
                "looks": board.rows.ids[found.rows[surest[:4]]].tolist() if pictures else [],
                "note": "",
                "why": "",
            }
        )
    return items


def _marks(
    board: Board, found: Proposals, rows: NDArray[np.int64], at: NDArray[np.int64], look: Look
) -> dict[str, Any]:
    """Return the marks of a gallery: the proposed label with its chance, or what the person has said by now."""
    given = marks(board, rows)
    names = list(given["badge_names"])
    percent = np.rint(100 * np.nan_to_num(found.probability, nan=_UNKNOWN / 100)).astype(np.int64)
    codes = {name: code for code, name in enumerate(sorted(set(found.names)))}
    proposed = np.array([codes[name] for name in found.names], np.int64) * (_UNKNOWN + 1) + percent
    has = board.state.codes[found.rows] if look.corrects else np.full(len(found), -1)
    kinds, kind_of = np.unique(proposed * (len(names) + 1) + has + 1, return_inverse=True)
    titles = list(codes)
    words, colors = [], list(range(len(names)))
    known = {name: code for code, name in enumerate(names)}
    for kind in kinds.tolist():
        rest, was = divmod(kind, len(names) + 1)
        code, chance = divmod(rest, _UNKNOWN + 1)
        word = f"{titles[code]}?" if chance == _UNKNOWN else f"{titles[code]} {chance}%"
        words.append(f"{names[was - 1]} \u2192 {word}" if was else word)
        colors.append(known.get(titles[code], code))
    open_now = at >= 0
    given["badges"][open_now] = 1 + len(names) + kind_of[at[open_now]]
    given["marks"][open_now] = len(MARK_NAMES) + 1
    return given | {
        "badge_names": [*names, *words],
        "badge_colors": colors,
        "mark_names": (*MARK_NAMES, ("guess", look.mark)),
    }


def agree_with(board: Board, found: Proposals, at: NDArray[np.int64], *, looked_at: bool = True) -> None:
    """Give some images the label proposed to each: picked ones by the person, the rest as accepted guesses."""
    do(partial(board.history.accept, board.state, found, at, looked_at=looked_at))
