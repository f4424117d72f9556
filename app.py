"""Kindred: `streamlit run app.py`. Routing, the pages, and the routes that serve pictures by catalog id."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

if __name__ == "__main__":
    from engine.jobs.job import prepare_worker
    from pages.header import header
    from pages.rail import sidebar
    from pages.registry import SCREENS
    from pages.runs import begin_at_the_top
    from pages.shared.actions import forget_presses, tell
    from pages.shared.frame import style
    from pages.shared.held import forget_orders
    from pages.shared.state import current, guarded
    from pages.shared.undo import ask_undo

    begin_at_the_top()
    st.set_page_config(
        page_title="Kindred",
        page_icon=Path(__file__).with_name("pages") / "shared" / "icon.png",
        layout="wide",
        initial_sidebar_state="expanded",
    )
    page = st.navigation(
        [
            st.Page(screen.file, title=screen.title, url_path=screen.path, default=screen is SCREENS[0])
            for screen in SCREENS
        ],
        position="hidden",
    )
    screen = next((screen for screen in SCREENS if screen.path == page.url_path), SCREENS[0])
    style()
    with guarded():
        if st.session_state.get("page") != page.url_path:
            st.session_state["page"] = page.url_path
            forget_orders()
        now = current()
        prepare_worker(now.workspace)
        sidebar(now)
        header(now, screen)
        tell()
        ask_undo(now)
        with st.container(key="page"):
            page.run()
        forget_presses()
else:
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from streamlit.runtime.pages_manager import PagesManager

    from pages import find
    from pages.ahead import import_ahead
    from pages.base_address import BaseAddress
    from pages.runs import keep_messages_whole
    from pages.shared import downloads, follow, mosaics, pictures, samples

    # Until `st.navigation` has run once, Streamlit would open a deep link to /explore as a bare script of pages/.
    PagesManager.uses_pages_directory = False
    keep_messages_whole()
    import_ahead()
    app = st.App(
        __file__,
        routes=[route for part in (pictures, mosaics, samples, downloads, follow, find) for route in part.ROUTES],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(BaseAddress),
        ],
    )
