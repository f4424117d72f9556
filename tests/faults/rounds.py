"""Rounds of kills: a fresh copy of the workspace, up to three kills with a look after each, then the end, compared."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.workspace import Workspace
from engine.jobs.tasks.upkeep import DoctorRequest, check_workspace

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Tally:
    """What happened: kills that hit a running activity, kills that came too late, and every fault that was found."""

    killed: dict[str, int] = field(default_factory=dict)
    late: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.killed.values())


class Rounds:
    """Plays rounds in `folder`; `with Rounds(folder) as rounds: rounds.play("scan", 3)`."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.place, self.template = folder / "place", folder / "template"
        self.random, self.tally = random.Random(seed), Tally()
        self.usual: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Rounds:
        self.zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "KINDRED_THREADS"), "1"),
        )
        self.place.mkdir(parents=True)
        self._whole(what="prepare")
        shutil.copytree(self.place, self.template)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.zygote.stdin is not None
        self.zygote.stdin.close()
        self.zygote.wait(timeout=60)
        assert self.zygote.stdout is not None
        self.zygote.stdout.close()

    def play(self, activity: str, kills: int) -> None:
        """Kill an activity `kills` times, up to three times before it may come to its end."""
        if activity not in self.usual:
            self._fresh()
            usual = self._whole(what="run", activity=activity)
            self.usual[activity] = usual | self._whole(what="outcome", activity=activity)
        wanted = self.tally.killed.get(activity, 0) + kills
        tries = 0
        while self.tally.killed.get(activity, 0) < wanted and tries < 5 * kills:
            self._fresh()
            told = 0
            for _ in range(min(3, wanted - self.tally.killed.get(activity, 0))):
                tries += 1
                told = max(told, self._kill(activity))
            self._whole(what="run", activity=activity)
            ended = self._whole(what="outcome", activity=activity)
            if ended.get("outcome") != self.usual[activity]["outcome"]:
                self._fault(
                    activity, f"another end: {_difference(ended.get('outcome'), self.usual[activity]['outcome'])}"
                )

    def _kill(self, activity: str) -> int:
        """Run it, kill it, look; return what it had told."""
        usual = self.usual[activity]
        when: dict[str, Any] = {"seconds": self.random.uniform(0, usual["seconds"])}
        if usual["changes"] and self.random.random() < 0.5:
            when = {"change": self.random.randint(1, usual["changes"])}
        ran = self._ask(what="run", activity=activity, **when)
        if ran.get("error"):
            self._fault(activity, ran["error"])
        if ran["killed"]:
            self.tally.killed[activity] = self.tally.killed.get(activity, 0) + 1
        else:
            self.tally.late += 1
        kept = self._whole(what="kept", activity=activity)
        if kept.get("kept", 0) < ran["told"]:
            self._fault(activity, f"told {ran['told']}, kept {kept.get('kept')} ({when})")
        for sentence in half_written(self.place):
            self._fault(activity, f"{sentence} ({when})")
        return int(ran["told"])

    def _fresh(self) -> None:
        shutil.rmtree(self.place)
        shutil.copytree(self.template, self.place)

    def _whole(self, **order: Any) -> dict[str, Any]:
        """Do something that nothing kills and that must succeed."""
        answer = self._ask(**order)
        if answer.get("error") or answer["killed"]:
            self._fault(str(order.get("activity")), f"{order['what']}: {answer.get('error', 'killed')}")
        return answer

    def _ask(self, **order: Any) -> dict[str, Any]:
        from tests.faults.activities import ACTIVITIES

        group = order.get("activity") is None or ACTIVITIES[order["activity"]].whole_group
        assert self.zygote.stdin is not None and self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps({"place": str(self.place), "group": group} | order) + "\n")
        self.zygote.stdin.flush()
        answer: dict[str, Any] = json.loads(self.zygote.stdout.readline())
        return answer

    def _fault(self, activity: str, sentence: str) -> None:
        self.tally.faults.append(f"{activity}: {sentence}")


def half_written(place: Path) -> list[str]:
    """Return what a reader could trip over: files under their own names that are cut short, and damage of any kind."""
    found = []
    for path in (place / "workspace").rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".npy":
                np.load(path, mmap_mode="r", allow_pickle=False)
            elif path.suffix == ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    [arrays[name] for name in arrays.files]
        except (ValueError, OSError, EOFError) as error:
            found.append(f"half-written: {path.relative_to(place)}: {error}")
    diagnosis = check_workspace(Workspace(place / "workspace"), DoctorRequest())
    for finding in diagnosis.left:
        expected = ("half written", "between a shard's keys", "graph is incomplete", "map is incomplete")
        if not any(words in finding.sentence for words in expected):
            found.append(f"doctor: {finding.place.relative_to(place)}: {finding.sentence}")
    return found


def _difference(one: Any, other: Any) -> str:
    first, second = json.dumps(one), json.dumps(other)
    at = next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    return f"{first[max(0, at - 80) : at + 120]} instead of {second[max(0, at - 80) : at + 120]}"
