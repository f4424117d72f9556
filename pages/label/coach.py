"""What to do next: the three best actions by the right labels that a click of each adds, and how much is left to gain.

The figures come from the model that the simulated annotator uses, too (engine/labels/next_action.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.workbench.protocol import NextItem, NextMessage
from engine.labels.next_action import Move, forecast, next_actions, separation, weigh
from engine.labels.proposals import Proposals, Spread, open_proposals
from engine.labels.quality import three_digits
from engine.labels.state import Cluster, LabelState
from pages.shared.board import Board
from pages.shared.state import settle
from pages.shared.tasks import newest
from pages.shared.words import count

SHOWN = 3
_SKIPPED = "not_now"
_AHEAD = 100  # clicks that the stop line looks ahead
_LEADS = ("name", "validate", "audit", "review", "accept")  # these open what is to be looked at; nothing is written yet


def next_message(board: Board, cluster: Cluster, near: NDArray[np.int64]) -> NextMessage:
    """Return what the inspector shows; `near` are the images that could join the cluster, nearest first."""
    config = {"config_key": board.rows.embedding.config_key, "run": str(board.run.folder)}
    job = newest(board.now.workspace, "spread", board.rows.dataset, **config)
    folder = job.folder if job is not None and job.state == "done" else None
    moves = _moves(board, cluster.id, near, folder, f"{board.version}-{cluster.id}-{folder}")
    state = board.state
    ids = board.rows.ids[near].tolist()
    return {
        "moves": [_item(state, move, ids) for move in _distinct(_wanted(board, moves))[:SHOWN]],
        "stop": stop_line(state, moves),
    }


def not_now(board: Board, what: str, cluster: int | None, other: int | None) -> None:
    """Keep a move off the list for this session; `what` is its kind and label."""
    skipped = settle(lambda: st.session_state.setdefault(_SKIPPED, set()))
    skipped.add((board.run.folder.name, what, -1 if cluster is None else cluster, -1 if other is None else other))


def _wanted(board: Board, moves: list[Move]) -> list[Move]:
    """Return the moves without those that the person does not want now."""
    skipped = settle(lambda: st.session_state.get(_SKIPPED, set()))
    name = board.run.folder.name
    return [move for move in moves if (name, f"{move.kind} {move.label}", move.cluster, move.other) not in skipped]


def _distinct(moves: list[Move]) -> list[Move]:
    """Return the best move for each cluster and each proposed label."""
    best: dict[tuple[int, str], Move] = {}
    for move in moves:
        best.setdefault((move.cluster, move.label), move)
    return list(best.values())


@st.cache_resource(show_spinner=False, max_entries=32)
def _moves(_board: Board, cluster: int, _near: NDArray[np.int64], _folder: Path | None, key: str) -> list[Move]:
    state = _board.state
    separated = _separation(_board, _board.members)
    proposals = _proposals(state, _folder)
    return next_actions(
        weigh(state, _board.prototypes, separated), shown=cluster, proposals=proposals, near={cluster: _near}
    )


@st.cache_resource(show_spinner=False, max_entries=6)
def _separation(_board: Board, members: str) -> NDArray[np.float64]:
    return separation(_board.rows.vectors, _board.prototypes, _board.state.cluster)


def _proposals(state: LabelState, folder: Path | None) -> Proposals | None:
    """Return what Review offers, as far as labels have been spread and are as they were then."""
    if folder is None or not (folder / "spread.npz").exists():
        return None
    return open_proposals(state, read_spread(folder))


@st.cache_resource(show_spinner=False, max_entries=2)
def read_spread(folder: Path) -> Spread:
    """Return what a finished job has spread."""
    return Spread.read(folder / "spread.npz")


def _item(state: LabelState, move: Move, near: list[int]) -> NextItem:
    gain, clicks = round(move.gain), max(1, round(move.clicks))
    return {
        "kind": move.kind,
        "words": words(state, move),
        "figure": f"+{three_digits(gain) if gain else 'under 1'} right, {count(clicks, 'click')}",
        "cluster": move.cluster,
        "other": move.other,
        "label": move.label,
        "ids": near[: move.images] if move.kind == "grow" else [],
        "leads": move.kind in _LEADS,
    }


def words(state: LabelState, move: Move) -> str:
    """Return what a move is, as a person would be told."""
    title = state.title(move.cluster) if move.cluster >= 0 else ""
    match move.kind:
        case "name":
            return f"Name {title}"
        case "validate":
            return f"Validate {title}"
        case "grow":
            return f"Take {count(move.images, 'image')} into {title}"
        case "merge":
            return f"Merge {title} into {state.title(move.other)}"
        case "split":
            return f"Split {title} in two"
        case "audit":
            return f"Audit {title}"
        case "review":
            return (
                f"Review {count(move.images, 'image')} proposed as {move.label}" if move.label else "Spread the labels"
            )
        case _:
            return f"Accept {count(move.images, 'proposal')} on Review"


def stop_line(state: LabelState, moves: list[Move]) -> str:
    """Return how much has a label, and what the next clicks add."""
    total = len(state)
    labelled = int(np.count_nonzero(state.codes >= 0))
    share = 100 * labelled / max(total, 1)
    shown = "All" if labelled == total else f"{np.floor(share):.0f}%"
    added = min(100 * forecast(moves, _AHEAD) / max(total, 1), 100 - share)  # moves on the same images count once
    if added < 0.05:
        return f"{shown} labelled; further clicks add next to nothing."
    return f"{shown} labelled; the next {_AHEAD} clicks add about {_percent(added)}."


def _percent(value: float) -> str:
    """Return a percentage with at most two digits: 41%, 3.2%, .4%."""
    if value >= 10:
        return f"{value:.0f}%"
    return f"{value:.1f}%".removeprefix("0").replace(".0%", "%")
