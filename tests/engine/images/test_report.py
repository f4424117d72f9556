"""The report counts what a slow look at every row counts."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from engine.core.catalog import open_catalog
from engine.images.datasets import add_folder, set_truth_from_folders
from engine.images.report import report
from engine.images.scan import scan
from tests.engine.images.pictures import noise, write


@pytest.fixture
def dataset(workspace, tmp_path):
    root = tmp_path / "photographs"
    for at in range(7):
        write(root / "cat dog".split()[at % 2] / f"{at}.png", noise(at, 30 + 7 * at, 20))
    write(root / "dog" / "again.png", noise(1, 37, 20))
    write(root / "cat" / "again.png", noise(1, 37, 20))
    write(root / "cat" / "other.jpg", noise(8), format="JPEG")
    (root / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    found = add_folder(workspace, root)
    scan(workspace, found.id)
    return found


@pytest.mark.parametrize("truth", [False, True])
def test_the_report_counts_what_a_look_at_every_row_counts(workspace, dataset, truth):
    if truth:
        set_truth_from_folders(workspace, dataset.id, True)
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("UPDATE image SET note = 'An odd one.' WHERE path = ?", (os.fsencode("cat/2.png"),))
        db.execute("UPDATE image SET depth = '16-bit grey', split = 'test' WHERE CAST(path AS TEXT) LIKE 'dog/%'")
        db.execute("UPDATE image SET content = NULL WHERE path = ?", (os.fsencode("cat/4.png"),))
        db.execute("UPDATE dataset SET scanned = scanned + 1")  # as a scan does that changes rows
    found = report(workspace, dataset.id)
    with open_catalog(workspace.catalog) as db:
        rows = [dict(row) for row in db.execute("SELECT * FROM image ORDER BY path")]
    good = [row for row in rows if row["failure"] is None and row["content"] is not None]
    contents = Counter(row["content"] for row in good)
    areas = sorted(((row["width"], row["height"]) for row in good), key=lambda shape: shape[0] * shape[1])
    assert (found.files, found.readable, found.distinct) == (len(rows), len(good), len(contents)) == (11, 9, 7)
    assert found.failed == [(row["path"], row["failure"]) for row in rows if row["failure"] is not None]
    assert found.formats == {"png": 8, "jpeg": 1}
    assert found.sizes == {
        "smallest": areas[0],
        "median": areas[len(areas) // 2],
        "largest": areas[-1],
        "bytes": sum(row["size"] for row in good),
    }
    assert found.duplicates == [
        [row["path"] for row in good if row["content"] == content] for content, number in contents.items() if number > 1
    ]
    assert found.duplicates == [[b"cat/again.png", b"dog/1.png", b"dog/again.png"]]
    assert (
        found.classes == dict(Counter(os.fsdecode(row["path"]).split("/")[0] for row in good)) == {"cat": 5, "dog": 4}
    )
    assert found.levels == [["cat", "dog"]]
    assert {kind: one.images for kind, one in found.depths.items()} == {"16-bit grey": 4}
    assert found.notes == [(b"cat/2.png", "An odd one.")]
    assert found.splits == {"": 5, "test": 4}


def test_a_folder_without_an_image_has_an_empty_report(workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    found = report(workspace, add_folder(workspace, tmp_path / "empty").id)
    assert (found.files, found.readable, found.distinct, found.sizes, found.levels) == (0, 0, 0, {}, [])
