"""The label table: one line per file."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.table import label_table
from tests.engine.export.conftest import NAMES


def test_every_readable_file_has_a_line_and_duplicates_share_a_row(scene):
    table = scene.table()
    assert table.paths == sorted(NAMES)
    assert len(table) == 9
    twins = [table.paths.index(name) for name in (b"a/one.png", b"copy of one.png")]
    assert table.rows[twins[0]] == table.rows[twins[1]]
    assert table.label[twins[0]] == table.label[twins[1]]
    for at, row in enumerate(table.rows.tolist()):
        assert table.cluster[at] == scene.clusters[row]
        assert table.label[at] == ("cat" if scene.clusters[row] == 0 else None)
        assert table.contents[at] == scene.images.contents[row]


def test_the_state_gives_the_clusters_and_without_it_the_run_does(scene):
    scene.history.reject(scene.state(), np.array([0]))
    scene.history.audit(scene.state(), 0, shown=scene.state().rows(0))
    table = scene.table()
    assert table.cluster[table.rows == 0].tolist() == [-1] * int((table.rows == 0).sum())
    assert table.status[table.rows.tolist().index(0)] == "rejected"
    assert (table.audit_bound[table.cluster == 0] == 1).all()
    plain = label_table(scene.workspace, scene.dataset, scene.images.contents, scene.clusters)
    np.testing.assert_array_equal(plain.cluster, scene.clusters[plain.rows])
    assert [label for label, row in zip(plain.label, plain.rows, strict=True) if row in (1, 2, 3)].count("cat") >= 3


def test_arrays_of_different_lengths_are_refused(scene):
    with pytest.raises(InputError, match="differ in number"):
        label_table(scene.workspace, scene.dataset, scene.images.contents, scene.clusters[:3])
