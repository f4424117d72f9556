"""The gallery in a real Chromium: selection by pointer and keys, full screen, failed images, a million ids."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import eventually, report

pytestmark = pytest.mark.browser


@pytest.fixture
def grid(visit, serve):
    """Open the gallery harness and wait for its first pictures."""

    def open_grid(n: int | str = 1000, **options):
        page = visit(f"{serve('harness_gallery.py')}/?n={n}", **options)
        page.wait_for_selector(".cell img.here" if n else ".k-empty:not(.k-hidden)")
        report(page)
        return page

    return open_grid


def cell(page, position: int):
    return page.locator(f"#c{position}")


def selected(page) -> list[int]:
    return page.eval_on_selector_all(".cell[aria-selected='true']", "cells => cells.map(c => +c.dataset.id)")


def test_click_control_and_shift_select_what_a_file_manager_would(grid):
    page = grid()
    cell(page, 2).click()
    assert selected(page) == [3]
    cell(page, 5).click(modifiers=["Control"])
    assert selected(page) == [3, 6]
    cell(page, 9).click(modifiers=["Shift"])
    assert selected(page) == [6, 7, 8, 9, 10]
    cell(page, 1).click(modifiers=["Shift", "Control"])
    assert selected(page) == list(range(2, 11))
    assert report(page, "r.count === 9")["sum"] == sum(range(2, 11))
    cell(page, 4).click()
    assert selected(page) == [5]
    cell(page, 4).click()
    assert selected(page) == []
    assert report(page, "r.count === 0")["first"] is None


def test_the_tick_adds_without_losing_the_rest(grid):
    page = grid()
    for position in (0, 3):
        cell(page, position).hover()
        cell(page, position).locator(".tick").click()
    assert selected(page) == [1, 4]


def test_select_all_sends_ranges_and_survives_a_reversal_and_a_filter(grid):
    page = grid(100_000)
    page.locator(".list").focus()
    page.keyboard.press("Control+a")
    assert report(page, "r.count === 100000")["sum"] == 100_000 * 100_001 // 2
    cell(page, 0).click(modifiers=["Control"])
    assert report(page, "r.count === 99999")["first"] == 2
    page.get_by_text("evens only").click()
    seen = report(page, "r.count === 50000")
    assert (seen["first"], seen["last"]) == (2, 100_000)
    page.get_by_text("reverse").click()
    seen = report(page, "r.first === 100000 && r.n === 50000")
    assert (seen["count"], seen["last"]) == (50_000, 2)
    page.get_by_text("evens only").click()
    assert report(page, "r.n === 100000 && r.first === 100000")["last"] == 2
    expect(page.locator(".count")).to_contain_text("50,000 of 100,000 selected")
    cell(page, 1).click(modifiers=["Control"])  # 50,000 separate ranges now, so bits are sent
    seen = report(page, "r.count === 50001")
    assert seen["sum"] == 2 * 50_000 * 50_001 // 2 + 99_999


def columns_of(page) -> int:
    """Number of cells in the first row."""
    return page.eval_on_selector_all(
        ".cell",
        "cells => { const top = cells[0].getBoundingClientRect().top;"
        " return cells.filter(c => Math.abs(c.getBoundingClientRect().top - top) < 2).length; }",
    )


def drag(page, start: int, stop: int) -> None:
    """Draw a rectangle from the middle of one cell to the middle of another."""
    a, b = cell(page, start).bounding_box(), cell(page, stop).bounding_box()
    page.mouse.move(a["x"] + a["width"] / 2, a["y"] + a["height"] / 2)
    page.mouse.down()
    page.mouse.move(b["x"] + b["width"] / 2, b["y"] + b["height"] / 2, steps=6)
    assert page.locator(".rubber").is_visible()
    page.mouse.up()
    assert not page.locator(".rubber").is_visible()


def test_a_rectangle_selects_what_it_touches_and_control_adds(grid):
    page = grid()
    wide = columns_of(page)
    drag(page, 1, wide + 3)
    expected = [2, 3, 4, wide + 2, wide + 3, wide + 4]
    assert selected(page) == expected
    assert report(page, "r.count === 6")["sum"] == sum(expected)
    page.keyboard.down("Control")
    drag(page, 5, 6)
    page.keyboard.up("Control")
    assert sorted(selected(page)) == sorted([*expected, 6, 7])
    drag(page, 0, 1)
    assert selected(page) == [1, 2]


def test_arrows_space_shift_home_end_and_escape(grid):
    page = grid()
    page.locator(".list").focus()
    wide = columns_of(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert selected(page) == [wide + 2]
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert selected(page) == [wide + 2, wide + 3, wide + 4]
    assert report(page, "r.count === 3")["first"] == wide + 2
    page.keyboard.press("End")
    assert page.locator(".cell.focus").get_attribute("data-id") == "1000"
    page.keyboard.press("Home")
    assert page.locator(".cell.focus").get_attribute("data-id") == "1"
    page.keyboard.press("Escape")
    assert report(page, "r.count === 0")["sum"] == 0


def test_focus_and_selection_stay_over_reruns(grid):
    page = grid()
    cell(page, 1).click()
    page.keyboard.press("Control+a")
    runs = report(page, "r.count === 1000")["runs"]
    page.keyboard.press("3")
    seen = report(page, f"r.runs > {runs} && r.events.length === 1")
    assert seen["events"] == [["label", "3", 2, 1000]]
    page.keyboard.press("x")
    page.keyboard.press("/")
    page.keyboard.press("Control+z")
    seen = report(page, "r.events.length === 4")
    assert [event[:2] for event in seen["events"]] == [
        ["label", "3"],
        ["reject", "x"],
        ["search", "/"],
        ["undo", "Ctrl+z"],
    ]
    assert page.evaluate("() => document.activeElement.shadowRoot.activeElement.className") == "list"
    assert report(page)["count"] == 1000


def test_a_key_right_after_a_click_carries_the_newest_selection(grid):
    page = grid()
    cell(page, 0).click()
    cell(page, 3).click(modifiers=["Shift"])
    page.keyboard.press("1")
    assert report(page, "r.events.length === 1")["events"] == [["label", "1", 4, 4]]


def test_an_action_survives_a_click_that_ends_its_run(grid):
    page = grid("200&slow=1")
    cell(page, 0).click()
    report(page, "r.count === 1")
    page.keyboard.press("1")
    page.wait_for_timeout(500)  # Python's run with this key is under way
    cell(page, 3).click()
    seen = report(page, "r.events.length === 1", "r.count === 1 && r.first === 4")
    assert seen["events"] == [["label", "1", 1, 1]]


def test_python_selects_and_clears(grid):
    page = grid()
    page.get_by_role("button", name="select first ten").click()
    assert report(page, "r.count === 10")["sum"] == 55
    eventually(lambda: selected(page), lambda found: found == list(range(1, 11)))
    cell(page, 10).click(modifiers=["Control"])
    assert report(page, "r.count === 11")["last"] == 11
    page.get_by_role("button", name="clear", exact=True).click()
    report(page, "r.count === 0")
    eventually(lambda: selected(page), lambda found: found == [])
    cell(page, 0).click()
    assert report(page, "r.count === 1")["first"] == 1


def test_selection_and_place_return_with_the_gallery(grid):
    page = grid()
    page.locator(".list").focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    page.keyboard.press("Space")
    chosen = report(page, "r.count === 1")["first"]
    page.get_by_text("hide gallery").click()
    page.wait_for_selector(".list", state="detached")
    page.get_by_text("hide gallery").click()
    assert report(page, "r.count === 1")["first"] == chosen
    page.wait_for_selector(f".cell[data-id='{chosen}'][aria-selected='true']")


def test_full_screen_steps_selects_and_shows_neighbours(grid):
    page = grid()
    cell(page, 4).dblclick()
    viewer = page.locator("dialog.viewer")
    assert viewer.is_visible()
    assert report(page, "r.viewing === 5")["opened"] == 5
    page.keyboard.press("ArrowRight")
    report(page, "r.viewing === 6")
    assert viewer.locator(".place").inner_text() == "6 of 1,000"
    page.wait_for_selector(".strip button img")
    expect(viewer.locator(".strip img")).to_have_count(12)
    before = selected(page)
    page.keyboard.press("Space")
    assert viewer.get_by_label("Select (Space)").get_attribute("aria-pressed") == "true"
    assert 6 in selected(page) and 6 not in before
    viewer.locator(".strip button").first.click()
    report(page, "r.viewing === 7")
    viewer.get_by_role("button", name="Show on map").click()
    assert report(page, "r.events.length === 1")["events"][0][:3] == ["show_on_map", "", 7]
    expect(viewer).not_to_be_visible()
    page.keyboard.press("Enter")
    report(page, "r.viewing === 7")
    page.keyboard.press("Escape")
    report(page, "r.viewing === null")
    expect(viewer).not_to_be_visible()
    assert page.evaluate("() => document.activeElement.shadowRoot.activeElement.className") == "list"


def test_failed_images_say_why_and_a_name_with_html_stays_text(grid):
    page = grid()
    failed = cell(page, 12)
    assert "The file is cut short." in failed.inner_text()
    assert failed.locator("img").count() == 0
    page.wait_for_selector("[title='<b>photo 13</b>.jpg: The file is cut short.']")
    assert page.locator(".list b").count() == 0
    failed.dblclick()
    expect(page.locator("dialog.viewer .note")).to_have_text("The file is cut short.")
    expect(page.locator("dialog.viewer .caption")).to_have_text("<b>photo 13</b>.jpg")


def test_an_image_that_fails_without_a_known_reason_gets_a_placeholder(grid):
    page = grid()
    page.evaluate(
        "() => { const list = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot"
        ".querySelector('.list'); list.scrollTop = list.scrollHeight * 0.21; }"
    )
    page.wait_for_selector(".cell[data-id='213'].failed")
    expect(page.locator(".cell[data-id='213']")).to_contain_text("could not be read")


def test_order_size_crop_and_help(grid):
    page = grid()
    page.get_by_label("Order").select_option("down")
    assert report(page, "r.order === 'down'")["count"] == 0
    page.wait_for_selector("#c0[data-id='1000']")
    wide = columns_of(page)
    page.locator(".slider").fill("264")
    assert columns_of(page) < wide
    page.get_by_label("Fill the cells (crop)").click()
    assert page.eval_on_selector(".cell img", "image => getComputedStyle(image).objectFit") == "cover"
    page.locator(".list").focus()
    page.keyboard.press("?")
    sheet = page.locator("dialog.k-help")
    assert sheet.is_visible()
    assert "label with one of the recent names" in sheet.inner_text()
    page.keyboard.press("Escape")
    assert not sheet.is_visible()


def test_roles_for_screen_readers(grid):
    page = grid()
    box = page.get_by_role("listbox", name="Images")
    assert box.get_attribute("aria-multiselectable") == "true"
    option = box.get_by_role("option").nth(4)
    assert (option.get_attribute("aria-posinset"), option.get_attribute("aria-setsize")) == ("5", "1000")
    assert option.get_attribute("aria-selected") == "false"
    option.click()
    expect(option).to_have_attribute("aria-selected", "true")
    active = box.get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-posinset") == "5"
    assert page.locator(".count").get_attribute("aria-live") == "polite"


def test_no_images_say_what_to_do_next(grid):
    page = grid(0)
    expect(page.locator(".k-empty")).to_contain_text("No images in this cluster.")
    expect(page.locator(".k-empty")).to_contain_text("Choose another cluster")
    assert report(page)["count"] == 0


def images(page) -> int:
    return page.eval_on_selector_all(".k-gallery img", "all => all.length")


def first_id(page, condition: str) -> int:
    """Lowest id of the cells that exist, once it meets a condition (JavaScript over ``id``)."""
    found = page.wait_for_function(
        "list => { const id = Math.min(...[...list.querySelectorAll('.cell')].map(c => +c.dataset.id));"
        f" return {condition} && id; }}",
        arg=page.locator(".list").element_handle(),
    )
    return int(found.json_value())


def test_a_million_ids_keep_few_elements_and_reach_the_end(grid):
    page = grid(1_000_000)
    seen = [images(page)]
    page.locator(".slider").fill("264")  # 5 columns: 53 million px, past what a browser can scroll
    seen.append(images(page))
    place = page.locator(".list")
    for part in (0.1, 0.5, 0.9, 1):
        place.evaluate("(list, part) => { list.scrollTop = list.scrollHeight * part; }", part)
        page.wait_for_timeout(250)
        seen.append(images(page))
    page.wait_for_selector(".cell[data-id='1000000']")
    assert max(seen) < 150
    place.evaluate("list => { list.scrollTop = list.scrollHeight / 2; }")
    before = first_id(page, "id > 400000 && id < 600000")
    place.hover()
    page.mouse.wheel(0, 600)
    after = first_id(page, f"id > {before}")
    assert after - before <= 5 * columns_of(page)
    place.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Home")
    cell(page, 0).click(modifiers=["Control"])
    page.keyboard.press("End")
    cell(page, 999_999).click(modifiers=["Control"])
    seen = report(page, "r.count === 999998")
    assert (seen["first"], seen["last"], seen["sum"]) == (2, 999_999, 1_000_000 * 1_000_001 // 2 - 1_000_001)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_wears_the_theme_and_fits_a_narrow_window(grid, scheme):
    page = grid(width=520, scheme=scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    ground = page.eval_on_selector(".k-gallery", "e => getComputedStyle(e).getPropertyValue('--k-ground').trim()")
    text = page.eval_on_selector(".k-gallery", "e => getComputedStyle(e).color")
    level = sum(int(part) for part in text.removeprefix("rgb(").removesuffix(")").split(",")[:3])
    assert ground and (level > 380) == (scheme == "dark")
