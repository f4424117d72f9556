"""A page is drawn where it belongs although a fragment runs when a click comes."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def places_of_runs(page, clicks: int) -> list[str]:
    """Click again and again while the fragment runs; return where the runs were drawn, up to the first wrong place."""
    page.set_default_timeout(5000)
    page.get_by_text("run 1").wait_for(timeout=60_000)
    places = []
    for number in range(2, clicks + 2):
        try:
            page.get_by_role("button", name="Again").first.click()
            page.get_by_text(f"run {number}").first.wait_for()
        except Exception:  # the button, or the whole page, has gone
            return [*places, "nowhere"]
        if page.get_by_test_id("stSidebar").get_by_text(f"run {number}").count():
            return [*places, "sidebar"]
        places.append("page")
        page.wait_for_timeout(130)
    return places


def test_a_run_that_follows_a_fragment_is_drawn_into_the_page(serve, visit):
    assert places_of_runs(visit(f"{serve('harness_fragment.py')}/?mended"), clicks=8) == ["page"] * 8


def test_without_it_streamlit_draws_the_page_into_the_fragment(serve, chromium):
    page = chromium.new_page()  # its errors are what is looked for
    page.goto(serve("harness_fragment.py"))
    places = places_of_runs(page, clicks=60)  # which of them meets a run of the fragment is a matter of chance
    page.close()
    assert set(places) != {"page"}, "Streamlit begins at the top by itself: pages/runs.py can do without it"
