"""Review: labels spread from the images that have one to those that have none, the least certain first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from components.actions import DEFAULT_KEYS, Action
from components.gallery.face import GalleryPane, gallery_order
from components.workbench.face import GroupsPane, workbench
from components.workbench.protocol import GroupItem
from engine.images.sources import shown as readable
from engine.labels.calibration import FEWEST
from engine.labels.proposals import (
    Proposals,
    Spread,
    is_stale,
    open_proposals,
    open_suggestions,
    spread,
    spreads_quickly,
)
from pages.shared.actions import do, pressed
from pages.shared.board import Board, graph_for
from pages.shared.clusters import filter_groups
from pages.shared.held import hold
from pages.shared.job_view import job_view
from pages.shared.label_keys import key_labels
from pages.shared.marks import MARK_NAMES, marks
from pages.shared.selected import act, bar_of
from pages.shared.state import settle
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

GALLERY = "review"
_GROUPS = "review_groups"
_FROM_FILES, _FROM_NEIGHBOURS = "Imported", "From neighbours"
_UNKNOWN = 101  # in place of a chance in percent where a file said none
_LEAST = 10  # percent; what is less sure is looked at one by one
_ORDERS = {"unsure": "least certain first", "sure": "surest first"}
_KEYS = {
    **{key: action for key, action in DEFAULT_KEYS.items() if action in ("label", "reject", "undo", "redo")},
    "y": "agree",
}


def review(board: Board) -> None:
    """Draw the view."""
    now = board.now
    if _imported(board):
        return
    config = {"config_key": board.rows.embedding.config_key, "run": str(board.run.folder)}
    job = newest(now.workspace, "spread", board.rows.dataset, **config)
    if job_view(job):
        return
    if not (board.state.given >= 0).any():
        st.info("No image has a label yet. Name a cluster or label a few images; then their labels can spread.")
        return
    st.markdown(
        f":gray[The labels of {count(int((board.state.given >= 0).sum()), 'image')} spread to their neighbours. "
        "Look at the least certain first.]"
    )
    done = job is not None and job.state == "done"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if pressed(
            "Spread the labels again" if done else "Spread the labels",
            key="spread",
            icon=":material/hub:",
            type="secondary" if done else "primary",
        ):
            start_job(now.workspace, "spread", "Spreading the labels", board.rows.dataset, **config)
            st.rerun()
        places = st.container(horizontal=True, vertical_alignment="bottom", key="review_row")
    if job is not None and done:
        found = _open_proposals(board, job.folder)
        _head(board, found, places)
        _queue(board, found, job.folder.name)


def _imported(board: Board) -> bool:
    """Offer what imports suggest, where something of it waits; return whether that is looked at."""
    waiting = open_suggestions(board.state)
    if not len(waiting):
        return False
    asked = st.segmented_control(
        "Proposals",
        [_FROM_FILES, _FROM_NEIGHBOURS],
        default=_FROM_FILES,
        required=True,
        key="review_origin",
        label_visibility="collapsed",
    )
    if asked != _FROM_FILES:
        return False
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":gray[{count(len(waiting), 'label')} suggested by imports.]", width="content")
        st.button(
            f"Accept {count(len(waiting), 'suggestion')}",
            key="review_accept_all",
            icon=":material/label:",
            help="Each image gets the label suggested to it; one undo takes all back",
            on_click=_agree,
            args=(board, waiting, np.arange(len(waiting))),
            kwargs={"looked_at": False},
        )
    _queue(board, waiting, _FROM_FILES)
    return True


def _head(board: Board, found: Proposals, places: DeltaGenerator) -> None:
    """Say what spread labels rest on; what accepts the surest stands in `places`."""
    if found.stale:
        st.info("The labels have changed since these proposals were made. Spread them again.")
    with places:
        _accept(board, found)
    if not found.stale:
        st.caption(_how_checked(found))


def _queue(board: Board, found: Proposals, name: str) -> None:
    """Draw the images with a proposal; `name` is that of the list."""
    order = gallery_order(GALLERY, "unsure")
    asked = chosen_groups(found)
    certain = np.lexsort((found.probability, found.margin))
    certain = certain[np.isin(np.array(found.names)[certain], asked)] if asked else certain
    fresh = found.rows[certain if order == "unsure" else certain[::-1]]
    view = f"{board.run.folder.name}-{board.rows.embedding.key}-{name}-{order}-{sorted(asked)}"
    rows, version, stale = hold(GALLERY, view, fresh)
    if not len(rows) and not found.stale:
        st.success("Every image near a labelled one has its label.", icon=":material/check:")
        return
    if not len(found) and not found.stale:
        st.caption("Every image near a labelled one has its label. Those that you have just seen stay in view.")
    place = np.full(len(board.rows), -1)
    place[found.rows] = np.arange(len(found.rows))
    at = place[rows]

    def captions(wanted: NDArray[np.int64]) -> list[str]:
        said = []
        for row, open_at in zip(rows[wanted], at[wanted], strict=True):
            label = board.state.label_of(row)
            guess = _guess(found, int(open_at)) if open_at >= 0 else label or "no label"
            said.append(f"{readable(board.rows.paths[row])} · {guess}")
        return said

    def agree(action: Action, concerned: NDArray[np.int64]) -> None:
        _agree(board, found, place[concerned][place[concerned] >= 0], looked_at=not action.together)

    def accept(action: Action, _rows: NDArray[np.int64]) -> None:
        names = [titles[group] for group in action.values if 0 <= group < len(titles)]
        _agree(board, found, np.flatnonzero(np.isin(np.array(found.names), names)), looked_at=False)

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
            **_marks(board, found, rows, at),
            badges_version=f"{name}-{version}-{board.version}",
            chips=key_labels(board),
            hints={"Y": "agree", "X": "set aside", "Ctrl+Z": "undo", "?": "all keys"},
            orders=_ORDERS,
            order=order,
            keys=_KEYS,
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
            }
        )
    return items


def _marks(board: Board, found: Proposals, rows: NDArray[np.int64], at: NDArray[np.int64]) -> dict[str, Any]:
    """Return the marks of a gallery: the proposed label with its chance, or what the person has said by now."""
    given = marks(board, rows)
    names = list(given["badge_names"])
    percent = np.rint(100 * np.nan_to_num(found.probability, nan=_UNKNOWN / 100)).astype(np.int64)
    codes = {name: code for code, name in enumerate(sorted(set(found.names)))}
    proposed = np.array([codes[name] for name in found.names], np.int64) * (_UNKNOWN + 1) + percent
    kinds, kind_of = np.unique(proposed, return_inverse=True)
    titles = list(codes)
    parts = [divmod(kind, _UNKNOWN + 1) for kind in kinds.tolist()]
    words = [f"{titles[code]}?" if chance == _UNKNOWN else f"{titles[code]} {chance}%" for code, chance in parts]
    open_now = at >= 0
    given["badges"][open_now] = 1 + len(names) + kind_of[at[open_now]]
    given["marks"][open_now] = len(MARK_NAMES) + 1
    known = {name: code for code, name in enumerate(names)}
    colors = [*range(len(names)), *(known.get(titles[code], code) for code, _ in parts)]
    return given | {
        "badge_names": [*names, *words],
        "badge_colors": colors,
        "mark_names": (
            *MARK_NAMES,
            ("guess", "suggested by an import" if found.origin == "import" else "proposed by its neighbours"),
        ),
    }


def _open_proposals(board: Board, folder: Path) -> Proposals:
    """Return what can be accepted now; spread anew at once where the labels have changed and it takes no time."""
    made = Spread.read(folder / "spread.npz")
    if is_stale(board.state, made) and spreads_quickly(board.state):
        made = _spread(board, board.version)
    return open_proposals(board.state, made)


@st.cache_resource(show_spinner="Spreading the labels", max_entries=2)
def _spread(_board: Board, version: str) -> Spread:
    return spread(graph_for(_board.now, _board.rows), _board.state)


def _accept(board: Board, found: Proposals) -> None:
    """Take all proposals that are sure enough, by one button; where there are none, say at which setting there are."""
    least = st.slider("At least so sure", _LEAST, 100, 90, format="%d%%", key="review_least", width=220)
    sure = found.at_least(least / 100)
    if not len(sure):
        st.markdown(f":gray[{_why_none(found, least)}]", width="content")
        return
    st.button(
        f"Label {count(len(sure), 'image')}",
        key="review_accept",
        icon=":material/label:",
        help="Each gets the label proposed to it; one undo takes all back",
        on_click=_agree,
        args=(board, found, sure),
        kwargs={"looked_at": False},
    )


def _how_checked(found: Proposals) -> str:
    """Say what the chances rest on."""
    if found.checked:
        return (
            f"The chances are checked on {count(found.checked, 'image')} that you labelled: each was hidden once, and "
            f"{found.right:,} of them were proposed your label."
        )
    return (
        f"The chances are not checked yet and are mostly too low. Label {FEWEST} images one by one; then they are "
        "checked against your labels."
    )


def _why_none(found: Proposals, least: int) -> str:
    """Say why no image can be labelled at this setting, and how many could be at a lower one."""
    if found.stale or not len(found):
        return "Nothing is proposed now."
    surest = float(found.probability.max())
    lower = min(int(10 * surest) * 10, least - 1)
    reach = len(found.at_least(lower / 100))
    if lower < _LEAST or not reach:
        return f"No image reaches {least}%; the surest of {count(len(found), 'proposal')} reaches {surest:.0%}."
    return f"No image reaches {least}%; {reach:,} {'reaches' if reach == 1 else 'reach'} {lower}%."


def _agree(board: Board, found: Proposals, at: NDArray[np.int64], *, looked_at: bool = True) -> None:
    """Give some images the label proposed to each: picked ones by the person, the rest as accepted guesses."""
    do(partial(board.history.accept, board.state, found, at, looked_at=looked_at))
