"""On the pages: images that changed in their pixels, a folder that is known elsewhere, and what of a folder is read."""

import numpy as np
import pytest
from PIL import Image

from engine.images.datasets import find_dataset, list_datasets
from engine.images.identity import changed_images
from engine.images.scan import scan
from engine.labels.events import LabelHistory
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def labelled(workspace, tmp_path):
    """Thirty pictures in three clusters, one of them named."""
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "red")
    return workspace, rows, run


def change(rows, count: int):
    """Darken some of the named pictures and read the folder again."""
    named = [path for path, label in zip(rows.paths, [0] * len(rows), strict=True)][:count]
    for path in named:
        file = rows.dataset.path / path.decode()
        Image.open(file).point(lambda value: value // 2).save(file)


@pytest.mark.parametrize("path", ["images", "label", "export"])
def test_changed_images_are_counted_and_kept_by_one_button(labelled, app, path):
    workspace, rows, _ = labelled
    change(rows, 4)
    scan(workspace, rows.dataset.id)
    app.run()
    if path != "images":
        app.switch_page(f"pages/{path}/page.py").run()
    assert not app.exception
    assert any(warning.value.startswith("4 images changed in their pixels") for warning in app.warning)
    next(button for button in app.button if button.label == "Keep their labels").click().run()
    assert not app.exception and not app.error
    assert not any("changed in their pixels" in warning.value for warning in app.warning)
    assert changed_images(workspace, rows.dataset.id) == []
    assert np.array_equal(np.sort(rows.contents), np.sort(np.unique(rows.contents)))


def test_changed_images_can_be_let_go(labelled, app):
    workspace, rows, _ = labelled
    change(rows, 1)
    scan(workspace, rows.dataset.id)
    app.run()
    assert any(warning.value.startswith("1 image changed in its pixels") for warning in app.warning)
    next(button for button in app.button if button.label == "They are new images").click().run()
    assert not app.warning
    assert changed_images(workspace, rows.dataset.id) == []


def test_a_moved_folder_is_offered_when_it_is_opened(labelled, app, monkeypatch):
    monkeypatch.setattr("pages.images.known_elsewhere.start_scan", lambda *_, **__: None)
    workspace, rows, run = labelled
    moved = rows.dataset.path.rename(rows.dataset.path.with_name("moved"))
    app.run()
    next(button for button in app.button if button.label == "Another data set").click().run()
    app.text_input(key="new_path").set_value(str(moved))
    next(button for button in app.button if button.label == "Read this folder").click().run()
    assert not app.exception
    assert any("These images are known as" in text.value for text in app.markdown)
    assert [one.path for one in list_datasets(workspace)] == [rows.dataset.path]
    next(button for button in app.button if button.label == "It was moved: keep its labels").click().run()
    assert not app.exception and not app.error
    (only,) = list_datasets(workspace)
    assert (only.id, only.path) == (rows.dataset.id, moved)


def test_a_copied_folder_can_be_opened_anew(labelled, app, monkeypatch):
    import shutil

    monkeypatch.setattr("pages.shared.tasks.start_scan", lambda *_, **__: None)
    workspace, rows, run = labelled
    copy = rows.dataset.path.with_name("copy")
    shutil.copytree(rows.dataset.path, copy)
    app.run()
    next(button for button in app.button if button.label == "Another data set").click().run()
    app.text_input(key="new_path").set_value(str(copy))
    next(button for button in app.button if button.label == "Read this folder").click().run()
    assert any(button.label == "It is a copy: take the labels over" for button in app.button)
    next(button for button in app.button if button.label == "Open as a new data set").click().run()
    assert not app.exception
    assert {one.path for one in list_datasets(workspace)} == {rows.dataset.path, copy}


def test_what_is_read_is_chosen_on_the_page(labelled, app, monkeypatch):
    asked = []
    monkeypatch.setattr("pages.images.reading_panel.start_scan", lambda *_, reading: asked.append(reading))
    workspace, rows, run = labelled
    (rows.dataset.path / "film.mov").touch()
    scan(workspace, rows.dataset.id)
    app.run()
    assert any("1 other file left alone" in text.value.replace("\\", "") for text in app.caption)
    app.session_state["images_reading"] = True
    app.run()
    key = f"reading_{rows.dataset.id}_exclude"
    app.text_input(key=key).set_value("00*, thumbs").run()
    next(button for button in app.button if button.label == "Read the folder so").click().run()
    assert not app.exception
    assert asked[0].exclude == ("00*", "thumbs")
    assert find_dataset(workspace, rows.dataset.id).options.get("exclude") is None  # the scan keeps it
