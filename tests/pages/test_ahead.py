"""What is read at the start of the server answers the first page; covers show pictures spread over their data set."""

from __future__ import annotations

from engine.core.catalog import open_catalog
from engine.images import memory
from engine.images.datasets import add_folder, list_datasets
from engine.images.report import report
from engine.images.tables import load_images
from pages.ahead import read_ahead
from pages.shared.covers import cover_ids


def _add(workspace, folder, number, *, broken=()):
    folder.mkdir(exist_ok=True)
    dataset = add_folder(workspace, folder)
    with open_catalog(workspace.catalog, write=True) as db:
        have = db.execute("SELECT count(*) FROM image WHERE dataset = ?", (dataset.id,)).fetchone()[0]
        db.executemany(
            "INSERT INTO image (dataset, path, content, size, mtime_ns, failure) VALUES (?, ?, ?, 1, 1, ?)",
            [
                (dataset.id, b"%07d.png" % at, b"%016d" % at, "It is broken." if at in broken else None)
                for at in range(have, have + number)
            ],
        )
    return dataset


def test_the_first_page_finds_what_was_read_ahead(workspace, tmp_path, monkeypatch):
    dataset = _add(workspace, tmp_path / "photographs", 20)
    read_ahead()

    def nothing_more(path):
        raise AssertionError("the catalog is asked again")

    monkeypatch.setattr(memory, "open_catalog", nothing_more)
    assert list_datasets(workspace)[0].id == dataset.id
    assert len(load_images(workspace, dataset.id)) == 20
    assert report(workspace, dataset.id).readable == 20
    assert len(cover_ids(workspace, dataset)) == 8


def test_nothing_is_read_ahead_of_an_empty_workspace(workspace):
    read_ahead()


def test_a_cover_is_spread_over_the_data_set(workspace, tmp_path):
    dataset = _add(workspace, tmp_path / "photographs", 800, broken=range(100, 103))
    found = cover_ids(workspace, dataset)
    assert found == [1, 104, 201, 301, 401, 501, 601, 701]


def test_a_cover_has_only_its_own_pictures_where_another_data_set_lies_between(workspace, tmp_path):
    dataset = _add(workspace, tmp_path / "photographs", 10, broken=[0])
    _add(workspace, tmp_path / "others", 5_000)
    _add(workspace, tmp_path / "photographs", 1)
    with open_catalog(workspace.catalog) as db:
        own = {row[0] for row in db.execute("SELECT id FROM image WHERE dataset = ?", (dataset.id,))}
    found = cover_ids(workspace, dataset)
    assert len(found) == len(set(found)) == 8
    assert set(found) < own - {1}
