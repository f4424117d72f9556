"""What Label does with the actions of its workbench that are its own; pages/shared/selected.py does the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.actions import Action
from engine.labels.around import parts_of
from engine.labels.log import Event
from engine.labels.state import Cluster
from pages.label.auditing import keep_audit, switch_audit
from pages.label.coach import not_now
from pages.label.inspector import show_older, twin_of
from pages.shared.actions import carry_out, do, say
from pages.shared.board import Board
from pages.shared.clusters import choose_clusters, filter_groups
from pages.shared.selected import Own, new_clusters
from pages.shared.state import choose, settle

GALLERY = "label"
_SUGGEST = "suggest_asked"
_REVIEW = "review_asked"
Rows = NDArray[np.int64]


def own_actions(board: Board, cluster: Cluster) -> Own:
    """Return the actions by name; each is given the action and the images that it is about."""
    doing = _Doing(board, cluster)
    return {
        "name": doing.name,
        "choose": lambda action, _rows: choose_clusters(action.values),
        "open_group": lambda action, _rows: choose(cluster=str(action.value)),
        "filter_groups": lambda action, _rows: filter_groups(action.text),
        "merge": doing.merge_by_key,
        "merge_twin": doing.merge_twin,
        "merge_groups": doing.merge_groups,
        "different": doing.different,
        "take": doing.take,
        "audit_start": lambda _action, _rows: switch_audit(board, cluster, True, gallery=GALLERY),
        "audit_stop": lambda _action, _rows: switch_audit(board, cluster, False, gallery=GALLERY),
        "audit_keep": doing.keep_audit,
        "next": doing.next,
        "not_now": lambda action, _rows: not_now(board, action.text, action.id, action.value),
        "suggest_names": lambda _action, _rows: settle(lambda: st.session_state.update({_SUGGEST: True})),
        "jump_back": lambda action, _rows: do(board.history.jump_back, action.value or 0),
        "older": lambda _action, _rows: show_older(),
    }


def names_asked() -> bool:
    """Return, once, whether suggestions for names were asked for."""
    return bool(settle(lambda: st.session_state.pop(_SUGGEST, False)))


def unnamed_first(board: Board) -> list[Cluster]:
    """Return the clusters, unnamed and large ones first."""
    return sorted(board.state.clusters, key=lambda cluster: (cluster.name is not None, -cluster.size))


@dataclass(frozen=True)
class _Doing:
    board: Board
    cluster: Cluster

    def name(self, action: Action, _rows: Rows) -> None:
        """Name a cluster and go on to the next that has no name."""
        board, text = self.board, action.text.strip()
        cluster = board.state.find(action.id) if action.id is not None else None
        if not text:
            return
        if cluster is None:
            say("The cluster that you named is no longer there; nothing was named.", ":material/info:")
            return
        following = [other for other in unnamed_first(board) if other.name is None and other.id != cluster.id]
        rename = partial(board.history.rename, board.state, cluster.id, text, include_yours=action.also)
        if text != board.state.title(cluster.id) and not carry_out(rename):
            return
        if following:
            choose(cluster=str(following[0].id))
        elif cluster.name is None:
            say("Every cluster has a name now.")

    def merge_by_key(self, action: Action, _rows: Rows) -> None:
        if twin := twin_of(self.board, self.cluster):
            self._merge([self.cluster.id, twin[0]], action)

    def merge_twin(self, action: Action, _rows: Rows) -> None:
        if action.id is not None and action.value is not None:
            self._merge([action.id, action.value], action)

    def merge_groups(self, action: Action, _rows: Rows) -> None:
        self._merge(list(action.values), action)

    def _merge(self, clusters: list[int], action: Action) -> None:
        history, state, label = self.board.history, self.board.state, action.text or None
        merge = partial(history.merge, state, clusters, label=label, include_yours=action.also)
        carry_out(merge, then=_after_merge)

    def different(self, action: Action, _rows: Rows) -> None:
        if action.id is not None and action.value is not None:
            do(self.board.history.apart, self.board.state, action.id, action.value)

    def take(self, action: Action, _rows: Rows) -> None:
        rows = np.flatnonzero(np.isin(self.board.rows.ids, action.values))
        if action.id is not None and len(rows):
            do(self.board.history.move, self.board.state, rows, action.id)

    def next(self, action: Action, _rows: Rows) -> None:
        """Do what was shown as the best thing to do next, or lead to where it is looked at."""
        board, kind = self.board, action.text
        cluster = board.state.find(action.id) if action.id is not None else None
        if kind in ("review", "accept"):
            show_review()
        elif cluster is None:
            say("The clusters have changed meanwhile.", ":material/info:")
        elif kind == "merge" and action.value is not None:
            self._merge([cluster.id, action.value], action)
        elif kind == "grow":
            self.take(action, _rows)
        elif kind == "split":
            rows = board.state.rows(cluster.id)
            split = partial(board.history.split, board.state, rows, parts_of(board.rows.vectors, rows, 2))
            carry_out(split, then=lambda event: _after_split(board, event))
        else:
            choose(cluster=str(cluster.id))
            if kind == "audit":
                switch_audit(board, cluster, True, gallery=GALLERY)

    def keep_audit(self, action: Action, _rows: Rows) -> None:
        wrong = action.ids if action.ids is not None else np.empty(0, np.int32)
        keep_audit(self.board, self.cluster, wrong, gallery=GALLERY)


def _after_split(board: Board, event: Event) -> None:
    made = new_clusters(board, event)
    if made:
        choose(cluster=str(made[0]))


def show_review() -> None:
    """Show Review from the next run on."""
    settle(lambda: st.session_state.update({_REVIEW: True}))


def review_asked() -> bool:
    """Return, once, whether Review is to be shown."""
    return bool(settle(lambda: st.session_state.pop(_REVIEW, False)))


def _after_merge(event: Event) -> None:
    choose(cluster=str(event.detail["into"]))
