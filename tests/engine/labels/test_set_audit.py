"""The audit of a whole label set: its bound goes with every label, leaves with a change, and is undone by one step."""

import csv
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import main
from engine.core.errors import InputError
from engine.core.ids import pack
from engine.images.datasets import add_vectors
from engine.labels.events import LabelHistory
from engine.labels.quality import LabelQuality
from engine.labels.set_audit import draw_audit, keep_set_audit
from engine.labels.stratified import most_wrong
from engine.runs.run import open_run
from tests.engine.planted import planted


@pytest.fixture
def named(workspace, tmp_path):
    """300 images in three named clusters, of which the first ten are labelled by hand."""
    vectors, truth = planted(300)
    np.savez(tmp_path / "v.npz", vectors=vectors, ids=np.array([f"{at:03d}" for at in range(300)]))
    history = LabelHistory(workspace, add_vectors(workspace, tmp_path / "v.npz").id)
    contents = pack([at.to_bytes(2, "little") + b"x" * 14 for at in range(1, 301)])

    def look():
        return history.state(contents, truth)

    for cluster in range(3):
        history.rename(look(), cluster, f"c{cluster}")
    history.label(look(), np.arange(10), "by hand")
    return history, look


def test_the_bound_stands_beside_every_label_that_nobody_gave_one_by_one(named):
    history, look = named
    audit = draw_audit(look(), 60)
    assert len(audit.rows) == 290 and len(audit.sample) == 60 and not np.isin(audit.sample, np.arange(10)).any()
    wrong = audit.sample[:2]
    event = keep_set_audit(history, look(), audit, wrong)
    most = most_wrong(audit.sizes, audit.counts(audit.sample), audit.counts(wrong))
    assert event.sentence.startswith("60 of 290 images checked, 2 wrong: at least")
    state = look()
    covered = np.setdiff1d(audit.rows, wrong)
    np.testing.assert_allclose(state.bound[covered], 1 - (most - 2) / 288, atol=1e-6)
    assert np.isnan(state.bound[:10]).all() and np.isnan(state.bound[wrong]).all()
    assert "An audit covers 288 of 298 labels" in LabelQuality.count(state.sources, state.bound).sentences()[1]

    history.rename(look(), 0, "other")
    left = np.isfinite(look().bound)
    assert not left[look().rows(0)].any() and left.sum() == np.count_nonzero(look().cluster[covered] != 0)
    history.undo()
    history.undo()
    assert not look().audited
    history.redo()
    assert look().same(state)


def test_a_label_that_changes_leaves_and_the_rest_may_hold_all_that_is_wrong(named):
    history, look = named
    audit = draw_audit(look(), 100)
    keep_set_audit(history, look(), audit, audit.sample[:0])
    before = look()
    rows = np.setdiff1d(audit.rows, audit.sample)[:50]
    history.label(look(), rows, "changed")
    after = look()
    assert np.isnan(after.bound[rows]).all()
    assert np.nanmax(after.bound) < np.nanmin(before.bound)


def test_what_an_audit_found_plans_the_next(named):
    history, look = named
    audit = draw_audit(look(), 90)
    bad = audit.sample[audit.part[np.searchsorted(audit.rows, audit.sample)] == 1][:15]
    keep_set_audit(history, look(), audit, bad)
    following = draw_audit(look(), 150, events=history.effective()[0])
    plain = draw_audit(look(), 150)
    assert following.counts(following.sample)[1] >= plain.counts(plain.sample)[1]


def test_after_an_audit_other_images_are_drawn_and_before_it_the_same(named):
    history, look = named
    first = draw_audit(look(), 60)
    assert np.array_equal(draw_audit(look(), 60).sample, first.sample)
    keep_set_audit(history, look(), first, first.sample[:0])
    following = draw_audit(look(), 60)
    shared = len(np.intersect1d(first.sample, following.sample))
    assert shared < 30, "by chance 60 of 290 share about 12 with 60 others"


def test_an_audit_of_other_labels_than_those_seen_is_refused(named):
    history, look = named
    audit = draw_audit(look(), 20)
    with pytest.raises(InputError, match="not drawn"):
        keep_set_audit(history, look(), audit, np.setdiff1d(audit.rows, audit.sample)[:1])
    history.label(look(), np.array([20]), "x")
    with pytest.raises(InputError, match="changed since"):
        keep_set_audit(history, look(), audit, audit.sample[:0])
    with pytest.raises(InputError, match="by label or by cluster"):
        draw_audit(look(), 20, by="colour")


def test_nothing_to_audit_is_said(workspace, tmp_path):
    vectors, truth = planted(9)
    np.savez(tmp_path / "v.npz", vectors=vectors)
    history = LabelHistory(workspace, add_vectors(workspace, tmp_path / "v.npz").id)
    contents = pack([bytes([at]) * 16 for at in range(1, 10)])
    with pytest.raises(InputError, match="nothing to audit"):
        draw_audit(history.state(contents, truth), 5)


def test_the_command_draws_a_list_and_judges_its_answers(workspace, tmp_path, capsys):
    vectors, truth = planted(120)
    labels = np.array([f"c{code}" for code in truth])
    np.savez(tmp_path / "v.npz", vectors=vectors, labels=labels)

    def engine(*words):
        status = main([str(word) for word in words])
        told = capsys.readouterr()
        return status, told.out.splitlines()[-1:], told.err

    _, (folder,), _ = engine("run", "--vectors", tmp_path / "v.npz", "--n-clusters", 3)
    assert engine("audit", folder)[0] == 2, "there is no label yet"
    assert engine("name", folder, "0=a", "1=b", "2=c")[0] == 0
    status, (path,), told = engine("audit", folder, "--checks", 45)
    assert status == 0 and "45 images from 3 parts" in told
    status, _, told = engine("audit", folder, "--answers", path)
    assert status == 2 and "45 of 45 lines of audit.csv have no answer" in told
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    for at, line in enumerate(lines):
        line["answer"] = "wrong" if at == 0 else "right"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    status, _, told = engine("audit", folder, "--answers", path)
    assert status == 0 and "45 of 120 images checked, 1 wrong: at least" in told
    run = open_run(Path(folder))
    state = LabelHistory(workspace, run.dataset).state(run.contents, run.assignments, run=run.folder.name)
    assert np.isfinite(state.bound).sum() == 119
    engine("name", folder, "0=other")
    status, _, told = engine("audit", folder, "--answers", path)
    assert status == 2 and "Labels have changed" in told
