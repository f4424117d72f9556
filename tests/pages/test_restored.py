"""A new session that opens an address sees what was drawn, found and filtered; a late message changes none of it."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.selections import Answer, Asked, keep_drawing, keep_found, kept_drawing, kept_found
from tests.pages.conftest import APP
from tests.seed import clustered_pictures, coloured_pictures

SQUARE = [{"kind": "lasso", "op": "new", "polygon": [-1e3, -1e3, 1e3, -1e3, 1e3, 1e3, -1e3, 1e3]}]


@pytest.fixture
def clustered(workspace, tmp_path):
    return clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"), with_map=True)


def explore(app, **parameters):
    app.run()
    app.switch_page("pages/explore/page.py")
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def again(app):
    """The same address in a new session."""
    fresh = AppTest.from_file(str(APP), default_timeout=60)
    return explore(fresh, **dict(app.query_params))


def test_a_drawing_is_in_the_address_and_comes_back(clustered, app, bench):
    explore(app)
    bench.draw(app, "explore", SQUARE[0]["polygon"])
    assert "drawn" in app.query_params
    fresh = again(app)
    assert not fresh.exception
    assert bench["explore"]["gallery"]["heading"] == "drawn on the map"
    assert bench["explore"]["gallery"]["command"]["r"] == [0, 30]
    command = bench["explore"]["map"]["command"]
    assert command["regions"] == SQUARE
    bench.ask(fresh, "explore", "show_all")
    assert "drawn" not in fresh.query_params
    fresh.run()
    assert bench["explore"]["gallery"]["heading"] == "All images"


def test_the_outline_of_a_drawing_hides_under_an_answer_and_a_new_drawing_leaves_it(clustered, app, workspace, bench):
    rows, _ = clustered
    explore(app)
    bench.draw(app, "explore", SQUARE[0]["polygon"])
    assert bench["explore"]["map"]["outlines"]
    drawn = app.query_params["drawn"]
    app.query_params["found"] = keep_found(workspace, Answer(rows.contents[[7, 3, 11]], "like 1 image", ranked=True))
    app.run()
    assert not bench["explore"]["map"]["outlines"]
    assert bench["explore"]["gallery"]["heading"] == "like 1 image, nearest first"
    bench.draw(app, "explore", [-1e3, -1e3, 1e3, -1e3, 1e3, 1e3])
    assert "found" not in app.query_params and app.query_params["drawn"] != drawn
    assert bench["explore"]["map"]["outlines"]
    assert bench["explore"]["gallery"]["heading"] == "drawn on the map"


def test_an_answer_is_in_the_address_and_comes_back_in_its_order(clustered, app, workspace, bench):
    rows, _ = clustered
    name = keep_found(workspace, Answer(rows.contents[[7, 3, 11]], "most like “red”", ranked=True))
    explore(app, found=name)
    assert bench["explore"]["gallery"]["heading"] == "most like “red”, nearest first"
    seen = app.session_state["_kindred_gallery:explore"]["seen"]
    assert list(seen.values())[-1].tolist() == rows.ids[[7, 3, 11]].tolist()
    bench.ask(app, "explore", "show_all")
    assert "found" not in app.query_params
    assert bench["explore"]["gallery"]["heading"] == "All images"


def test_what_is_gone_or_drawn_on_another_map_is_not_shown(clustered, app, workspace, bench):
    explore(app, drawn="0" * 12, found="0" * 12)
    assert not app.exception
    assert bench["explore"]["gallery"]["heading"] == "All images"
    name = keep_drawing(workspace, "one map", SQUARE)
    assert kept_drawing(workspace, name, "one map") == SQUARE
    assert kept_drawing(workspace, name, "another map") == []
    assert kept_drawing(workspace, "../../catalog", "one map") == []
    assert kept_found(workspace, "../../catalog") is None


def test_a_message_sent_before_a_choice_was_heard_of_does_not_undo_it(clustered, app, bench):
    explore(app, cluster="0")
    app.switch_page("pages/label/page.py")
    app.query_params["cluster"] = "0"
    app.run()
    bench.ask(app, "label", "choose", values=[2])
    assert app.query_params["cluster"] == "2"
    app.query_params["cluster"] = "0"  # as the browser still says it
    app.run()
    assert app.query_params["cluster"] == "2"
    app.query_params["cluster"] = "1"  # a link that a person opened
    app.run()
    assert app.query_params["cluster"] == "1"


def test_old_selections_make_room(workspace, monkeypatch):
    from pages.shared import selections

    monkeypatch.setattr(selections, "_KEPT", 3)
    contents = np.array([bytes([value]) * 16 for value in range(1, 9)], "S16")
    names = [keep_found(workspace, Answer(contents[:size], "some", ranked=False)) for size in range(1, 8)]
    assert len(list(workspace.selections.iterdir())) <= 3
    assert kept_found(workspace, names[-1]).contents.tolist() == contents[:7].tolist()


def test_what_a_search_asked_for_is_kept_with_its_answer(workspace):
    contents = np.array([bytes([value]) * 16 for value in range(1, 9)], "S16")
    asked = Asked("“red”", np.float32([0.6, 0.8]), "an encoder", contents[:2], contents[5:])
    kept = kept_found(workspace, keep_found(workspace, Answer(contents[:3], "most like “red”", True, asked)))
    assert (kept.words, kept.ranked, kept.asked.words, kept.asked.embedding) == (
        "most like “red”",
        True,
        "“red”",
        "an encoder",
    )
    assert kept.asked.start.tolist() == asked.start.tolist()
    assert kept.asked.more.tolist() == contents[:2].tolist()
    assert kept.asked.less.tolist() == contents[5:].tolist()
    plain = keep_found(workspace, Answer(contents[:3], "most like “red”", ranked=True))
    assert kept_found(workspace, plain).asked is None
