"""No click is lost: a message of a component that ends the page's run early leaves each click with its one effect."""

from types import SimpleNamespace

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner import RerunData, RerunException, get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests

from engine.images.sampling import kept_sample
from engine.jobs import job as jobs
from engine.labels.events import LabelHistory
from pages.shared import actions
from pages.shared.state import settle
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


def test_a_late_message_that_repeats_a_choice_does_nothing_again(clustered, app):
    history = clustered[3]
    opened(app, "label")
    select(app)
    app.selectbox(key="label_bar_move_0").set_value(1)
    late = app._tree.get_widget_states()
    app.run()
    app._run(late)
    assert not app.exception
    assert [event.kind for event in history.events()] == ["move"]


def test_a_late_message_does_not_lead_back_to_what_a_menu_was_drawn_with(clustered, app):
    opened(app, "label")
    late = app._tree.get_widget_states()
    next(button for button in app.button if button.help == "Next cluster").click().run()
    app.selectbox(key="source_").set_value("none").run()
    cluster = app.session_state["current_cluster"]
    app._run(late)
    assert not app.exception
    assert cluster != "0" and app.session_state["current_cluster"] == cluster
    assert app.session_state["current_source"] == "none"


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
    app.session_state["cluster_more"] = "count"
    opened(app, path)
    message()
    find(app, label).click().run()
    app.run()
    assert not app.exception
    assert [job.task for job in jobs.list_jobs(workspace) if job.task == task] == [task]


def test_an_export_is_started_with_what_stands_in_its_field(clustered, app, message, held, tmp_path):
    workspace = clustered[0]
    app.session_state["export_format"] = "folders"
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

    from pages.runs import keep_messages_whole

    seen = []
    monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", SafeSessionState.on_script_will_rerun)
    monkeypatch.setattr(SessionState, "on_script_will_rerun", lambda self, states, **options: seen.append(states))

    def next_message():
        raise RerunException(RerunData())

    clicked = WidgetStates()
    with pytest.raises(RerunException):
        SafeSessionState(SessionState(), next_message).on_script_will_rerun(clicked)
    assert seen == [], "Streamlit still loses it: without that, pages/runs.py can do without it"
    keep_messages_whole()
    SafeSessionState(SessionState(), next_message).on_script_will_rerun(clicked)
    assert seen == [clicked]


def _widget(name, value, trigger=False):
    return WidgetState(id=name, **({"trigger_value": value} if trigger else {"string_value": value}))


def test_the_newer_of_two_messages_wins_and_no_click_is_lost_while_the_session_is_looked_into(monkeypatch):
    requests = ScriptRequests()
    monkeypatch.setattr("pages.shared.state.get_script_run_ctx", lambda: SimpleNamespace(script_requests=requests))

    def message(address, *widgets):
        requests.request_rerun(RerunData(query_string=address, widget_states=WidgetStates(widgets=widgets)))

    def look():
        """As the session does at each look: Streamlit takes a message off its queue and ends the run."""
        if (request := requests.on_scriptrunner_yield()) is not None:
            raise RerunException(request.rerun_data)

    def step():
        looks.append(look())
        message("cluster=2", _widget("name", "new"), _widget("other", True, trigger=True))
        looks.append(settle(look))
        return "found"

    looks = []
    message("cluster=1", _widget("name", "old"), _widget("undo", True, trigger=True))
    assert settle(step) == "found"
    assert looks == [None, None], "done once, and to its end"
    data = requests.on_scriptrunner_yield().rerun_data
    assert data.query_string == "cluster=2"
    states = {state.id: state for state in data.widget_states.widgets}
    assert states["name"].string_value == "new"
    assert states["undo"].trigger_value and states["other"].trigger_value
    assert requests.on_scriptrunner_yield() is None


def test_a_step_that_fails_leaves_the_next_message_to_be_heard(monkeypatch):
    requests = ScriptRequests()
    monkeypatch.setattr("pages.shared.state.get_script_run_ctx", lambda: SimpleNamespace(script_requests=requests))
    requests.request_rerun(RerunData())
    with pytest.raises(ZeroDivisionError):
        settle(lambda: 1 / 0)
    assert requests.on_scriptrunner_yield() is not None
