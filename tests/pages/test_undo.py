"""Undo takes back this window's own last step; a step of a terminal or of another window is asked about first."""

import pytest
from streamlit.testing.v1 import AppTest

from engine.__main__ import main
from engine.labels.events import LabelHistory
from pages.shared import window
from tests.pages.conftest import APP
from tests.pages.test_clicks import find, opened
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def history(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    history = LabelHistory(workspace, rows.dataset.id)
    history.run = run
    return history


def in_terminal(history, workspace):
    assert main(["name", str(history.run.folder), "0=sun", "--workspace", str(workspace.root)]) == 0


def said(app):
    return " ".join(found.value for found in app.markdown)


def undo(app):
    return find(app, "undo").click().run()


def effective(history):
    return [event.kind for event in history.effective()[0]]


def test_a_step_of_a_terminal_is_asked_about(history, app, bench, workspace):
    opened(app, "label")
    bench.ask(app, "label", "reject", (2, 5))
    in_terminal(history, workspace)
    app.run()
    assert [item["where"] for item in bench["label"]["inspector"]["history"]] == ["in a terminal", ""]
    assert "Made in a terminal" in find(app, "undo").help
    undo(app)
    assert effective(history) == ["reject", "name"], "nothing is undone before it is asked"
    assert "made in a terminal" in said(app) and "cluster named" in said(app)
    find(app, "undo_none").click().run()
    app.run()
    assert effective(history) == ["reject", "name"] and "made in a terminal" not in said(app)
    undo(app)
    find(app, "undo_mine").click().run()
    assert effective(history) == ["name"]
    undo(app)
    assert not [button for button in app.button if button.key == "undo_mine"]
    find(app, "undo_other").click().run()
    assert effective(history) == []
    assert not app.exception


def test_the_key_in_the_gallery_asks_too(history, app, bench, workspace):
    opened(app, "label")
    in_terminal(history, workspace)
    app.run()
    bench.ask(app, "label", "undo")
    app.run()
    assert effective(history) == ["name"] and "made in a terminal" in said(app)


def test_another_windows_step_is_asked_about_and_an_earlier_one_is_not(history, app, bench, workspace, monkeypatch):
    sessions = iter(["one", "two"])
    monkeypatch.setattr(window, "_SESSIONS", {})
    current = []
    context = window.get_script_run_ctx

    class Context:
        session_id = ""

    def of_window(**_options):
        found = Context()
        found.session_id = current[-1]
        return found if context(suppress_warning=True) is not None else None

    monkeypatch.setattr(window, "get_script_run_ctx", of_window)
    current.append(next(sessions))
    opened(app, "label")
    bench.ask(app, "label", "reject", (2, 5))
    current.append(next(sessions))
    other = AppTest.from_file(str(APP), default_timeout=60)
    opened(other, "label")
    bench.ask(other, "label", "reject", (0, 1))
    current.append("one")
    app.run()
    undo(app)
    assert effective(history) == ["reject", "reject"] and "made in another window" in said(app)
    find(app, "undo_mine").click().run()
    current.append("two")
    other.run()
    undo(other)
    assert effective(history) == [], "its own is undone at once"


def test_what_was_done_before_the_window_was_loaded_again_is_its_own(history, app, bench, monkeypatch):
    opened(app, "label")
    bench.ask(app, "label", "reject", (2, 5))
    monkeypatch.setattr(window, "_SESSIONS", {})
    events = history.events()
    assert events[-1].window
    monkeypatch.setattr(window, "this_window", lambda: "another")
    monkeypatch.setitem(window._SESSIONS, "another", ("", events[-1].made + 1))
    assert window.made_elsewhere(events[-1]) == ""
    monkeypatch.setitem(window._SESSIONS, "another", ("", events[-1].made - 1))
    assert window.made_elsewhere(events[-1]) == "in another window"
