"""Twenty kills of two hundred (`make faults`): in every activity, at random moments."""

from __future__ import annotations

import os

import pytest

from tests.faults.rounds import Rounds

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
KILLS = {
    "scan": 3,
    "embed": 3,
    "sweep": 1,
    "train": 3,
    "label": 3,
    "export": 2,
    "import": 1,
    "carry-over": 3,
    "restore": 1,
}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    with Rounds(tmp_path_factory.mktemp("faults"), seed=0) as played:
        yield played


@pytest.mark.parametrize("activity", KILLS)
def test_a_killed_activity_loses_nothing_and_goes_on_to_the_same_end(rounds, activity):
    rounds.play(activity, KILLS[activity])
    assert rounds.tally.faults == []
    assert rounds.tally.killed[activity] == KILLS[activity]


def test_work_that_tells_too_early_and_writes_bit_by_bit_is_found(rounds):
    rounds.play("careless", 3)
    found, rounds.tally.faults = rounds.tally.faults, []
    assert any("half-written" in fault for fault in found)
    assert any("kept" in fault for fault in found)
