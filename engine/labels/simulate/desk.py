"""The workbench without a screen: what can be pressed there, carried out by the same functions, each press counted.

A `Desk` holds a data set's history over one clustering. Its methods are the actions of Label and Review; each calls the
function of the engine that the page calls and adds the clicks of `costs.CLICKS`. It knows no truth.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.core.catalog import open_catalog
from engine.core.ids import Ids
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.prototypes import Prototypes, prototypes
from engine.labels.around import could_join, nearest_outside, parts_of, twin_of
from engine.labels.audit import audit_sample
from engine.labels.events import LabelHistory
from engine.labels.log import Event
from engine.labels.proposals import Proposals, Spread, is_stale, open_proposals, spread
from engine.labels.simulate.costs import CLICKS, label_clicks
from engine.labels.state import LabelState

Rows = NDArray[np.int64]
NAME = "simulated"
AUDITED = 59


@dataclass
class Count:
    """What has been done so far.

    Attributes
    ----------
    clicks, decisions, looks, letters : int
        Presses; answers given; images looked at; letters of labels that were new.
    by_kind : Counter
        Clicks of each kind of action.
    """

    clicks: int = 0
    decisions: int = 0
    looks: int = 0
    letters: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)


def scratch_history(workspace: Workspace) -> LabelHistory:
    """Return an empty history in a workspace of its own, for one simulation."""
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute(
            "INSERT INTO dataset (id, name, kind, location, created) VALUES (?, ?, 'vectors', x'', 0)", (NAME, NAME)
        )
    return LabelHistory(workspace, NAME)


class Desk:
    """One clustering of a data set on the workbench.

    Parameters
    ----------
    history : LabelHistory
        Where the events go.
    contents : (n,) S16
    vectors : (n, d) float32
    graph : NeighborGraph
        Of the vectors.
    base : (n,) int32
        The clustering, -1 for noise.
    after : function, optional
        Called after every event, to keep the curve.
    """

    def __init__(
        self,
        history: LabelHistory,
        contents: Ids,
        vectors: Vectors,
        graph: NeighborGraph,
        base: NDArray[np.int32],
        *,
        after: Callable[[LabelState, Count], None] | None = None,
    ) -> None:
        self.history, self.contents, self.vectors, self.graph, self.base = history, contents, vectors, graph, base
        self.count = Count()
        self.labels: list[str] = []  # in the order in which they were first given: the digits
        self.shown: int | None = None  # the cluster that is open
        self.reviewing = False
        self._after = after
        self._members: tuple[bytes, Prototypes] | None = None
        self._spread: Spread | None = None

    # -- what is seen ---------------------------------------------------------------------------

    @property
    def state(self) -> LabelState:
        """The labels as they are."""
        return self.history.state(self.contents, self.base, run=NAME)

    @property
    def members(self) -> bytes:
        """Names who is in which cluster."""
        return hashlib.blake2b(self.state.cluster.tobytes(), digest_size=16).digest()

    @property
    def prototypes(self) -> Prototypes:
        """The centres of the clusters and how typical each image is."""
        if self._members is None or self._members[0] != self.members:
            self._members = self.members, prototypes(self.vectors, self.state.cluster)
        return self._members[1]

    def odd_first(self, cluster: int) -> Rows:
        """Return the images of a cluster in the order of its gallery."""
        rows = self.state.rows(cluster)
        return rows[np.argsort(np.nan_to_num(self.prototypes.typicality[rows], nan=-2.0), kind="stable")]

    def twin(self, cluster: int) -> int | None:
        """Return the cluster that "Same thing?" offers."""
        found = self.state.find(cluster)
        twin = twin_of(self.state, self.prototypes, found) if found else None
        return twin[0] if twin else None

    def near(self, cluster: int) -> Rows:
        """Return the images that "Grow" offers, nearest first."""
        found = self.state.find(cluster)
        if found is None:
            return np.empty(0, np.int64)
        return could_join(self.state, found, nearest_outside(self.vectors, self.prototypes, self.state, cluster))

    def proposals(self) -> Proposals:
        """Return what Review offers; the labels are spread anew where they have changed."""
        state = self.state
        if self._spread is None or is_stale(state, self._spread):
            self._spread = spread(self.graph, state)
        return open_proposals(state, self._spread)

    # -- what is pressed ------------------------------------------------------------------------

    def press(self, what: str, times: int = 1, *, clicks: int | None = None) -> None:
        """Count presses of one kind."""
        made = (CLICKS[what] if clicks is None else clicks) * times
        self.count.clicks += made
        self.count.by_kind[what] += made

    def decide(self, looked_at: int, answers: int = 1) -> None:
        """Count answers, and the images that were looked at for them."""
        self.count.decisions += answers
        self.count.looks += looked_at

    def go(self, cluster: int) -> None:
        """Open a cluster on Label."""
        self.leave_review()
        if cluster != self.shown:
            self.press("go")
            self.shown = cluster

    def open_review(self) -> None:
        """Open Review."""
        if not self.reviewing:
            self.press("review")
            self.reviewing = True

    def leave_review(self) -> None:
        """Go back to the clusters."""
        if self.reviewing:
            self.press("review")
            self.reviewing = False

    def name(self, cluster: int, label: str) -> Event:
        """Name a cluster; the largest cluster without a name follows."""
        self.go(cluster)
        self.typed(label)
        self.press("name")
        event = self.history.rename(self.state, cluster, label)
        following = sorted(
            (one for one in self.state.clusters if one.name is None and one.id != cluster), key=lambda one: -one.size
        )
        self.shown = following[0].id if following else cluster
        return self._done(event)

    def label(self, rows: Rows, label: str) -> Event:
        """Label images that were ticked (the ticks are counted by who ticks)."""
        self.press("label", clicks=self._label_cost(label))
        self.typed(label)
        return self._done(self.history.label(self.state, rows, label))

    def aside(self, rows: Rows) -> Event:
        """Set ticked images aside."""
        self.press("aside")
        return self._done(self.history.reject(self.state, rows))

    def confirm(self, rows: Rows) -> Event:
        """Say that selected images, each looked at, are right."""
        self.press("confirm")
        return self._done(self.history.confirm(self.state, rows))

    def split(self, cluster: int, parts: int) -> Event:
        """Split all images of a cluster into parts; the largest part follows."""
        self.go(cluster)
        self.press("split")
        rows, known = self.state.rows(cluster), {one.id for one in self.state.clusters}
        event = self.history.split(self.state, rows, parts_of(self.vectors, rows, parts))
        made = [one for one in self.state.clusters if one.id not in known]
        self.shown = made[0].id if made else None
        return self._done(event)

    def merge(self, cluster: int, twin: int) -> Event:
        """Merge a cluster with its twin."""
        self.go(cluster)
        self.press("merge")
        event = self.history.merge(self.state, [cluster, twin])
        self.shown = int(event.detail["into"])
        return self._done(event)

    def apart(self, cluster: int, twin: int) -> Event:
        """Say that a cluster and its twin are different."""
        self.go(cluster)
        self.press("apart")
        return self._done(self.history.apart(self.state, cluster, twin))

    def take(self, cluster: int, rows: Rows) -> Event:
        """Take a page of near images into a cluster."""
        self.go(cluster)
        self.press("take")
        return self._done(self.history.move(self.state, rows, cluster))

    def to_audit(self, cluster: int) -> Rows:
        """Return the random sample of a cluster's audit."""
        rows = self.state.to_audit(cluster)
        return audit_sample(rows, min(AUDITED, len(rows)))

    def audit(self, cluster: int, shown: Rows, wrong: Rows) -> Event:
        """Keep the answers of an audit."""
        self.go(cluster)
        self.press("audit")
        self.press("tick", len(wrong))
        return self._done(self.history.audit(self.state, cluster, shown=shown, wrong=wrong))

    def agree(self, proposals: Proposals, at: Rows) -> Event:
        """Agree with proposals that were selected and looked at."""
        self.press("agree")
        return self._done(self.history.accept(self.state, proposals, at, looked_at=True))

    def accept(self, proposals: Proposals, at: Rows) -> Event:
        """Accept all proposals that are sure enough, without a look."""
        self.open_review()
        self.press("accept")
        return self._done(self.history.accept(self.state, proposals, at))

    def _label_cost(self, label: str) -> int:
        return label_clicks(self.labels.index(label) if label in self.labels else len(self.labels))

    def label_cost(self, names: Sequence[str]) -> int:
        """Return the presses that give each of some labels to what is selected."""
        return sum(self._label_cost(name) for name in names)

    def typed(self, label: str) -> None:
        """Count the letters of a label that is new."""
        if label not in self.labels:
            self.labels.append(label)
            self.count.letters += len(label)

    def _done(self, event: Event) -> Event:
        if self._after is not None:
            self._after(self.state, self.count)
        return event
