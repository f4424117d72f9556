"""The append-only log of label events of one data set, in the catalog's table `event`.

An event is never changed or deleted: undo and redo are events too. What holds now is the set of *effective*
events, and every reader works it out from the log alone, so two windows that read the same log see the same labels.
"""

from __future__ import annotations

import gc
import json
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from engine.core import ids
from engine.core.catalog import append_event, changes, made_in, made_where, open_catalog
from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.images.identity import follow_carry

LABEL_LIMIT = 200
ACTIONS = (
    "rename",
    "name",
    "label",
    "confirm",
    "merge",
    "split",
    "move",
    "reject",
    "lock",
    "unlock",
    "apart",
    "audit",
    "carry",
    "import",
    "suggest",
)


def clean_label(text: str) -> str:
    """Return a label name as it is stored: NFC, runs of white space as one space, at most 200 characters.

    Slashes, emoji and right-to-left text are kept; exports make names safe for file systems.

    Raises
    ------
    InputError
        Empty, longer than 200 characters, or with control characters that no screen can show.
    """
    label = " ".join(unicodedata.normalize("NFC", text).split())
    if not label:
        raise InputError("A label needs a name.", "Type at least one character.")
    if len(label) > LABEL_LIMIT:
        raise InputError(
            f"A label may have {LABEL_LIMIT} characters; this one has {len(label):,}.", "Choose a shorter name."
        )
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in label):
        raise InputError("A label may not contain control characters.", "Type the name instead of pasting it.")
    return label


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a person did to the labels.

    Attributes
    ----------
    id : int
        Its place in the catalog; grows with every event of any data set.
    made : float
        Unix time.
    kind : str
        One of `ACTIONS`, or undo, redo.
    detail : dict
        What was done, as JSON: run and cluster it was made on, labels, targets, the sentence.
    blob : bytes
        Content ids end to end: first those acted on, then `detail["anchors"]` images that identify the other side.
    before : int
        The log's version when it was written (the data set's last event id, 0 for none); a page whose
        state has another version knows that another window wrote.
    ordinal : int
        How many clusters the events before it have created; new clusters are numbered from it.
    effective : bool
        Whether it holds now: neither undone nor an undo or redo itself.
    """

    id: int
    made: float
    kind: str
    detail: dict[str, Any]
    blob: bytes
    before: int = 0
    ordinal: int = 0
    effective: bool = True

    @property
    def sentence(self) -> str:
        """What the toast and the history say."""
        return str(self.detail.get("sentence", self.kind))

    @property
    def run(self) -> str:
        """The clustering that the person was looking at."""
        return str(self.detail.get("run", ""))

    @property
    def count(self) -> int:
        """How many images it acted on."""
        return len(self.blob) // ids.WIDTH - int(self.detail.get("anchors", 0))

    @property
    def contents(self) -> ids.Ids:
        """The content ids it acted on, without the anchors."""
        return ids.pack(self.blob)[: self.count]

    @property
    def window(self) -> str:
        """Where it was made: the app's window by its own name, `TERMINAL`, or empty where that was not noted."""
        return str(self.detail.get("window", ""))

    @property
    def targets(self) -> tuple[int, ...]:
        """The events that an undo or redo is about."""
        return tuple(self.detail.get("targets", ()))


@dataclass
class _Memory:
    """What has been read of the log; it only grows."""

    events: list[Event]
    done: dict[int, Event]
    undone: list[tuple[int, ...]]
    actions: list[Event] = field(default_factory=list)
    created: int = 0

    def take(self, event: Event) -> None:
        """Add the next event."""
        self.events.append(event)
        self.created += int(event.detail.get("creates", 0))
        if event.kind == "undo":
            for target in event.targets:
                self.done.pop(target, None)
            self.undone.append(event.targets)
        elif event.kind == "redo":
            known = {target: self.find(target) for target in event.targets}
            self.done.update({target: found for target, found in known.items() if found is not None})
            left = (tuple(target for target in group if target not in event.targets) for group in self.undone)
            self.undone = [group for group in left if group]
        else:
            self.done[event.id] = event
            self.actions.append(event)
            self.undone.clear()

    def find(self, event_id: int) -> Event | None:
        """Return an event by id; the list is in rising id."""
        low, high = 0, len(self.events)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.events[middle].id < event_id else (low, middle)
        return self.events[low] if low < len(self.events) and self.events[low].id == event_id else None


Choice = tuple[str, dict[str, Any], bytes]


class EventLog:
    """Reads and appends the label events of one data set; safe to share between threads and processes.

    Parameters
    ----------
    workspace : Workspace
    dataset_id : str
    window : function, optional
        Returns where a step is made, asked at each; by default what `made_in` says.
    """

    def __init__(self, workspace: Workspace, dataset_id: str, *, window: Callable[[], str] = made_where) -> None:
        self._window = window
        self.catalog = workspace.catalog
        self.dataset = dataset_id
        self._lock = threading.RLock()
        self._memory = _Memory([], {}, [])
        self._seen: tuple[int, int] | None = None  # the state of the catalog that the memory was read in

    def version(self) -> int:
        """Return the id of the data set's last event, 0 for none; changes whenever any window writes."""
        with open_catalog(self.catalog) as db:
            found = db.execute("SELECT MAX(id) FROM event WHERE dataset = ?", (self.dataset,)).fetchone()[0]
        return int(found or 0)

    def events(self) -> list[Event]:
        """Return every event in order, each told whether it is effective now."""
        with self._lock:
            self._refresh()
            done = self._memory.done
            return [replace(event, effective=event.id in done) for event in self._memory.events]

    def actions(self, limit: int) -> tuple[list[Event], int]:
        """Return the last `limit` actions in order, each told whether it is effective now, and how many there are."""
        with self._lock:
            self._refresh()
            made, done = self._memory.actions, self._memory.done
            return [replace(event, effective=event.id in done) for event in made[max(0, len(made) - limit) :]], len(
                made
            )

    def effective(self) -> tuple[list[Event], int]:
        """Return the events that hold now, in order, and the version that they were read at."""
        with self._lock:
            self._refresh()
            last = self._memory.events[-1].id if self._memory.events else 0
            return [self._memory.done[key] for key in sorted(self._memory.done)], last

    def next_undo(self) -> Event | None:
        """Return what `undo()` would take back."""
        with self._lock:
            self._refresh()
            return self._memory.done[max(self._memory.done)] if self._memory.done else None

    def next_redo(self) -> Event | None:
        """Return (the first of) what `redo()` would bring back."""
        with self._lock:
            self._refresh()
            return self._memory.find(min(self._memory.undone[-1])) if self._memory.undone else None

    def undo(self, event_id: int | None = None) -> Event:
        """Take back one whole action: the last one, or the one given.

        Raises
        ------
        InputError
            Nothing to undo, or the given event is unknown or not in effect.
        """

        def choose() -> Choice:
            target = event_id if event_id is not None else max(self._memory.done, default=None)
            if target is None:
                raise InputError("There is nothing to undo.")
            event = self._memory.done.get(target)
            if event is None:
                raise InputError("That step is not in effect, so it cannot be undone.")
            return "undo", {"targets": [target], "sentence": f"Undone: {event.sentence}"}, b""

        return self._write(choose)

    def redo(self, event_id: int | None = None) -> Event:
        """Bring back what the last undo or jump took away, or the one undone event given.

        Raises
        ------
        InputError
            Nothing to redo, or the given event is unknown or in effect.
        """

        def choose() -> Choice:
            targets: Sequence[int] = (event_id,) if event_id is not None else ()
            if event_id is None and self._memory.undone:
                targets = self._memory.undone[-1]
            if not targets:
                raise InputError("There is nothing to redo.")
            found = [self._memory.find(target) for target in targets]
            if any(event is None or event.kind not in ACTIONS or event.id in self._memory.done for event in found):
                raise InputError("That step was not undone, so it cannot be redone.")
            first = found[0].sentence if found[0] else ""
            told = first if len(targets) == 1 else f"{len(targets):,} steps"
            return "redo", {"targets": list(targets), "sentence": f"Redone: {told}"}, b""

        return self._write(choose)

    def jump_back(self, event_id: int) -> Event:
        """Return to how it was just after `event_id` (0: before the first); one step, `redo()` brings all back.

        Raises
        ------
        InputError
            Unknown event, or nothing in effect after it.
        """

        def choose() -> Choice:
            if event_id and self._memory.find(event_id) is None:
                raise InputError("That step is not in this data set's history.")
            later = sorted(target for target in self._memory.done if target > event_id)
            if not later:
                raise InputError("The labels are already as they were then.")
            plural = "step" if len(later) == 1 else "steps"
            return "undo", {"targets": later, "sentence": f"Went back {len(later):,} {plural}"}, b""

        return self._write(choose)

    def append(self, kind: str, detail: dict[str, Any], blob: bytes = b"", *, version: int | None = None) -> Event:
        """Write one event; returns it with `before`, the version that it was written on.

        Raises
        ------
        StorageError
            Catalog locked, disk full, no permission; nothing was written.
        InputError
            The data set does not exist, or the log is not at `version` any more.
        """

        def choose() -> Choice:
            last = self._memory.events[-1].id if self._memory.events else 0
            if version is not None and version != last:
                raise InputError("The labels have changed in another window.", "Look at the proposals again.")
            return kind, detail, blob

        return self._write(choose)

    def _write(self, choose: Callable[[], Choice]) -> Event:
        """Choose and append inside one IMMEDIATE transaction, so that two writers never decide on the same past."""
        with self._lock:
            with open_catalog(self.catalog, write=True) as db:
                if not db.execute("SELECT 1 FROM dataset WHERE id = ?", (self.dataset,)).fetchone():
                    raise InputError(f"There is no data set {self.dataset!r}.", "Choose another one.")
                self._read(db)
                kind, detail, blob = choose()
                with made_in(self._window()):
                    written = append_event(db, self.dataset, kind, detail, blob)
                if kind in ("undo", "redo"):
                    self._carry_over(db, kind, detail["targets"])
            self._refresh()
            found = self._memory.find(written)
            assert found is not None  # it was committed under this id
            return found

    def _carry_over(self, db: sqlite3.Connection, kind: str, targets: Sequence[int]) -> None:
        """Make the catalog follow where the undone or redone events carried pictures over to other bytes."""
        found = (self._memory.find(target) for target in targets)
        for event in (event for event in found if event is not None and event.kind == "carry"):
            follow_carry(db, self.dataset, event.id, event.blob, holds=kind == "redo")

    def _refresh(self) -> None:
        """Read what was appended since the last look; does not open a catalog that nobody has written to since."""
        now = changes(self.catalog)
        if now is not None and now == self._seen:
            return
        with open_catalog(self.catalog) as db:
            self._read(db)
        self._seen = now

    def _read(self, db: sqlite3.Connection) -> None:
        memory = self._memory
        known = db.execute("SELECT COUNT(*) FROM event WHERE dataset = ?", (self.dataset,)).fetchone()[0]
        if known < len(memory.events):  # the data set was removed meanwhile, perhaps added again
            self._memory = memory = _Memory([], {}, [])
        last = memory.events[-1].id if memory.events else 0
        rows = db.execute(
            "SELECT id, made, kind, detail, contents FROM event WHERE dataset = ? AND id > ? ORDER BY id",
            (self.dataset, last),
        ).fetchall()
        with _uncollected():
            details = json.loads(f"[{','.join(row[3] for row in rows)}]")  # one call is three times faster than many
            for (event_id, made, kind, _, blob), detail in zip(rows, details, strict=True):
                before = int(detail.get("before", 0))
                memory.take(Event(event_id, made, kind, detail, blob, before, memory.created))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Make many objects that all stay without the collector looking through them again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
