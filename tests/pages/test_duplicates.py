"""The panel of duplicates: what is ticked is set aside by one click, what is not stays, and undo brings all back."""

import pytest

from benchmarks.made_photographs import KINDS, _photograph
from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.images.tables import load_images
from engine.jobs import job as jobs
from engine.jobs.runner import run_job
from engine.labels.aside import labels_of_images
from engine.labels.events import LabelHistory


@pytest.fixture
def doubled(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").touch())
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, kind in enumerate(KINDS[:3]):
        picture = _photograph(kind, 0)
        picture.save(folder / f"{number}.png")
        picture.save(folder / f"{number}-q40.jpg", quality=40)
        picture.resize((160, 120)).save(folder / f"{number}-half.jpg", quality=90)
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    return workspace, dataset


def test_groups_are_set_aside_but_for_what_is_unticked(doubled, app):
    workspace, dataset = doubled
    table, history = load_images(workspace, dataset.id), LabelHistory(workspace, dataset.id)

    def aside():
        state = labels_of_images(history, table.contents)
        return {table.paths[row].decode() for row, status in enumerate(state.statuses) if status == "rejected"}

    def button():
        return next(one for one in app.button if one.key == "set_aside")

    app.session_state["images_same"] = True
    app.run()
    next(one for one in app.button if one.label == "Find duplicates").click().run()
    run_job(next(job for job in jobs.list_jobs(workspace) if job.task == "duplicates").folder)
    app.run()
    assert not app.exception
    assert any("3 groups, 6 images beside the kept ones" in text.value for text in app.markdown)
    assert len(app.checkbox) == 6 and button().label == "Set 6 images aside"

    content = table.contents[table.paths.index(b"1-q40.jpg")].tobytes().hex()
    app.checkbox(key=f"aside_{content}").uncheck().run()
    assert button().label == "Set 5 images aside"
    button().click().run()
    assert not app.exception
    assert aside() == {"0-q40.jpg", "0-half.jpg", "1-half.jpg", "2-q40.jpg", "2-half.jpg"}
    assert any("1 group, 1 image beside" in text.value for text in app.markdown)

    history.undo()
    app.run()
    assert aside() == set()
    assert any("3 groups, 6 images beside" in text.value for text in app.markdown)


def test_a_group_of_different_labels_is_said(doubled, app):
    workspace, dataset = doubled
    table, history = load_images(workspace, dataset.id), LabelHistory(workspace, dataset.id)
    rows = [table.paths.index(b"0.png"), table.paths.index(b"0-half.jpg")]
    history.label(labels_of_images(history, table.contents), rows, ["brick", "<b>wall"])
    app.session_state["images_same"] = True
    app.run()
    next(one for one in app.button if one.label == "Find duplicates").click().run()
    run_job(next(job for job in jobs.list_jobs(workspace) if job.task == "duplicates").folder)
    app.run()
    assert not app.exception
    assert any("In 1 group the images have different labels" in text.value for text in app.warning)
