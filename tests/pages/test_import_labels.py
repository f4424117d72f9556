"""Labels come in on Label and Images: what would change is shown first, then one step does it; Review has the rest."""

from __future__ import annotations

import numpy as np
import pytest

from engine.jobs import job as jobs
from engine.jobs.runner import run_job
from engine.labels.events import LabelHistory
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    (tmp_path / "list.csv").write_text("file;label\n000.png;=1+1\n001.png;NA\n002.png;NA\nabsent.png;x\n")
    return workspace, rows, run, LabelHistory(workspace, rows.dataset.id)


@pytest.fixture
def at_once(monkeypatch, workspace):
    """Jobs run when they are started."""

    def start(workspace, folder):
        (folder / "started").touch()
        run_job(folder)

    monkeypatch.setattr("engine.jobs.job.start", start)


def press(app, key):
    next(button for button in app.button if button.key == key).click().run()
    assert not app.exception, app.exception


@pytest.mark.parametrize("screen", ["label", "images"])
def test_a_list_is_looked_at_and_then_imported(clustered, app, at_once, tmp_path, screen):
    workspace, rows, run, history = clustered
    app.run().switch_page(f"pages/{screen}/page.py").run()
    press(app, "import_labels")
    app.text_input(key="import_path").set_value(str(tmp_path / "list.csv")).run()
    go = next(button for button in app.button if button.key == "import_go")
    assert go.disabled, "nothing was looked at yet"
    press(app, "import_look")
    assert not history.events()
    told = " ".join(item.value for item in app.markdown).replace("\\", "")
    assert "Images found: 3 by path" in told and "1 line names no image of this data set: absent" in told
    press(app, "import_go")
    assert [event.kind for event in history.events()] == ["import"]
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    assert state.labels[:3] == ["=1+1", "NA", "NA"] and state.source_counts["imported"] == 3
    assert next(button for button in app.button if button.key == "import_go").disabled, "it was done"
    assert "Undo on Label takes it back" in app.success[0].value


def test_suggestions_wait_on_review_and_are_accepted_there(clustered, app, at_once, tmp_path):
    workspace, rows, run, history = clustered
    app.run().switch_page("pages/label/page.py").run()
    press(app, "import_labels")
    app.text_input(key="import_path").set_value(str(tmp_path / "list.csv")).run()
    app.selectbox(key="import_how").set_value("suggestions").run()
    press(app, "import_look")
    press(app, "import_go")
    app.session_state["importing_labels"] = False
    app.session_state["label_view"] = "Review"
    app.run()
    assert not app.exception
    assert any("3 labels suggested by imports" in item.value for item in app.markdown)
    press(app, "review_accept_all")
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    assert state.source_counts["accepted guess"] == 3 and np.isnan(state.probability).all()
    assert len(jobs.list_jobs(workspace)) >= 2
