"""The Export page: its files are there at any moment, and the sidebar says what was taken."""

import csv
import html
import io
import json

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.core.errors import InputError
from engine.export.folders import undo_export
from engine.export.taken import exported_labels, note_export
from engine.jobs.tasks.results import ExportRequest, export_run
from engine.labels.events import LabelHistory
from engine.runs.judge import kept_verdict
from pages.shared import downloads
from tests.pages.test_app import steps
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    return workspace, rows, run


@pytest.fixture
def client():
    with TestClient(Starlette(routes=downloads.ROUTES), base_url="http://127.0.0.1") as found:
        yield found


def mark(app):
    """What the sidebar says of Export."""
    label = steps(app)["Export"]
    return "done" if "taken" in label else "out of date" if "sync_problem" in label else ""


def test_a_file_has_the_same_address_however_often_the_page_is_drawn(clustered, app, client):
    _, rows, run = clustered
    app.run()
    app.switch_page("pages/export/page.py").run()
    address = f"/take/{run.folder.name}/{rows.dataset.id}.csv"
    assert any(f'href="{address}" download=' in found.proto.body for found in app.main.get("html"))
    first = client.get(address)
    app.run()
    again = client.get(address)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert f"{rows.dataset.id}.csv" in first.headers["content-disposition"]
    assert len(list(csv.DictReader(io.StringIO(first.text)))) == len(rows)


def test_each_kind_of_file_is_what_its_name_says(clustered, app, client):
    _, rows, run = clustered
    app.run()
    app.switch_page("pages/export/page.py").run()
    start = {
        ".csv": ("csv", b"path"),
        ".parquet": ("parquet", b"PAR1"),
        "-vectors.parquet": ("parquet", b"PAR1"),
        ".html": ("report", b"<!doctype html>"),
    }
    sizes = {}
    for ending, (name, head) in start.items():
        app.session_state["export_format"] = name
        app.run()
        if "vectors" in ending:
            app.toggle(key="export_vectors").set_value(True).run()
        assert not app.exception
        found = client.get(f"/take/{run.folder.name}/{rows.dataset.id}{ending}").content
        assert found.lstrip(b"\xef\xbb\xbf").lower().startswith(head.lower()), ending
        sizes[ending] = len(found)
    assert sizes["-vectors.parquet"] > sizes[".parquet"]
    report = client.get(f"/take/{run.folder.name}/{rows.dataset.id}.html").text
    first = report.split("<p>", 1)[1].split("</p>", 1)[0]
    assert kept_verdict(run).line in html.unescape(first), "the report begins with what the clustering is worth"
    assert any(kept_verdict(run).sentence in text.value.replace("\\", "") for text in app.markdown)


def test_another_site_and_an_unknown_name_get_nothing(client):
    assert client.get("/take/run/none.csv").status_code == 404
    assert client.get("/take/run/none.csv", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_what_cannot_be_made_is_told_in_its_sentence(client, monkeypatch):
    def refuse():
        raise InputError("Labels are missing.", "Name a cluster.")

    monkeypatch.setitem(downloads._OFFERS, ("run", "labels.csv"), refuse)
    answer = client.get("/take/run/labels.csv")
    assert (answer.status_code, answer.text) == (409, "Labels are missing. Name a cluster.")


def test_export_is_ticked_by_labels_taken_of_this_run_and_not_by_a_report(clustered, app, client):
    workspace, rows, run = clustered
    app.run()
    app.session_state["export_format"] = "report"
    app.switch_page("pages/export/page.py").run()
    assert client.get(f"/take/{run.folder.name}/{rows.dataset.id}.html").status_code == 200
    app.session_state["export_format"] = "csv"
    app.run()
    assert mark(app) == ""
    assert client.get(f"/take/{run.folder.name}/{rows.dataset.id}.csv").status_code == 200
    app.run()
    assert mark(app) == "done"
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "red")
    app.run()
    assert mark(app) == "out of date"


def test_a_folder_that_was_undone_is_no_export(clustered, tmp_path):
    workspace, rows, run = clustered
    target = tmp_path / "out"
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "red")
    export_run(workspace, ExportRequest(run=str(run.folder), settings={"format": "folders"}, target=str(target)))
    assert exported_labels(run.folder) == history.version()
    undo_export(target)
    assert exported_labels(run.folder) is None


def test_an_edited_record_counts_as_nothing(tmp_path):
    (tmp_path / "exports.json").write_text('[{"labels": "many"}, 3, {"labels": 4, "target": ""}]')
    assert exported_labels(tmp_path) == 4
    (tmp_path / "exports.json").write_text("{")
    assert exported_labels(tmp_path) is None
    note_export(tmp_path, "csv", labels=5)
    assert exported_labels(tmp_path) == 5


def test_a_run_that_was_never_judged_offers_to_be(clustered, app, monkeypatch):
    _, _, run = clustered
    results = json.loads((run.folder / "results.json").read_text())
    del results["verdict"]
    (run.folder / "results.json").write_text(json.dumps(results))
    started = []
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: started.append(folder))
    app.run()
    app.switch_page("pages/export/page.py").run()
    next(button for button in app.button if button.label == "Judge it").click().run()
    assert not app.exception
    assert json.loads((started[0] / "config.json").read_text())["task"] == "analyse"


def test_who_said_the_labels_stands_first_and_the_shares_of_a_split_only_where_there_is_one(clustered, app):
    workspace, rows, run = clustered
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "red")
    app.run()
    app.switch_page("pages/export/page.py").run()
    shown = " ".join(found.proto.body for found in app.main.get("html"))
    named = int((run.assignments == 0).sum())
    assert f"<b>{named}</b> by the name of their cluster" in shown
    assert f"<b>{30 - named}</b> without a label" in shown
    assert any("No audit covers" in text.value for text in app.markdown)
    app.session_state["export_format"] = "folders"
    app.run()
    assert not app.exception
    assert not [slider for slider in app.slider if slider.label == "Train"]
    app.toggle(key="export_split").set_value(True).run()
    assert not app.exception
    assert [slider for slider in app.slider if slider.label == "Train"]
    assert any("red" in code.value for code in app.code), "what would be written"


def test_writing_without_a_folder_says_so(clustered, app):
    app.run()
    app.session_state["export_format"] = "folders"
    app.switch_page("pages/export/page.py").run()
    next(button for button in app.button if button.label == "Write").click().run()
    assert any("Name a folder" in text.value for text in app.warning)
