"""The label quality report: figures of each label as they are, examples right and wrong, one safe file."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from engine.core.ids import pack
from engine.export.quality_report import label_figures, write_quality_report
from engine.images.datasets import add_vectors
from engine.labels.audit import purity_bound
from engine.labels.events import LabelHistory
from engine.labels.set_audit import draw_audit, keep_set_audit
from tests.engine.planted import planted

STRANGE = "a/b <script>alert(1)</script> \u05e9\u05dc\u05d5\u05dd \U0001f98a"


@pytest.fixture
def audited(workspace, tmp_path):
    vectors, truth = planted(120)
    np.savez(tmp_path / "v.npz", vectors=vectors)
    history = LabelHistory(workspace, add_vectors(workspace, tmp_path / "v.npz").id)
    contents = pack([bytes([at]) * 16 for at in range(1, 121)])

    def look():
        return history.state(contents, truth)

    for cluster, name in enumerate([STRANGE, "b", "c"]):
        history.rename(look(), cluster, name)
    history.label(look(), np.array([0, 3]), STRANGE)
    audit = draw_audit(look(), 60)
    of_b = audit.sample[np.isin(audit.sample, look().rows(1))]
    keep_set_audit(history, look(), audit, of_b[:2])
    return history, look, of_b


def test_each_label_has_its_figures(audited):
    history, look, of_b = audited
    figures = {one.name: one for one in label_figures(look(), history.effective()[0])}
    assert list(figures) == [STRANGE, "b", "c"] or set(figures) == {STRANGE, "b", "c"}
    b = figures["b"]
    assert (b.count, b.settled, b.covered, b.checked, b.wrong) == (38, 0, 38, len(of_b), 2), (
        "the two wrong ones lost the label"
    )
    assert b.bound == purity_bound(len(of_b), 2, population=40)
    assert b.wrong_rows == sorted(of_b[:2].tolist()) and len(b.right_rows) == len(of_b) - 2
    first = figures[STRANGE]
    assert first.settled == 2 and first.by_source == {"by you": 2, "cluster name": 38} and {0, 3} <= {*first.right_rows}

    history.undo()
    undone = {one.name: one for one in label_figures(look(), history.effective()[0])}
    assert undone["b"].checked == 0 and np.isnan(undone["b"].bound)


def test_an_audit_of_a_cluster_counts_for_its_name(audited):
    history, look, _ = audited
    history.undo()
    shown = look().rows(2)[:10]
    history.audit(look(), 2, shown=shown, wrong=shown[:1])
    c = next(one for one in label_figures(look(), history.effective()[0]) if one.name == "c")
    assert (c.checked, c.wrong, c.covered) == (10, 1, 39) and c.wrong_rows == shown[:1].tolist()


def test_the_file_is_whole_and_runs_nothing(audited, tmp_path):
    history, look, _ = audited
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    paths = [f"<img src=x onerror=y>{at}".encode() for at in range(120)]
    write_quality_report(
        tmp_path / "q.html",
        look(),
        history.effective()[0],
        title="T <b>",
        paths=paths,
        thumbnail=lambda content: buffer.getvalue(),
    )
    text = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "<script" not in text and "<img src=x" not in text and "<b>" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "Found wrong" in text and "An audit covers 116 of 118 labels" in text
    assert text.count("<tr>") == 4


def test_no_label_at_all_is_said(workspace, tmp_path):
    vectors, truth = planted(9)
    np.savez(tmp_path / "v.npz", vectors=vectors)
    history = LabelHistory(workspace, add_vectors(workspace, tmp_path / "v.npz").id)
    state = history.state(pack([bytes([at]) * 16 for at in range(1, 10)]), truth)
    write_quality_report(tmp_path / "q.html", state, (), title="x", paths=[b"a"] * 9, thumbnail=lambda content: None)
    assert "No image has a label." in (tmp_path / "q.html").read_text(encoding="utf-8")
