"""How the simulated person goes on: they do what the Label page ranks first, look, answer, and do it again.

The ranking is `engine.labels.next_action`; what the person answers is all that the policy learns. What they saw of a
cluster without an action following stays in mind while its images are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.core.progress import SILENT, Progress
from engine.labels.next_action import (
    Evidence,
    Looked,
    Move,
    chances,
    may_name,
    next_actions,
    separation,
    sure_enough,
    weigh,
)
from engine.labels.sequential import FORGET, best_page, one_thing
from engine.labels.simulate.desk import Desk
from engine.labels.simulate.person import Person, commonest
from engine.labels.state import PERSONAL

Rows = NDArray[np.int64]
CHECKED = 36  # proposals that are looked at before many are accepted
BATCH = 12  # images taken in at one glance
MANY, NEARLY = 0.02, 0.15  # shares of all images, and of those without a label, that are accepted at once
LEAST_RATE = 0.6  # right labels per click below which the person stops


@dataclass
class Guided:
    """A person who follows the next best action.

    Parameters
    ----------
    desk : Desk
    person : Person
    most_clicks : int
        They stop after so many.
    progress : Progress
    """

    desk: Desk
    person: Person
    most_clicks: int = 1_000_000
    progress: Progress = SILENT
    looked: dict[int, tuple[int, Looked]] = field(default_factory=dict)  # cluster -> its size then, what was seen
    tried: set[tuple[str, int, int]] = field(default_factory=set)  # what came to nothing: kind, cluster, size
    outcomes: list[tuple[float, bool]] = field(default_factory=list)  # proposals: chance, whether it was right
    _separated: tuple[bytes, NDArray[np.float64]] | None = None

    def run(self) -> None:
        """Label until nothing is worth a click any more."""
        while self.desk.count.clicks < self.most_clicks:
            seen = self.evidence()
            labels = bool((self.desk.state.source != 0).any())
            proposals = self.desk.proposals() if labels and self.desk.state.label_names else None
            near = {} if self.desk.shown is None else {self.desk.shown: self.desk.near(self.desk.shown)}
            moves = next_actions(seen, shown=self.desk.shown, proposals=proposals, surer=self.surer, near=near)
            moves = [move for move in moves if self._open(move)]
            moves = [move for move in moves if move.kind != "accept" or self._worth_accepting(move, moves)]
            if not moves or moves[0].rate < LEAST_RATE:
                return
            self.carry_out(moves[0], seen)
            labelled = int(np.count_nonzero(self.desk.state.codes >= 0))
            self.progress.update(labelled, len(self.desk.contents), phase="Label", unit="images")

    def _worth_accepting(self, move: Move, moves: list[Move]) -> bool:
        """Return whether guesses are accepted now: many at once, since what is accepted is not proposed anew."""
        n = len(self.desk.contents)
        left = n - int(np.count_nonzero(self.desk.state.codes >= 0))
        others = max((other.rate for other in moves if other.kind != "accept"), default=0.0)
        return move.gain >= MANY * n or move.gain >= NEARLY * left or others < 1

    @property
    def surer(self) -> float:
        """Return the log odds by which proposals came out better than their chances said."""
        if not self.outcomes:
            return 0.0
        chance, right = (np.array(part, np.float64) for part in zip(*self.outcomes[-2 * CHECKED :], strict=True))
        odds = np.log(chance / (1 - chance))
        shift = 0.0
        for _ in range(20):  # Newton's steps for the most likely shift, with a normal prior of width 1
            value = 1 / (1 + np.exp(-(odds + shift)))
            shift += (float((right - value).sum()) - shift) / (float((value * (1 - value)).sum()) + 1)
        return shift

    def evidence(self) -> Evidence:
        """Return what the person knows."""
        desk, state = self.desk, self.desk.state
        if self._separated is None or self._separated[0] != desk.members:
            self._separated = desk.members, separation(desk.vectors, desk.prototypes, state.cluster)
        known = {
            cluster: seen
            for cluster, (size, seen) in self.looked.items()
            if (found := state.find(cluster)) is not None and found.size == size
        }
        return weigh(state, desk.prototypes, self._separated[1], looked=known)

    def carry_out(self, move: Move, seen: Evidence) -> None:
        """Do one thing as a person does: look first, then press."""
        match move.kind:
            case "name":
                self._name(move.cluster)
            case "validate":
                self._validate(move.cluster)
            case "split":
                self.desk.go(move.cluster)
                if self._glance(move.cluster):
                    return
                self.desk.split(move.cluster, move.other)
            case "merge":
                self._merge(move.cluster, move.other)
            case "grow":
                self._grow(move.cluster)
            case "audit":
                self._audit(move.cluster)
            case "review":
                self._review(move.label, move.images)
            case "accept":
                self._accept(seen)

    # -- clusters -------------------------------------------------------------------------------

    def _name(self, cluster: int) -> None:
        """Scroll through the gallery until it is clear whether it is one thing; name it if it is."""
        self.desk.go(cluster)
        rows = self.desk.odd_first(cluster)
        order = rows[np.argsort(_spread_out(len(rows)), kind="stable")]
        answers = np.empty(0, np.int64)
        verdict, wanted = None, -1
        for start in range(0, len(order), BATCH):
            answers = np.concatenate([answers, self.person.look(order[start : start + BATCH])])
            wanted = commonest(answers)
            verdict = one_thing(*_counted(answers, wanted))
            if verdict is not None:
                break
        self.desk.decide(len(answers))
        right, wrong = _counted(answers, wanted)
        if wanted < 0:
            self._give_up("name", cluster)
            return
        self._remember(cluster, right, wrong)
        seen = self.evidence()
        place = next(at for at, one in enumerate(seen.state.clusters) if one.id == cluster)
        if verdict or may_name(seen, place):
            self.desk.name(cluster, self.person.names[wanted])

    def _glance(self, cluster: int) -> bool:
        """Scroll through a gallery for the first time; return whether it was the first time."""
        if cluster in self.looked and self.looked[cluster][0] == self._size(cluster):
            return False
        rows = self.desk.odd_first(cluster)
        order = rows[np.argsort(_spread_out(len(rows)), kind="stable")][: 2 * BATCH]
        answers = self.person.look(order)
        self.desk.decide(len(order))
        self._remember(cluster, *_counted(answers, commonest(answers)))
        return True

    def _validate(self, cluster: int) -> None:
        """Tick what is odd and label it, name the cluster, confirm the rest."""
        self.desk.go(cluster)
        if self._glance(cluster):
            return
        state = self.desk.state
        rows = self.desk.odd_first(cluster)
        open_now = rows[~np.isin(state.source[rows], PERSONAL)]
        answers = self.person.look(open_now)
        self.desk.decide(len(open_now), 1 + int(np.count_nonzero(answers != commonest(answers))))
        wanted = commonest(answers)
        if wanted < 0:
            self._give_up("validate", cluster)
            return
        found = state.find(cluster)
        if found is not None and found.name is None:
            self.desk.name(cluster, self.person.names[wanted])
            self.desk.shown = cluster  # the odd ones were ticked before the name was entered
        elif found is not None and found.name in self.person.names:
            wanted = self.person.names.index(found.name)
        self._tick(open_now, answers, wanted)
        right = open_now[answers == wanted]
        if len(right):
            self.desk.press("all")
            self.desk.confirm(right)

    def _tick(self, rows: Rows, answers: Rows, wanted: int) -> None:
        """Label the images that are something else, kind by kind."""
        for kind in np.unique(answers[(answers >= 0) & (answers != wanted)]).tolist():
            odd = rows[answers == kind]
            self.desk.press("tick", len(odd))
            self.desk.label(odd, self.person.names[kind])

    def _merge(self, cluster: int, twin: int) -> None:
        """Look at a few images of both; merge where they are the same thing, else it is named instead."""
        self.desk.go(cluster)
        found = self.desk.prototypes
        one, other = (self.person.look(found.rows_of(each, 5)) for each in (cluster, twin))
        self.desk.decide(len(one) + len(other))
        if (
            self.desk.twin(cluster) == twin
            and commonest(one) == commonest(other)
            and _counted(one, commonest(one))[1] < 2
        ):
            self.desk.merge(cluster, twin)
        else:
            self.tried.add(("merge", cluster, self._size(cluster)))

    def _grow(self, cluster: int) -> None:
        """Take pages of the nearest images outside while they are right; their length follows from the answers."""
        found = self.desk.state.find(cluster)
        if found is None or found.name not in self.person.names:
            return
        wanted = self.person.names.index(found.name)
        right, wrong = 2.0, 1.0
        while len(near := self.desk.near(cluster)):
            page, promised = best_page(right, wrong, len(near))
            if promised < 1.5:
                break
            shown = near[:page]
            answers = self.person.look(shown)
            self.desk.decide(page)
            hits, misses = _counted(answers, wanted)
            right, wrong = FORGET * right + hits, FORGET * wrong + misses
            if misses == 0 and hits == page:
                self.desk.take(cluster, shown)
            else:
                self.desk.press("halve")
        self.tried.add(("grow", cluster, self._size(cluster)))

    def _audit(self, cluster: int) -> None:
        """Answer for each image of a random sample; what is wrong gets its label."""
        self.desk.go(cluster)
        found = self.desk.state.find(cluster)
        if found is None or found.name not in self.person.names:
            return
        wanted = self.person.names.index(found.name)
        sample = self.desk.to_audit(cluster)
        answers = self.person.look(sample)
        self.desk.decide(len(sample), 1 + int(np.count_nonzero((answers >= 0) & (answers != wanted))))
        wrong = sample[(answers >= 0) & (answers != wanted)]
        self.desk.audit(cluster, sample, wrong)
        for kind in np.unique(answers[(answers >= 0) & (answers != wanted)]).tolist():
            self.desk.label(sample[answers == kind], self.person.names[kind])
        self._remember(cluster, *_counted(answers, wanted))

    # -- proposals ------------------------------------------------------------------------------

    def _review(self, label: str, count: int) -> None:
        """Look at the surest proposals of a label, label what is odd, agree with the others."""
        desk = self.desk
        desk.open_review()
        desk.press("card")
        proposals = desk.proposals()
        at = np.flatnonzero(np.array(proposals.names) == label)
        at = at[np.argsort(-proposals.probability[at], kind="stable")]
        wanted = self.person.names.index(label)
        answers, wrong = np.empty(0, np.int64), 0.0
        for start in range(0, len(at), BATCH):
            batch = self.person.look(proposals.rows[at[start : start + BATCH]])
            answers = np.concatenate([answers, batch])
            odd = _counted(batch, wanted)[1]
            wrong += odd
            following = (odd + 0.5) / (len(batch) + 1.0)  # odd images expected of each further one
            if len(answers) >= count and 1 / following < len(answers) / (4 + wrong):
                break
        at = at[: len(answers)]
        rows = proposals.rows[at]
        desk.decide(len(rows), 1 + int(np.count_nonzero((answers >= 0) & (answers != wanted))))
        self._tick(rows, answers, wanted)
        right = rows[answers == wanted]
        if len(right):
            proposals = desk.proposals()
            names = np.array(proposals.names)
            still = np.flatnonzero(np.isin(proposals.rows, right) & (names == label))
            if len(still):
                desk.press("range")
                desk.agree(proposals, still)
            left = np.setdiff1d(right, proposals.rows[still])
            if len(left):  # what was proposed to them has changed meanwhile
                desk.press("tick", len(left))
                desk.label(left, label)
        if not (answers >= 0).any():
            self.tried.add((f"review {label}", -1, len(at)))

    def _accept(self, seen: Evidence) -> None:
        """Scroll through the surest proposals; accept them where they are as often right as was thought."""
        desk = self.desk
        desk.open_review()
        proposals = desk.proposals()
        chosen = sure_enough(seen, proposals, surer=self.surer)
        order = chosen[np.argsort(_spread_out(len(chosen)), kind="stable")][:CHECKED]
        answers = self.person.look(proposals.rows[order])
        desk.decide(len(order))
        self._note(proposals.rows[order], answers)
        still = sure_enough(seen, proposals, surer=self.surer)
        if len(still) >= 0.8 * len(chosen):
            desk.accept(proposals, still)

    # -- small steps ----------------------------------------------------------------------------

    def _note(self, rows: Rows, answers: Rows) -> None:
        """Remember which of the proposals for images that were looked at came out right."""
        if not self.desk.labels:
            return
        proposals = self.desk.proposals()
        place = np.full(len(self.desk.contents), -1)
        place[proposals.rows] = np.arange(len(proposals))
        chance = chances(proposals)
        for row, answer in zip(rows.tolist(), answers.tolist(), strict=True):
            if place[row] >= 0 and answer >= 0:
                self.outcomes.append(
                    (float(chance[place[row]]), proposals.names[place[row]] == self.person.names[answer])
                )

    def _open(self, move: Move) -> bool:
        kind = f"review {move.label}" if move.kind == "review" else move.kind
        size = self._size(move.cluster) if move.cluster >= 0 else move.images
        return (kind, move.cluster, size) not in self.tried

    def _size(self, cluster: int) -> int:
        found = self.desk.state.find(cluster)
        return found.size if found else 0

    def _remember(self, cluster: int, right: int, wrong: int) -> None:
        self.looked[cluster] = self._size(cluster), Looked(right, wrong)

    def _give_up(self, kind: str, cluster: int) -> None:
        """Leave alone what the person cannot tell anything about."""
        for each in (kind, "name", "validate", "split"):
            self.tried.add((each, cluster, self._size(cluster)))


def _counted(answers: Rows, wanted: int) -> tuple[int, int]:
    """Return how many answers name the wanted class, and how many another one."""
    return int(np.count_nonzero(answers == wanted)), int(np.count_nonzero((answers >= 0) & (answers != wanted)))


def _spread_out(count: int) -> NDArray[np.float64]:
    """Return for each place in a gallery when a person who scrolls through it evenly, finer each time, comes by."""
    places = np.arange(count)
    turn = np.zeros(count)
    for bit in range(max(int(count - 1).bit_length(), 1)):
        turn = turn * 2 + (places >> bit & 1)
    return turn
