"""The workbench in a real Chromium: panes and splitters, groups, the selection bar, the audit, the keyboard alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from engine.labels.state import CONFIRMED, REJECTED
from tests.browser.conftest import address, eventually, settled
from tests.browser.test_labelling import (  # noqa: F401 - the fixture
    LIST,
    LONG,
    badges,
    opened,
    pick,
    seeded,
    view,
    with_label,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PANES = ("Clusters", "Map", "Pictures", "Details")
# What has the focus, through every shadow root.
FOCUSED = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at && [at.getAttribute("aria-label"), at.textContent.trim(), at.getAttribute("role") ?? at.tagName];
}"""


def pane(page, name):
    return page.get_by_role("region", name=name, exact=True)


def width(page, name) -> int:
    return round(pane(page, name).bounding_box()["width"])


def panes(page) -> list[str]:
    """The panes that are shown."""
    return [name for name in PANES if pane(page, name).is_visible()]


def cards(page):
    return page.get_by_role("listbox", name="Clusters").get_by_role("option")


def chosen(page) -> list[str]:
    return page.get_by_role("listbox", name="Clusters").locator("[aria-selected=true] .word").all_inner_texts()


def selected(page) -> int:
    """How many images are selected, as the gallery says."""
    words = page.locator(".k-gallery .count").inner_text()
    return int(words.split(" of ")[0].replace(",", "")) if words.endswith("selected") else 0


# Whether every picture that is to be seen in the gallery has come.
COME = """() => {
  const roots = [...document.querySelectorAll("*")].map(one => one.shadowRoot).filter(Boolean);
  const list = roots.map(root => root.querySelector(".k-gallery .list")).find(Boolean);
  const box = list.getBoundingClientRect();
  return [...list.querySelectorAll(".cell")].every(cell => {
    const { top, bottom } = cell.getBoundingClientRect();
    return bottom < box.top || top > box.bottom || cell.querySelector("img.here");
  });
}"""


def look_through(page) -> None:
    """Go from the first picture to the last by the keyboard; each has to be on the screen once."""
    page.keyboard.press("Home")
    for _ in range(12):
        page.wait_for_timeout(200)
        page.wait_for_function(COME)
        page.keyboard.press("PageDown")


def tab_to(page, *words: str, key: str = "Tab") -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(120):
        page.keyboard.press(key)
        found = page.evaluate(FOCUSED)
        if found and any(word in (text or "") for word in words for text in found[:2]):
            return
    raise AssertionError(f"no {words} is reached by {key}; last was {found}")


@pytest.mark.parametrize("screen", ["explore", "label?cluster=0"])
def test_a_splitter_moves_by_the_keyboard_and_stays_after_a_reload(seeded, visit, screen):  # noqa: F811
    page = opened(visit, f"{seeded.url}/{screen}")
    before, gallery = width(page, "Clusters"), width(page, "Pictures")
    splitter = page.get_by_role("separator", name="Width of clusters")
    splitter.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert width(page, "Clusters") == before + 64
    assert width(page, "Pictures") < gallery
    page.keyboard.press("ArrowLeft")
    assert width(page, "Clusters") == before + 48
    page.reload()
    page.locator(f"{LIST} .cell img.here").first.wait_for(timeout=LONG)
    assert width(page, "Clusters") == before + 48
    page.get_by_role("separator", name="Width of clusters").dblclick()
    eventually(lambda: width(page, "Clusters"), lambda now: now == before)


def test_a_splitter_is_dragged_and_leaves_every_pane_its_least(seeded, visit):  # noqa: F811
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    before = width(page, "Details")
    box = page.get_by_role("separator", name="Width of details").bounding_box()
    x, y = box["x"] + 3, box["y"] + 200
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y, steps=4)
    assert width(page, "Details") == before + 60
    page.mouse.move(x + 900, y, steps=4)
    page.mouse.up()
    assert width(page, "Details") >= 240
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_as_many_panes_as_the_width_allows_and_tabs_for_the_others(seeded, visit):  # noqa: F811
    page = opened(visit, f"{seeded.url}/explore", width=1440)
    assert panes(page) == ["Clusters", "Map", "Pictures"]
    assert not page.get_by_role("tab").count()
    page.set_viewport_size({"width": 1000, "height": 800})
    eventually(lambda: panes(page), lambda shown: shown == ["Map", "Pictures"])
    page.get_by_role("tab", name="Clusters").click()
    eventually(lambda: panes(page), lambda shown: shown == ["Clusters", "Pictures"])
    assert page.get_by_role("tab", name="Clusters").get_attribute("aria-selected") == "true"
    page.set_viewport_size({"width": 720, "height": 800})
    eventually(lambda: panes(page), lambda shown: shown == ["Clusters"])
    expect(page.get_by_role("tab")).to_have_text(["Clusters", "Map", "Pictures"])
    for name in ("Pictures", "Map", "Clusters"):
        page.get_by_role("tab", name=name).click()
        eventually(lambda: panes(page), lambda shown, name=name: shown == [name])
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1440, "height": 900})
    eventually(lambda: panes(page), lambda shown: shown == ["Clusters", "Map", "Pictures"])


def test_one_pane_at_eight_hundred_pixels(seeded, visit):  # noqa: F811
    page = visit(f"{seeded.url}/label?cluster=0", width=800)
    page.get_by_role("tab", name="Details").wait_for(timeout=LONG)
    assert len(panes(page)) == 1
    page.get_by_role("tab", name="Pictures").click()
    page.locator(f"{LIST} .cell img.here").first.wait_for(timeout=LONG)
    assert panes(page) == ["Pictures"]


def test_the_map_takes_the_whole_window_by_w_and_gives_it_back_by_escape(seeded, visit):  # noqa: F811
    page = opened(visit, f"{seeded.url}/explore?cluster=0")
    pick(page, 1)
    before, usual = view(page), width(page, "Map")
    page.keyboard.press("w")
    eventually(lambda: panes(page), lambda shown: shown == ["Map"])
    box = pane(page, "Map").bounding_box()
    assert box["width"] >= 1420 and box["height"] > 840
    canvas = page.locator(".k-map canvas").first
    eventually(lambda: canvas.bounding_box()["width"], lambda wide: wide > 1300)
    page.keyboard.press("Escape")
    eventually(lambda: panes(page), lambda shown: shown == ["Clusters", "Map", "Pictures"])
    assert width(page, "Map") == usual
    eventually(lambda: view(page)["selected"], lambda found: found == before["selected"])
    page.locator(".k-map .holder").focus()
    page.keyboard.press("w")
    eventually(lambda: panes(page), lambda shown: shown == ["Map"])
    page.keyboard.press("Escape")
    eventually(lambda: panes(page), lambda shown: shown == ["Clusters", "Map", "Pictures"])


@pytest.mark.parametrize("screen", ["explore?cluster=0", "label?cluster=0"])
def test_select_all_and_deselect_work_where_nothing_has_the_focus(seeded, visit, screen):  # noqa: F811
    with_label(seeded)
    page = opened(visit, f"{seeded.url}/{screen}")
    page.get_by_role("button", name="Undo").click()
    eventually(seeded.kinds, lambda kinds: kinds == ["label", "undo"])
    settled(page)
    page.evaluate("() => document.activeElement?.blur()")
    assert page.evaluate("() => document.activeElement === document.body")
    page.keyboard.press("Control+a")
    size = len(seeded.state().rows(0))
    eventually(lambda: selected(page), lambda found: found == size)
    page.get_by_text(re.compile(f"^{size} selected(, [0-9]+ not in view)?$")).wait_for()
    page.keyboard.press("Escape")
    eventually(lambda: selected(page), lambda found: found == 0)
    expect(page.get_by_role("toolbar", name="Selected images")).to_have_count(0, timeout=LONG)


def test_a_label_is_given_by_typing(seeded, visit):  # noqa: F811
    with_label(seeded, "a red scarf")
    page = opened(visit, f"{seeded.url}/explore?cluster=0")
    image = pick(page, 2)
    row = seeded.rows.ids.tolist().index(image)
    page.get_by_role("button", name="Label as").click()
    field = page.get_by_role("combobox", name="Label, new or known")
    expect(field).to_be_focused()
    page.keyboard.type("scar")
    options = page.get_by_role("listbox", name="Label, new or known").get_by_role("option")
    expect(options).to_have_text(["scarnew label", "a red scarf"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    eventually(lambda: seeded.state().labels[row], lambda label: label == "a red scarf")
    page.get_by_role("button", name="Label as").click()
    page.keyboard.type("Ἑλένη 🙂 a/b")
    page.keyboard.press("Enter")
    eventually(lambda: seeded.state().labels[row], lambda label: label == "Ἑλένη 🙂 a/b")
    eventually(lambda: badges(page).get(image, ""), lambda words: words.startswith("Ἑλένη 🙂 a/b"))
    assert seeded.kinds() == ["label", "label", "label"]
    assert view(page)["selected"] == [image]
    page.get_by_role("button", name="Label as").click()
    page.keyboard.type("x")  # a letter in a field is no key of the page
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    settled(page)
    assert seeded.kinds() == ["label", "label", "label"]
    assert view(page)["selected"] == [image]


def test_what_the_bar_does_reaches_the_right_images_and_moves_them(seeded, visit):  # noqa: F811
    page = opened(visit, f"{seeded.url}/explore?cluster=0")
    rows = seeded.rows.ids.tolist()
    image = pick(page, 0)
    page.get_by_role("button", name="Confirm").click()
    seeded.wait_for("confirm")
    assert seeded.state().status[rows.index(image)] == CONFIRMED
    image = pick(page, 1)
    page.get_by_role("button", name="Move to").click()
    page.get_by_role("combobox", name="Cluster", exact=True).fill("cluster 2")
    page.keyboard.press("Enter")
    seeded.wait_for("confirm", "move")
    assert seeded.state().cluster[rows.index(image)] == 2
    image = pick(page, 2)
    page.get_by_role("button", name="Set aside").click()
    seeded.wait_for("confirm", "move", "reject")
    assert seeded.state().status[rows.index(image)] == REJECTED
    image = pick(page, 3)
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Lock: no action changes them").click()
    seeded.wait_for("confirm", "move", "reject", "lock")


def test_groups_are_chosen_with_control_and_shift_and_merged_under_a_name(seeded, visit):  # noqa: F811
    page = opened(visit, f"{seeded.url}/explore")
    expect(cards(page)).to_have_count(3)
    cards(page).nth(0).click()
    eventually(lambda: address(page), lambda url: "cluster=" in url)
    first = eventually(lambda: chosen(page), bool)
    cards(page).nth(2).click(modifiers=["Shift"])
    eventually(lambda: len(chosen(page)), lambda count: count == 3)
    cards(page).nth(1).click(modifiers=["Control"])
    eventually(lambda: len(chosen(page)), lambda count: count == 2)
    settled(page)
    pair = chosen(page)
    assert first[0] in pair
    sizes = [len(seeded.state().rows(int(title.split()[-1]))) for title in pair]
    page.get_by_text(f"{sum(sizes)} images").or_(page.get_by_text(f"{sum(sizes)}", exact=True)).first.wait_for()
    page.get_by_role("button", name="Merge 2 clusters").click()
    page.keyboard.type("both of them")
    page.keyboard.press("Enter")
    seeded.wait_for("merge")
    state = seeded.state()
    assert sorted((cluster.name or "", cluster.size) for cluster in state.clusters) == sorted(
        [("both of them", sum(sizes)), ("", 240 - sum(sizes))]
    )
    expect(cards(page)).to_have_count(2, timeout=LONG)
    eventually(lambda: chosen(page), lambda found: found == ["both of them"])
    page.get_by_role("listbox", name="Clusters").focus()
    page.keyboard.press("Escape")
    eventually(lambda: chosen(page), lambda found: found == [])
    eventually(lambda: address(page), lambda url: "cluster=" not in url)


def test_an_audit_is_made_and_kept_in_the_browser(seeded, visit):  # noqa: F811
    size = len(seeded.state().rows(0))
    page = opened(visit, f"{seeded.url}/label?cluster=0", height=600)
    page.get_by_role("button", name="Check a random sample").click()
    page.get_by_text("Which do not belong here?").wait_for(timeout=LONG)
    answer = page.get_by_role("button", name="All right")
    expect(answer).to_be_disabled()
    page.get_by_text("Scroll to the last image first").wait_for()
    page.locator(LIST).focus()
    look_through(page)
    expect(answer).to_be_enabled(timeout=LONG)
    page.get_by_text("0 wrong of 59: at least 9").wait_for()
    wrong = [pick(page, 0), pick(page, 2)]  # a plain click ticks one more
    assert set(view(page)["selected"]) == set(wrong)
    pick(page, 1)
    page.keyboard.press("Space")  # and off again
    page.get_by_text("2 wrong of 59: at least ").wait_for()
    page.keyboard.press("x")  # not a key of an audit
    page.get_by_role("button", name="Keep: 2 wrong, the others right").click()
    seeded.wait_for("audit")
    state = seeded.state()
    rows = seeded.rows.ids.tolist()
    assert all(np.isnan(state.bound[rows.index(image)]) for image in wrong), "nothing is proven of the wrong ones"
    assert len(state.rows(0)) == size - 2, "the wrong ones are set aside"
    assert np.isfinite(state.bound[state.rows(0)]).all()
    page.get_by_text("right, with 95% confidence").first.wait_for(timeout=LONG)
    eventually(lambda: len(view(page)["ids"]), lambda count: count > 0)
    assert selected(page) == 0
    expect(cards(page).filter(has_text="Cluster 0")).to_have_accessible_name(re.compile("audited: at least"))
    page.get_by_role("button", name="Undo").click()
    seeded.wait_for("audit", "undo")


def test_the_whole_label_flow_by_the_keyboard_alone(seeded, visit):  # noqa: F811
    """Choose a cluster, look, set aside, label, grow, tell apart, name, audit, undo: no pointer."""
    page = opened(visit, f"{seeded.url}/label")
    keyboard = page.keyboard
    tab_to(page, "Clusters", key="Tab")
    while not page.evaluate(FOCUSED)[2] == "listbox":
        tab_to(page, "Clusters")
    before = address(page)
    keyboard.press("ArrowDown")
    eventually(lambda: address(page), lambda url: url != before)
    settled(page)
    cluster = int(address(page).split("cluster=")[1].split("&")[0])
    size = len(seeded.state().rows(cluster))
    tab_to(page, "Images")
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    eventually(lambda: selected(page), lambda count: count == 1)
    keyboard.press("x")
    seeded.wait_for("reject")
    keyboard.press("Escape")
    keyboard.press("ArrowRight")
    keyboard.press("Shift+ArrowRight")
    tab_to(page, "Label as")
    keyboard.press("Enter")
    keyboard.type("by hand")
    keyboard.press("Enter")
    seeded.wait_for("reject", "label")
    assert seeded.state().labels.count("by hand") == 2
    assert page.evaluate(FOCUSED)[2] == "listbox"  # back among the pictures
    keyboard.press("1")
    seeded.wait_for("reject", "label", "label")
    keyboard.press("h")
    page.get_by_role("button", name="Take 6 images").wait_for()
    keyboard.press("g")
    seeded.wait_for("reject", "label", "label", "move")
    settled(page)
    assert len(seeded.state().rows(cluster)) == size - 1 + 6
    keyboard.press("d")
    seeded.wait_for("reject", "label", "label", "move", "apart")
    tab_to(page, "Check a random sample")
    keyboard.press("Enter")
    page.get_by_text("Which do not belong here?").wait_for(timeout=LONG)
    tab_to(page, "Images of the sample", key="Shift+Tab")
    look_through(page)
    expect(page.get_by_role("button", name="All right")).to_be_enabled(timeout=LONG)
    tab_to(page, "All right")
    keyboard.press("Enter")
    seeded.wait_for("reject", "label", "label", "move", "apart", "audit")
    settled(page)
    tab_to(page, "Name", key="Shift+Tab")
    while page.evaluate(FOCUSED)[2] != "INPUT":
        tab_to(page, "Name", key="Shift+Tab")
    before = address(page)
    keyboard.type("a name")
    keyboard.press("Enter")
    eventually(lambda: seeded.kinds()[-1], lambda kind: kind == "rename")
    assert seeded.state().find(cluster).name == "a name"
    eventually(lambda: address(page), lambda url: url != before)
    settled(page)
    keyboard.press("Control+z")
    eventually(lambda: seeded.kinds()[-1], lambda kind: kind == "undo")
    assert seeded.state().find(cluster).name is None
    for way in ("ArrowRight", "ArrowLeft"):  # from the field, too
        before = address(page)
        keyboard.press(f"Alt+{way}")
        eventually(lambda: address(page), lambda url, before=before: url != before)
        settled(page)
