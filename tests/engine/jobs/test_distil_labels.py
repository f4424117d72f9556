"""Which labels a distillation learns from: by you, then cluster names, then cluster numbers; and that it says so."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.files import read_json
from engine.core.progress import Silent
from engine.jobs.tasks.results import DistilRequest, distil_run, labels_to_learn, labels_used
from engine.labels.events import LabelHistory
from tests.seed import clustered_pictures, coloured_pictures

SETTINGS = {"preset": "quick", "images_per_class": 2, "seeds": 1, "evaluation_updates": 50, "device": "cpu"}


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture
def clustered(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures", count=60))
    return workspace, rows, run


def state_of(workspace, rows, run):
    return LabelHistory(workspace, rows.dataset.id).state(rows.contents, run.assignments, run=run.folder.name)


def test_without_labels_the_cluster_numbers_are_learned(clustered):
    workspace, rows, run = clustered
    found = labels_to_learn(workspace, run, rows)
    assert found.names is None and found.n_classes == 3
    np.testing.assert_array_equal(found.codes, run.assignments)
    assert labels_used(found.counts) == "Labels used: 60 by cluster number."


def test_labels_by_you_come_before_cluster_names_and_these_before_numbers(clustered):
    workspace, rows, run = clustered
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(state_of(*clustered), 0, "warm")
    own = np.flatnonzero(run.assignments == 0)[:6]
    history.label(state_of(*clustered), own, "mine")
    found = labels_to_learn(workspace, run, rows)
    called = [found.names[code] for code in found.codes]
    assert {called[row] for row in own} == {"mine"}
    assert {called[row] for row in np.setdiff1d(np.flatnonzero(run.assignments == 0), own)} == {"warm"}
    assert {called[row] for row in np.flatnonzero(run.assignments == 2)} == {"cluster 2"}

    heard = Heard()
    results = distil_run(workspace, DistilRequest(run=str(run.folder), settings=SETTINGS), heard)
    warm = called.count("warm")
    sentence = f"Labels used: 6 by you, {warm} by cluster name, {54 - warm} by cluster number."
    assert heard.said[0] == sentence and heard.said[1].startswith("About ")
    kept = read_json(run.folder / "distillation" / "results.json")
    assert labels_used(kept["labels"]) == sentence and kept["seconds_foreseen"] > 0
    assert set(results["cluster_to_class"]) == {"mine", "warm", "cluster 1", "cluster 2"}


def test_what_is_in_no_cluster_and_has_no_label_is_left_out(clustered):
    workspace, rows, run = clustered
    rejected = np.flatnonzero(run.assignments == 1)[:4]
    LabelHistory(workspace, rows.dataset.id).reject(state_of(*clustered), rejected)
    found = labels_to_learn(workspace, run, rows)
    assert (found.codes[rejected] == -1).all()
    assert found.counts["none"] == 4 and found.counts["cluster number"] == 56
