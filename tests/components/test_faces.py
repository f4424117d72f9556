"""The Python faces over several runs: selections follow the images, commands win until the browser knows them."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components.gallery.face import gallery
from components.map.face import scatter_map


def gallery_page() -> None:
    import numpy as np
    import streamlit as st

    from components.gallery.face import gallery, gallery_order, gallery_viewing, select_in_gallery

    ids = np.array(st.session_state.get("ids", [10, 20, 30, 40]))
    if "order_ids" in st.session_state:
        select_in_gallery("g", st.session_state.pop("order_ids"))
    st.session_state.before = (gallery_order("g", "first"), gallery_viewing("g"))
    st.session_state.seen = gallery("g", ids, version=str(ids.tolist()), orders={"first": "First"}, order="first")


def map_page() -> None:
    import numpy as np
    import streamlit as st

    from components.map.face import clear_map, scatter_map

    xy = np.array([[0, 0], [1, 1], [2, 2], [9, 9]]) + st.session_state.get("shift", 0)
    if st.session_state.pop("clear", False):
        clear_map("m")
    st.session_state.seen = scatter_map(
        "m", xy, version=str(xy.tolist()), ids=np.arange(4), colors=np.array([0, 1, 0, -1]), colors_version="a"
    )


@pytest.fixture
def page():
    """Run a page with what the browser said last, and return what Python made of it."""

    def open_page(script):
        app = AppTest.from_function(script, default_timeout=30)

        def run(said=None, **state):
            for name, value in state.items():
                app.session_state[name] = value
            if said is not None:
                app.session_state["g" if script is gallery_page else "m"] = said
            app.run()
            assert not app.exception, app.exception
            return app.session_state["seen"]

        run.app = app
        return run

    return open_page


def ranges(ids, *edges, time=1.0, command=0):
    return {"v": str(ids), "c": command, "t": time, "k": "ranges", "r": list(edges)}


FOUR = [10, 20, 30, 40]


def test_nothing_is_selected_at_first(page):
    seen = page(gallery_page)()
    assert seen.mask.tolist() == [False] * 4
    assert (seen.opened, seen.viewing, seen.activated, seen.order) == (None, None, None, "first")


def test_the_selection_follows_the_images_through_other_orders_and_filters(page):
    run = page(gallery_page)
    run()
    said = {"selection": ranges(FOUR, 1, 3)}
    assert run(said).selected_ids.tolist() == [20, 30]
    assert run(said, ids=[40, 30, 20, 10]).selected_ids.tolist() == [30, 20]
    assert run(said, ids=[40, 30, 50]).selected_ids.tolist() == [30]
    for n in range(60, 66):  # far more versions than the face remembers
        assert run(said, ids=[n, 30]).selected_ids.tolist() == [30]
    assert run(said, ids=FOUR).selected_ids.tolist() == [30]


def test_a_late_selection_of_an_earlier_version_is_understood(page):
    run = page(gallery_page)
    run()
    run(ids=[40, 20])
    assert run({"selection": ranges(FOUR, 0, 2)}).selected_ids.tolist() == [20]


def test_a_command_holds_until_the_browser_knows_it(page):
    run = page(gallery_page)
    run()
    said = {"selection": ranges(FOUR, 0, 4)}
    assert run(said).count == 4
    assert run(said, order_ids=[30, 99]).selected_ids.tolist() == [30]
    assert run(said).selected_ids.tolist() == [30]
    late = {"selection": ranges(FOUR, 0, 1, time=5.0)}  # sent before the command arrived there
    assert run(late).selected_ids.tolist() == [30]
    new = {"selection": ranges(FOUR, 3, 4, time=6.0, command=1)}
    assert run(new).selected_ids.tolist() == [40]


def test_an_action_carries_the_selection_of_its_moment(page):
    run = page(gallery_page)
    run()
    said = {
        "selection": ranges(FOUR, 0, 4),
        "event": [
            {
                "t": 2.0,
                "action": "label",
                "key": "1",
                "id": 10,
                "position": 0,
                "selection": ranges(FOUR, 0, 1, time=2.0),
            },
            {
                "t": 3.0,
                "action": "reject",
                "key": "x",
                "id": 30,
                "position": 2,
                "selection": ranges(FOUR, 2, 4, time=3.0),
            },
        ],
    }
    seen = run(said)
    assert [(a.action, a.ids.tolist()) for a in seen.actions] == [("label", [10]), ("reject", [30, 40])]
    assert seen.activated.key == "x"
    assert seen.selected_ids.tolist() == [30, 40]
    assert run(said).actions == ()


def test_an_action_nobody_looked_at_waits_for_the_next_run(page):
    run = page(gallery_page)
    run()
    run({"event": [{"t": 1.0, "action": "label", "key": "1", "id": 10, "position": 0}]})
    later = run({"event": None})
    assert [action.key for action in later.actions] == ["1"]
    assert later.activated.key == "1"
    assert run({"event": None}).actions == ()


def test_what_was_opened_and_chosen_on_the_map_is_reported_once(page):
    run = page(map_page)
    run()
    seen = run(
        {
            "event": [
                {"t": 1.0, "action": "open", "key": "", "id": 2, "position": 2},
                {"t": 2.0, "action": "category", "position": 1},
                {"t": 3.0, "action": "merge", "key": "m", "id": None, "position": None},
            ]
        }
    )
    assert (seen.opened, seen.category) == (2, 1)
    assert [action.action for action in seen.actions] == ["merge"]
    after = run({"event": None})
    assert (after.opened, after.category, after.activated) == (None, None, None)


def test_opening_is_reported_once_and_viewing_as_long_as_it_lasts(page):
    run = page(gallery_page)
    run()
    assert run({"viewing": 20}).opened == 20
    again = run({"viewing": 20})
    assert (again.opened, again.viewing) == (None, 20)
    assert run.app.session_state["before"] == ("first", 20)
    assert run({"viewing": None}).viewing is None


@pytest.mark.parametrize(
    "said", [{"selection": 5}, {"selection": {"v": 1, "t": "x", "c": None, "k": "ranges"}}, {"event": 7}]
)
def test_rubbish_from_the_browser_selects_nothing(page, said):
    run = page(gallery_page)
    run()
    assert run(said).count == 0


@pytest.mark.parametrize("ids", [[1, 2**31], [-1, 4]])
def test_ids_that_do_not_fit_are_refused(ids):
    with pytest.raises(ValueError, match="2\\*\\*31 - 1"):
        gallery("refused", np.array(ids), version=str(ids))


def lasso(version, *corners, time=1.0, command=0):
    region = {"kind": "lasso", "op": "new", "polygon": [float(v) for corner in corners for v in corner]}
    return {"regions": {"v": version, "c": command, "t": time, "regions": [region]}}


HERE = str((np.array([[0, 0], [1, 1], [2, 2], [9, 9]]) + 0).tolist())
BOX = [(-1, -1), (1.5, -1), (1.5, 1.5), (-1, 1.5)]


def test_a_lasso_becomes_a_mask_and_goes_with_new_coordinates(page):
    run = page(map_page)
    assert run().mask is None
    seen = run(lasso(HERE, *BOX))
    assert seen.mask.tolist() == [True, True, False, False]
    assert (seen.count, seen.cleared, len(seen.polygon)) == (2, False, 4)
    assert run(lasso(HERE, *BOX), shift=5).mask is None


def test_escape_and_python_clear_the_regions(page):
    run = page(map_page)
    run()
    run(lasso(HERE, *BOX))
    empty = {"regions": {"v": HERE, "c": 0, "t": 2.0, "regions": []}}
    seen = run(empty)
    assert (seen.mask, seen.cleared) == (None, True)
    assert run(empty).cleared is False
    said = lasso(HERE, *BOX, time=3.0)
    assert run(said).count == 2
    assert run(said, clear=True).mask is None
    assert run(said).mask is None
    assert run(lasso(HERE, *BOX, time=4.0, command=1)).count == 2


def test_a_click_is_reported_once_and_the_pin_stays(page):
    run = page(map_page)
    run()
    pin = {"pinned": {"row": 2, "t": 1.0, "v": HERE}}
    seen = run(pin)
    assert (seen.clicked, seen.pinned) == (2, 2)
    seen = run(pin)
    assert (seen.clicked, seen.pinned) == (None, 2)
    assert run({"pinned": {"row": 2, "t": 2.0, "v": HERE}}).clicked == 2
    assert run({"pinned": {"row": 99, "t": 3.0, "v": HERE}}).pinned is None


def test_without_webgl_the_chart_is_drawn(page):
    run = page(map_page)
    run()
    seen = run({"webgl": False})
    assert seen.webgl is False
    assert "no WebGL" in run.app.caption[0].value


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="colors has 2 rows, xy has 3"):
        scatter_map("m", np.zeros((3, 2)), version="1", colors=np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match="badges has 1 entries, ids has 2"):
        gallery("g", np.array([1, 2]), version="1", badges=np.array([0]))
