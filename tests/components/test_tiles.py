"""The tiles' Python face: a choice is handed to the page once, also when a message ended the run before."""

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from components.tiles.face import Tile, tiles

    if st.session_state.pop("before", False):
        st.stop()
    shown = [Tile("a", "/mosaic/2x1/1", "A"), Tile("b", "", "B")]
    st.session_state.seen = tiles("t", shown, label="Letters")


def test_a_choice_is_handed_over_once_and_an_unknown_one_not_at_all():
    app = AppTest.from_function(page, default_timeout=60).run()
    assert app.session_state.seen is None
    app.session_state["_kindred_tiles:t"]["chosen"] = "b"
    app.session_state["before"] = True
    app.run()
    assert app.run().session_state.seen == "b"
    assert app.run().session_state.seen is None
    app.session_state["_kindred_tiles:t"]["chosen"] = "gone"
    assert app.run().session_state.seen is None
