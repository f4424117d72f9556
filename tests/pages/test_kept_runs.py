"""The kept clusterings: renamed, filed under words, deleted into the bin and put back, whatever they are called."""

import pytest

from engine.runs.run import list_runs
from engine.runs.trash import trashed_runs
from tests.pages.test_compare import HOSTILE, again
from tests.seed import clustered_pictures, coloured_pictures

CHOSEN = {"selection": {"rows": [0], "columns": [], "cells": []}}


@pytest.fixture
def page(workspace, tmp_path, app):
    """The Cluster page with its newest run chosen."""
    rows, _ = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    again(workspace, rows, 5, HOSTILE)
    app.run()
    app.switch_page("pages/cluster/page.py")
    app.session_state["cluster_more"] = "kept"
    app.session_state["runs_2_[]"] = CHOSEN
    app.run()
    assert not app.exception
    return workspace, app


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def test_a_run_is_renamed_and_tagged(page):
    workspace, app = page
    run = list_runs(workspace)[0]
    app.text_input(key=f"name_{run.folder.name}").set_value("<i>Better</i>").run()
    app.multiselect(key=f"tags_{run.folder.name}").set_value(["good", "*two*"]).run()
    assert not app.exception
    again = list_runs(workspace)[0]
    assert (again.name, again.tags, again.folder) == ("<i>Better</i>", ["good", "*two*"], run.folder)


def test_tags_choose_what_is_listed(page):
    workspace, app = page
    run = list_runs(workspace)[0]
    app.multiselect(key=f"tags_{run.folder.name}").set_value(["good"]).run()
    tables = [table.value for table in app.dataframe if "in use" in table.value]
    assert [len(table) for table in tables] == [2]
    app.button_group[-1].set_value(["good"]).run()
    tables = [table.value for table in app.dataframe if "in use" in table.value]
    assert [table["name"].tolist() for table in tables] == [[run.name]]


def test_a_deleted_run_lies_in_the_bin_and_is_put_back(page):
    workspace, app = page
    run = list_runs(workspace)[0]
    press(app, "Delete")
    assert run.folder.name not in {kept.folder.name for kept in list_runs(workspace)}
    assert len(trashed_runs(workspace)) == 1
    press(app, "Put back")
    assert list_runs(workspace)[0].folder == run.folder
    assert not trashed_runs(workspace)
    assert not any(button.label == "Put back" for button in app.button)


def test_the_bin_is_offered_when_every_run_was_deleted(page):
    workspace, app = page
    press(app, "Delete")
    press(app, "Delete")  # beside the name of the one that is left
    assert not any(button.label == "Delete" for button in app.button)
    assert not list_runs(workspace)
    press(app, "Put back")
    assert len(list_runs(workspace)) == 1


def test_a_kept_run_is_named_by_what_differs_and_a_click_on_its_picture_uses_it(page):
    workspace, app = page
    first, second = list_runs(workspace)
    app.session_state[f"_kindred_tiles:kept_{first.dataset}"]["chosen"] = second.folder.name
    app.run()
    assert not app.exception
    assert app.query_params["run"] in (second.folder.name, [second.folder.name])
    assert any(text.value == "##### k\\-means, 3 clusters" for text in app.markdown)
