"""The frame in a real Chromium: what is told covers nothing that acts; the history opens and goes back to its start."""

from __future__ import annotations

import pytest

from tests.browser.conftest import eventually, settled
from tests.browser.test_labelling import LONG, opened, seeded, with_label  # noqa: F401 - the fixture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

COVERED = """() => {
  const toast = document.querySelector('[data-testid="stToast"]').getBoundingClientRect();
  const acts = 'button, a[href], input, select, textarea, summary, [role="button"], [role="tab"], [role="slider"]';
  return [...document.querySelectorAll(acts)].filter(one => {
    if (one.closest('[data-testid="stToastContainer"]') || !one.checkVisibility({ visibilityProperty: true }))
      return false;
    const box = one.getBoundingClientRect();
    return box.width > 0 && box.left < toast.right && box.right > toast.left
      && box.top < toast.bottom && box.bottom > toast.top;
  }).map(one => one.innerText || one.getAttribute("aria-label") || one.outerHTML.slice(0, 120));
}"""


@pytest.mark.parametrize("screen", ["label?cluster=0", "explore?cluster=0"])
@pytest.mark.parametrize("width", [1440, 1100, 800])
def test_what_is_told_covers_nothing_that_acts(seeded, visit, width, screen):  # noqa: F811
    with_label(seeded)
    page = opened(visit, f"{seeded.url}/{screen}", width=width)
    page.get_by_role("button", name="Undo").click()
    toast = page.get_by_test_id("stToast")
    toast.wait_for(timeout=LONG)
    settled(page)
    assert toast.inner_text().split("\n")[-1].startswith("Undone: ")
    assert "Undo with" not in toast.inner_text()
    assert page.evaluate(COVERED) == []
    title = page.locator(".st-key-header_title").bounding_box()
    box = toast.bounding_box()
    assert box["y"] > title["y"] + title["height"], "the title is not covered"
    assert 0 <= box["x"] and box["x"] + box["width"] <= width


def test_the_history_opens_by_its_title_and_leads_back_to_the_start(seeded, visit):  # noqa: F811
    state = seeded.state()
    for number in range(40):
        seeded.history.label(seeded.state(), state.rows(number % 3)[:2], f"name {number}")
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    history = page.locator("details", has=page.locator("summary", has_text="History"))
    history.locator("summary").filter(has_text="40 steps").click()
    oldest = history.get_by_text("name 0", exact=False)
    steps = history.get_by_role("listitem")
    while not oldest.count():
        before = steps.count()
        history.get_by_role("button", name="Older").click(timeout=LONG)
        eventually(steps.count, lambda found, before=before: found > before)
    oldest.first.wait_for(timeout=LONG)
