"""No click is lost: a message of a component that ends the page's run early leaves each click with its one effect."""

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.scriptrunner import RerunData, RerunException, get_script_run_ctx

from engine.images.sampling import kept_sample
from engine.jobs import job as jobs
from engine.labels.events import LabelHistory
from pages.shared import actions
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    """Thirty pictures in three clusters of ten, with what is known of their labels."""
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    return workspace, rows, run, LabelHistory(workspace, rows.dataset.id)


@pytest.fixture
def message(monkeypatch):
    """Call it: in the next run a component's message arrives before the page has drawn anything."""
    coming = []
    tell = actions.tell

    def interrupted():
        if coming:
            coming.pop()
            context = get_script_run_ctx()
            states = context.session_state.get_widget_states()
            kept = [state for state in states if state.WhichOneof("value") != "trigger_value"]
            context.script_requests.request_rerun(
                RerunData(
                    query_string=context.query_string,
                    widget_states=WidgetStates(widgets=kept),
                    page_script_hash=context.page_script_hash,
                )
            )
        tell()

    monkeypatch.setattr(actions, "tell", interrupted)
    return lambda: coming.append(True)


@pytest.fixture
def held(monkeypatch):
    """Jobs are made and not run."""
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").touch())


def find(app, label):
    return next(button for button in app.button if button.label == label or button.key == label)


def opened(app, path):
    app.run()
    return app.switch_page(f"pages/{path}/page.py").run()


def select(app, places=(2, 5)):
    """Select images of the first cluster in the gallery of Label."""
    version = list(app.session_state["_kindred_gallery:label_gallery"]["seen"])[-1]
    app.session_state["label_gallery"] = {"selection": {"v": version, "c": 9, "t": 1, "k": "ranges", "r": [*places]}}
    app.run()


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Merge", "merge"),
        ("Different", "apart"),
        ("Take 12 images", "move"),
        ("Set aside", "reject"),
        ("Confirm", "confirm"),
        ("Lock", "lock"),
        ("Remove label", "label"),
        ("Split", "split"),
    ],
)
def test_a_click_on_label_is_one_event_although_a_message_arrives(clustered, app, message, label, kind):
    history = clustered[3]
    opened(app, "label")
    select(app)
    message()
    find(app, label).click().run()
    assert not app.exception
    assert [event.kind for event in history.events()] == [kind]
    app.run()
    assert [event.kind for event in history.events()] == [kind]


def test_a_choice_in_a_menu_is_one_event_although_a_message_arrives(clustered, app, message):
    history = clustered[3]
    opened(app, "label")
    select(app)
    message()
    app.selectbox(key="label_bar_move_0").set_value(1).run()
    assert not app.exception
    app.run()
    assert [event.kind for event in history.events()] == ["move"]


def test_an_audit_and_the_way_back_are_not_lost(clustered, app, message):
    history = clustered[3]
    opened(app, "label")
    message()
    find(app, "Check a random sample").click().run()
    assert find(app, "All right").disabled
    seen = {"v": list(app.session_state["_kindred_gallery:audit_gallery"]["seen"])[-1]}
    app.session_state["audit_gallery"] = {"seen": seen}
    app.run()
    message()
    find(app, "All right").click().run()
    assert [event.kind for event in history.events()] == ["audit"]
    message()
    find(app, f"back_{history.events()[0].id}").click().run()
    assert not app.exception
    assert not history.effective()[0]


def test_each_of_many_clicks_counts_once_and_in_order(clustered, app, message):
    history = clustered[3]
    opened(app, "label")
    for label in ("Different", "Undo", "Redo", "Merge", "Undo"):
        message()
        find(app, label).click().run()
    assert not app.exception
    assert [event.kind for event in history.events()] == ["apart", "undo", "redo", "merge", "undo"]
    assert [event.kind for event in history.effective()[0]] == ["apart"]


def test_a_sample_is_taken_although_a_message_arrives(clustered, app, message):
    workspace, rows, _, _ = clustered
    app.run()
    message()
    find(app, "Take this sample").click().run()
    assert not app.exception
    assert kept_sample(workspace, rows.dataset.id) is not None


@pytest.mark.parametrize(
    ("path", "label", "task"),
    [
        ("images", "Read again", "scan"),
        ("embed", "Embed again", "embed"),
        ("cluster", "Find good clusters", "sweep"),
        ("cluster", "How many clusters?", "count"),
        ("distil", "Distil", "distil"),
    ],
)
def test_a_job_is_started_once_although_a_message_arrives(clustered, app, message, held, path, label, task):
    workspace = clustered[0]
    opened(app, path)
    message()
    find(app, label).click().run()
    app.run()
    assert not app.exception
    assert [job.task for job in jobs.list_jobs(workspace) if job.task == task] == [task]


def test_an_export_is_started_with_what_stands_in_its_field(clustered, app, message, held, tmp_path):
    workspace = clustered[0]
    opened(app, "export")
    app.text_input(key="export_target").set_value(str(tmp_path / "out"))
    message()
    find(app, "Write").click().run()
    assert not app.exception
    (job,) = [job for job in jobs.list_jobs(workspace) if job.task == "export"]
    assert job.config["target"] == str(tmp_path / "out")


def test_a_press_whose_button_is_gone_is_forgotten(clustered, app):
    app.run()
    app.session_state["presses"] = {"press_Forget it that never was"}
    app.run()
    assert app.session_state["presses"] == set()


def test_more_like_these_leads_from_label_to_explore(clustered, app, message):
    opened(app, "label")
    select(app)
    message()
    find(app, "More like these").click().run()
    assert not app.exception
    assert app.title[0].value == "Explore"
    assert any("like 3 selected images" in text.value for text in app.markdown)


def test_a_click_is_carried_out_although_the_next_message_is_there_already(monkeypatch):
    """As it is where a message comes between the end of one run and the beginning of the next."""
    from streamlit.runtime.state.safe_session_state import SafeSessionState
    from streamlit.runtime.state.session_state import SessionState

    from pages.whole_messages import keep_messages_whole

    seen = []
    monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", SafeSessionState.on_script_will_rerun)
    monkeypatch.setattr(SessionState, "on_script_will_rerun", lambda self, states, **options: seen.append(states))

    def next_message():
        raise RerunException(RerunData())

    clicked = WidgetStates()
    with pytest.raises(RerunException):
        SafeSessionState(SessionState(), next_message).on_script_will_rerun(clicked)
    assert seen == [], "Streamlit still loses it: without that, pages/whole_messages.py can go"
    keep_messages_whole()
    SafeSessionState(SessionState(), next_message).on_script_will_rerun(clicked)
    assert seen == [clicked]
