"""No page has a serious fault that axe-core can find, in either theme, neither empty nor full."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.registry import SCREENS
from tests.browser.conftest import settled
from tests.browser.test_app import APP
from tests.browser.test_labelling import LONG, seeded, with_label  # noqa: F401 - the fixture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

AXE = Path(__file__).with_name("axe") / "axe.min.js"  # axe-core 4.14.1, MPL 2.0; its licence lies beside it
RUN = """async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
  const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return violations.filter(one => ["serious", "critical"].includes(one.impact)).map(one =>
    `${one.id}: ${one.nodes.length} such as ${one.nodes[0].html.slice(0, 200)} ${one.nodes[0].failureSummary}`);
}"""


def faults(page) -> list[str]:
    """What axe-core finds on a page that is serious or critical."""
    page.wait_for_timeout(1500)  # pictures and components come after the run
    settled(page)
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=str(AXE))
    return page.evaluate(RUN)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault(seeded, visit, scheme):  # noqa: F811
    with_label(seeded)
    found = {}
    page = visit(seeded.url, scheme=scheme)
    for screen in SCREENS:
        page.goto(f"{seeded.url}/{screen.path}")
        page.get_by_role("heading", level=1).wait_for(timeout=LONG)
        found[screen.path] = faults(page)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to a page, cluster, label or image, or run an action").wait_for(timeout=LONG)
    found["palette"] = faults(page)
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_empty_page_has_a_serious_fault(serve, visit, tmp_path, scheme):
    url = serve(APP, env={"KINDRED_WORKSPACE": str(tmp_path)}, fresh=True)
    found = {}
    page = visit(url, scheme=scheme)
    for screen in SCREENS:
        page.goto(f"{url}/{screen.path}")
        page.get_by_role("heading", level=1).wait_for(timeout=LONG)
        found[screen.path] = faults(page)
    assert {name: said for name, said in found.items() if said} == {}
