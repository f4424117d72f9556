"""The command palette by keyboard alone: pages, clusters, images by name, actions; and undo by key outside of text."""

from __future__ import annotations

import pytest

from tests.browser.conftest import address, eventually, settled
from tests.browser.test_labelling import LONG, opened, seeded, with_label  # noqa: F401 - the fixture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def ask(page, text):
    """Open the palette and write into it; returns its lines."""
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Go to a page, cluster, label or image, or run an action")
    field.wait_for(timeout=LONG)
    page.keyboard.type(text)
    return page.locator("dialog.palette").get_by_role("option")


def test_the_palette_leads_everywhere_by_keyboard(seeded, visit):  # noqa: F811
    page = opened(visit, f"{seeded.url}/explore")
    before = page.evaluate("document.activeElement.tagName")
    lines = ask(page, "com")
    lines.get_by_text("Compare").wait_for(timeout=LONG)
    assert lines.first.get_attribute("aria-selected") == "true"
    page.keyboard.press("Escape")
    lines.first.wait_for(state="detached", timeout=LONG)
    assert page.evaluate("document.activeElement.tagName") == before

    lines = ask(page, "007")
    lines.get_by_text("007.png").wait_for(timeout=LONG)
    page.keyboard.press("Enter")
    eventually(lambda: address(page), lambda url: "found=" in url, seconds=120)
    settled(page)

    lines = ask(page, "cluster 2")
    lines.get_by_text("Cluster 2").wait_for(timeout=LONG)
    page.keyboard.press("Enter")
    eventually(lambda: address(page), lambda url: "cluster=2" in url and "found=" not in url, seconds=120)
    settled(page)

    lines = ask(page, "a")
    lines.nth(2).wait_for(timeout=LONG)
    for key, chosen in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
        page.keyboard.press(key)
        eventually(lambda: lines.nth(chosen).get_attribute("aria-selected"), lambda said: said == "true")  # noqa: B023
    assert lines.nth(0).get_attribute("aria-selected") == "false"
    page.keyboard.press("Control+a")
    page.keyboard.type("compare")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Compare", exact=True).wait_for(timeout=LONG)


def test_the_palette_undoes_and_the_keys_leave_text_alone(seeded, visit):  # noqa: F811
    with_label(seeded)
    page = opened(visit, f"{seeded.url}/explore")
    lines = ask(page, "undo")
    lines.get_by_text("Undo").wait_for(timeout=LONG)
    page.keyboard.press("Control+z")  # it belongs to the text here
    page.keyboard.press("Control+a")
    page.keyboard.type("undo")
    settled(page)
    assert [event.kind for event in seeded.history.events()].count("undo") == 0
    page.keyboard.press("Enter")
    eventually(
        lambda: [event.kind for event in seeded.history.events()].count("undo"), lambda count: count == 1, seconds=120
    )
    settled(page)
    page.get_by_role("button", name="Undo").and_(page.locator(":disabled")).wait_for(timeout=LONG)
    page.keyboard.press("Control+Shift+z")
    eventually(lambda: [event.kind for event in seeded.history.events()][-1], lambda kind: kind == "redo", seconds=120)


def test_the_rail_folds_and_stays_folded(seeded, visit):  # noqa: F811
    page = opened(visit, f"{seeded.url}/explore")
    rail = page.get_by_test_id("stSidebar")
    assert rail.bounding_box()["width"] == 208
    page.get_by_role("button", name="Fold the rail").click()
    eventually(lambda: rail.bounding_box()["width"], lambda width: width == 56)
    page.reload()
    eventually(lambda: rail.bounding_box()["width"], lambda width: width == 56)
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("heading", name="Compare", exact=True).wait_for(timeout=LONG)
    page.get_by_role("button", name="Unfold the rail").click()
    eventually(lambda: rail.bounding_box()["width"], lambda width: width == 208)


@pytest.mark.parametrize(("width", "rail"), [(1920, 208), (1440, 208), (1100, 56), (800, 56), (533, 56)])
def test_the_header_is_one_line_and_the_page_reaches_the_edge(seeded, visit, width, rail):  # noqa: F811
    page = opened(visit, f"{seeded.url}/explore", width=width)
    found = page.evaluate(
        """() => {
            const box = name => document.querySelector(name).getBoundingClientRect();
            const header = box(".st-key-header"), page = box(".st-key-page");
            const acts = [...document.querySelectorAll(".st-key-header button, .st-key-header input")]
              .filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect());
            const out = acts.filter(one => one.width > 1 && (one.top < 0 || one.bottom > 44 || one.right > innerWidth));
            return {
              header: [header.left, header.top, header.right, header.height], page: [page.left, page.top, page.right],
              out: out.length, scroll: document.querySelector('[data-testid="stMain"]').scrollWidth,
            };
        }"""
    )
    assert found["header"] == [rail, 0, width, 44]
    assert found["page"] == [rail, 44, width]
    assert found["out"] == 0 and found["scroll"] <= width - rail
