"""The map in a real Chromium with software WebGL: lasso, box, keys, hover, pin, colours, lost context, no WebGL."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from components.map.polygon import inside
from tests.browser.conftest import eventually, report

pytestmark = pytest.mark.browser


def blobs(n: int):
    """The points of the harness: ten blobs on a circle, their codes."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, n)
    angle = codes * 2 * np.pi / 10
    centers = 20 + 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centers + rng.normal(scale=2.5, size=(n, 2))).astype(np.float32), codes


class Map:
    """A page with the map harness, and the way from data to screen coordinates in the fitted view."""

    def __init__(self, page, n: int) -> None:
        self.page = page
        self.xy, self.codes = blobs(n)
        self.wait_drawn()
        self.low, self.high = self.xy.min(axis=0).astype(float), self.xy.max(axis=0).astype(float)

    def wait_drawn(self) -> None:
        """Wait for the first picture."""
        self.page.wait_for_selector(".k-map[data-drawn]")

    def screen(self, points) -> np.ndarray:
        """Window coordinates of points in data coordinates, while everything is fitted."""
        box = self.page.locator(".holder").bounding_box()
        aspect = box["width"] / box["height"]
        sides = self.high - self.low  # each axis fills its side of the pane, up to a stretch of three
        unit = (np.atleast_2d(points) - (self.low + self.high) / 2) * 1.88 / np.maximum(sides, sides.max() / 3)
        x = box["x"] + (unit[:, 0] * min(aspect, 3.0) / aspect + 1) / 2 * box["width"]
        y = box["y"] + (1 - unit[:, 1] * min(1.0, 3.0 * aspect)) / 2 * box["height"]
        return np.stack([x, y], axis=1)

    def center(self, code: int) -> np.ndarray:
        angle = code * 2 * np.pi / 10
        return 20 + 30 * np.array([np.cos(angle), np.sin(angle)])

    def around(self, code: int, radius: float = 8.5, corners: int = 24) -> np.ndarray:
        """A ring around one blob, in data coordinates."""
        turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        return self.center(code) + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)

    def draw(self, points, *, key: str | None = None) -> None:
        """Drag the pointer along points in data coordinates."""
        path = self.screen(points)
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.move(*path[0])
        self.page.mouse.down()
        for place in path[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()
        if key:
            self.page.keyboard.up(key)

    def pixels(self) -> np.ndarray:
        """What the canvas shows now: (height, width, 3) of 0..255."""
        image = Image.open(io.BytesIO(self.page.locator("canvas.gl").screenshot())).convert("RGB")
        return np.asarray(image).astype(int)

    def colored(self) -> float:
        """Share of the canvas that is neither grey nor ground."""
        return float((np.ptp(self.pixels(), axis=2) > 60).mean())


@pytest.fixture
def scatter(visit, serve):
    """Open the map harness and wait for its first drawing."""

    def open_map(n: int = 5000, **options) -> Map:
        return Map(visit(f"{serve('harness_map.py')}/?n={n}", **options), n)

    return open_map


def test_the_lasso_comes_back_as_a_polygon_in_data_coordinates_and_fills_the_gallery(scatter):
    view = scatter()
    view.draw(view.around(2))
    expected = int(inside(view.around(2), view.xy).sum())
    seen = report(view.page, "r.count > 0 && r.gallery === r.count")
    assert seen["regions"][0][:2] == ["lasso", "new"]
    polygon = np.array(seen["polygon"])
    assert np.abs(np.linalg.norm(polygon - view.center(2), axis=1) - 8.5).max() < 0.5
    assert seen["count"] == pytest.approx(expected, abs=2)
    assert seen["count"] == int(inside(polygon, view.xy).sum()) > 400
    expect(view.page.locator(".entry").first).to_have_text(
        f"<i>cluster 2</i>{seen['count']} / {(view.codes == 2).sum()}"
    )


def test_the_tool_stays_armed_shift_adds_alt_takes_away_and_escape_clears(scatter):
    view = scatter()
    view.draw(view.around(0))
    one = report(view.page, "r.count > 0")["count"]
    view.draw(view.around(1))
    other = report(view.page, f"r.count > 0 && r.count !== {one}")["count"]
    view.draw(view.around(5), key="Shift")
    both = report(view.page, "r.regions.length === 2")["count"]
    assert both == other + int(inside(view.around(5), view.xy).sum())
    view.draw(view.around(1, radius=10), key="Alt")
    seen = report(view.page, "r.regions.length === 3")
    assert seen["count"] == both - other
    view.page.keyboard.press("Escape")
    seen = report(view.page, "r.regions.length === 0 && r.gallery === 5000")
    assert seen["seen"]["cleared"] is True
    expect(view.page.locator(".shape")).to_have_count(0)


def test_a_box_has_four_corners_and_says_so(scatter):
    view = scatter()
    view.page.get_by_role("button", name="Box (B)").click()
    middle = view.center(7)
    view.draw([middle - 9, middle, middle + 9])
    seen = report(view.page, "r.count > 0")
    assert seen["regions"] == [["box", "new", 4]]
    assert seen["count"] == int(inside(np.array(seen["polygon"]), view.xy).sum()) > 400


def test_the_region_stays_over_reruns_and_returns_with_the_map(scatter):
    view = scatter()
    view.page.locator(".k-map").evaluate("e => { e.dataset.mark = 'same element'; }")
    view.draw(view.around(4))
    count = report(view.page, "r.count > 0")["count"]
    view.page.get_by_text("confidence").click()
    assert report(view.page, "r.runs > 2")["count"] == count
    expect(view.page.locator(".shape")).to_have_count(1)
    assert view.page.locator(".k-map").get_attribute("data-mark") == "same element"
    view.page.get_by_text("hide map").click()
    view.page.wait_for_selector(".k-map", state="detached")
    view.page.get_by_text("hide map").click()
    assert report(view.page, "r.count > 0")["count"] == count
    view.wait_drawn()
    expect(view.page.locator(".shape")).to_have_count(1)


def test_python_clears_focuses_and_highlights(scatter):
    view = scatter()
    view.draw(view.around(4))
    report(view.page, "r.count > 0")
    view.page.get_by_role("button", name="clear map").click()
    report(view.page, "r.regions.length === 0 && r.gallery === 5000")
    expect(view.page.locator(".shape")).to_have_count(0)
    view.page.get_by_text("highlight cluster 3").click()
    total = int((view.codes == 3).sum())
    expect(view.page.locator(".k-map .count")).to_have_text(f"{total} of 5,000")
    expect(view.page.locator(".entry").first).to_have_text(f"<i>cluster 3</i>{total} / {total}")
    view.page.get_by_role("button", name="focus on 7").click()
    view.page.wait_for_selector(".ring.focused:not(.k-hidden)")

    def off_center() -> float:
        box, ring = (view.page.locator(name).bounding_box() for name in (".holder", ".ring.focused"))
        return max(
            abs(ring[at] + ring[side] / 2 - box[at] - box[side] / 2)
            for at, side in ("x width".split(), "y height".split())
        )

    eventually(off_center, lambda distance: distance < 2)


def test_hover_shows_the_thumbnail_and_a_click_pins_it(scatter):
    view = scatter(2000)
    row = int(np.argmin(np.linalg.norm(view.xy - view.center(6), axis=1)))
    place = view.screen(view.xy[row])[0]
    view.page.mouse.move(*place)
    card = view.page.locator(".card:not(.pinned)")
    card.wait_for(state="visible")
    expect(card.locator("img")).to_have_attribute("src", f"/thumb/{row + 1}")
    expect(card.locator(".name")).to_have_text("<i>cluster 6</i>")
    assert card.locator("i").count() == 0
    view.page.mouse.click(*place)
    seen = report(view.page, "r.pinned !== null")
    assert seen["pinned"] == row
    assert seen["seen"]["clicked"] == row
    pinned = view.page.locator(".card.pinned")
    expect(pinned.locator("img")).to_have_attribute("src", f"/thumb/{row + 1}")
    pinned.get_by_role("button", name="Open").click()
    assert report(view.page, "r.seen.opened !== undefined")["seen"]["opened"] == row
    view.page.locator(".holder").focus()
    view.page.keyboard.press("m")
    report(view.page, "r.activated === 'merge'")
    view.page.keyboard.press("Escape")
    report(view.page, "r.pinned === null")
    expect(pinned).not_to_be_visible()


def test_a_legend_entry_is_a_button_for_its_category(scatter):
    view = scatter()
    view.page.locator(".entry", has_text="cluster 8").click()
    assert report(view.page, "r.seen.category !== undefined")["seen"]["category"] == 8


def test_wheel_zooms_keys_move_and_fit_comes_back(scatter):
    view = scatter()
    place = view.screen(view.center(0))[0]
    view.page.mouse.move(*place)
    for _ in range(6):
        view.page.mouse.wheel(0, -240)
    view.page.wait_for_selector(".peaks img")
    shown = view.page.locator(".peaks img").count()
    assert 1 < shown <= 32
    view.page.locator(".holder").focus()
    view.page.keyboard.press("f")
    view.page.wait_for_function("e => e.children.length <= 12", arg=view.page.locator(".peaks").element_handle())
    view.draw(view.around(0))
    seen = report(view.page, "r.count > 0")
    assert seen["count"] == pytest.approx(int(inside(view.around(0), view.xy).sum()), abs=2)


def test_colours_follow_the_choice_and_the_rest_turns_grey(scatter):
    view = scatter()
    colored = eventually(view.colored, lambda share: share > 0.02)
    view.draw(view.around(2))
    report(view.page, "r.count > 0")
    eventually(view.colored, lambda share: 0 < share < colored / 3)
    view.page.keyboard.press("Escape")
    report(view.page, "r.gallery === 5000")
    view.page.get_by_text("confidence").click()
    expect(view.page.locator(".ramp")).to_be_visible()
    expect(view.page.locator(".ends")).to_have_text(re.compile(r"^[-\u2212]"))


RECORD_CONTEXTS = """
globalThis.contexts = [];
const original = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  const context = original.call(this, kind, ...rest);
  if (kind.startsWith("webgl") && context) globalThis.contexts.push(context);
  return context;
};
"""


def test_a_lost_graphics_context_is_recovered(scatter, visit):
    view = scatter(script=RECORD_CONTEXTS)
    view.draw(view.around(3))
    count = report(view.page, "r.count > 0")["count"]
    view.page.evaluate(
        "() => globalThis.contexts.findLast(c => !c.isContextLost()).getExtension('WEBGL_lose_context').loseContext()"
    )
    view.page.wait_for_selector(".notice:not(.k-hidden)")
    view.page.wait_for_selector(".notice.k-hidden", state="attached")
    eventually(view.colored, lambda share: share > 0.001)
    assert report(view.page)["count"] == count
    view.draw(view.around(6))
    assert report(view.page, f"r.count > 0 && r.count !== {count}")["webgl"] is True
    # Until the new context is there, the drawing library may say of each frame that it has none.
    visit.errors[:] = [error for error in visit.errors if "context lost" not in error]


def test_without_webgl_a_chart_takes_over_and_selects_too(serve, chromium_launcher, visit):
    browser = chromium_launcher(["--no-sandbox", "--disable-gpu", "--disable-3d-apis"])
    page = visit(f"{serve('harness_map.py')}/?n=3000", browser=browser)
    page.wait_for_selector(".js-plotly-plot .nsewdrag")
    assert report(page, "r.webgl === false")["gallery"] == 3000
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    x, y, side = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, min(box["width"], box["height"]) / 2 - 8
    page.mouse.move(x - side, y - side)
    page.mouse.down()
    for dx, dy in ((-1, 0), (-1, 1), (0, 1), (0, -1)):
        page.mouse.move(x + dx * side, y + dy * side, steps=4)
    page.mouse.up()
    seen = report(page, "r.count > 0 && r.gallery === r.count")
    assert seen["regions"][0][0] == "lasso"
    assert seen["count"] == int(inside(np.array(seen["polygon"]), blobs(3000)[0]).sum())
    assert 500 < seen["count"] < 2500
    page.get_by_role("button", name="Clear the selection").click()
    assert report(page, "r.gallery === 3000")["count"] == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_wears_the_theme_and_fits_a_narrow_window(scatter, scheme):
    view = scatter(width=560, scheme=scheme)
    assert view.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    eventually(lambda: float((view.pixels().sum(axis=2) < 120).mean()), lambda dark: (dark > 0.8) == (scheme == "dark"))


def test_help_lists_the_keys(scatter):
    view = scatter()
    view.page.locator(".holder").focus()
    view.page.keyboard.press("?")
    sheet = view.page.locator(".k-map dialog.k-help")
    expect(sheet).to_contain_text("add to the selection")
    view.page.keyboard.press("Escape")
    expect(sheet).not_to_be_visible()
