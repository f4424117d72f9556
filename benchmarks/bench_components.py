"""Map and gallery in a real Chromium: lasso to gallery at 100k and 1M points, and a gallery of 1M ids.

The alternative in the same run is a rerun of the same page in which nothing changes: what lies above it is ours. For
the polygon it is the plain even-odd loop over all points of the polygon's box, for the selection a list of ids.
Run: python -m benchmarks.bench_components
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

from components.gallery.selection import decode, encode
from components.map.polygon import inside
from tests.browser.conftest import CHROMIUM_FLAGS, Served, chromium_path, report
from tests.browser.test_map import Map

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 5
# Notes the time of each release of the pointer, and of the first frame in which something is true.
STOPWATCH = """
globalThis.since = (done) => new Promise((resolve) => {
  addEventListener("mouseup", () => {
    const start = performance.now();
    const look = () => (done() ? resolve(performance.now() - start) : requestAnimationFrame(look));
    requestAnimationFrame(look);
  }, { capture: true, once: true });
});
globalThis.inShadow = (selector) => [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")]
  .map((host) => host.shadowRoot?.querySelector(selector)).find(Boolean);
"""


def timed(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median seconds of `work()`."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def plain_inside(polygon: NDArray[np.float64], xy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Every edge against every point of the polygon's box."""
    mask = np.zeros(len(xy), dtype=bool)
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    rows = np.flatnonzero(((xy >= low) & (xy <= high)).all(axis=1))
    x, y = xy[rows, 0].astype(np.float64), xy[rows, 1].astype(np.float64)
    odd = np.zeros(len(rows), dtype=bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay != by:
            odd ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    mask[rows] = odd
    return mask


def bench_polygon() -> None:
    """The even-odd test for a wavy lasso of 300 corners that holds about half of a million points."""
    xy = np.random.default_rng(0).normal(size=(1_000_000, 2)).astype(np.float32)
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    polygon = (1.2 + 0.15 * np.sin(9 * turn))[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert np.array_equal(inside(polygon, xy), plain_inside(polygon, xy))
    ours, plain = timed(lambda: inside(polygon, xy)), timed(lambda: plain_inside(polygon, xy), 3)
    print(f"polygon, 1M points, 300 corners: {ours:.3f} s, plain loop {plain:.3f} s, ratio {plain / ours:.1f}")


def bench_wire() -> None:
    """A selection of half of a million images, in one piece and scattered."""
    n = 1_000_000
    whole = np.arange(n) < n // 2
    scattered = np.random.default_rng(0).random(n) < 0.5
    for name, mask in (("one piece", whole), ("scattered", scattered)):
        ours = len(json.dumps(encode(mask)))
        ids = len(json.dumps(np.flatnonzero(mask).tolist()))
        seconds = timed(lambda mask=mask: decode(encode(mask), n))  # type: ignore[misc]
        print(
            f"selection of 500k of 1M, {name}: {ours:,} bytes, list of ids {ids:,} bytes, ratio {ids / ours:,.0f};"
            f" written and read in {seconds:.3f} s"
        )


class Wire:
    """Bytes that the server sent to a page over its web socket."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self.add))

    def add(self, payload: bytes | str) -> None:
        """Count one frame."""
        self.bytes += len(payload)

    def take(self) -> int:
        """Return the bytes since the last call."""
        taken, self.bytes = self.bytes, 0
        return taken


def bench_lasso(browser: Browser, serve: Served, n: int) -> None:
    """From the release of the lasso to the gallery of the points in it, with its first picture."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(120_000)
    page.add_init_script(STOPWATCH)
    wire = Wire(page)
    page.goto(f"{serve('harness_map.py')}/?n={n}")
    view = Map(page, n)
    first = wire.take()
    shown, picture, drawn, floor = [], [], [], []
    for round_ in range(REPEATS):
        state = "inShadow('.k-gallery .count').textContent"
        page.evaluate(
            f"""() => {{
              const text = {state}, drawings = inShadow('.k-map').dataset.drawings;
              globalThis.marks = [
                since(() => {state} !== text),
                since(() => {state} !== text && inShadow('.cell img.here')),
                since(() => inShadow('.k-map').dataset.drawings !== drawings),
              ];
            }}"""
        )
        view.draw(view.around(round_ % 5, radius=6 + round_ / 10))
        times = page.evaluate("() => Promise.all(globalThis.marks)")
        for kept, value in zip((shown, picture, drawn), times, strict=True):
            kept.append(value / 1000)
    bytes_each = wire.take() / REPEATS
    for _ in range(REPEATS):
        runs = report(page)["runs"]
        page.evaluate(
            "() => { const e = document.querySelector('#report'), text = e.textContent;"
            " globalThis.marks = since(() => document.querySelector('#report').textContent !== text); }"
        )
        page.get_by_role("button", name="rerun").click()
        floor.append(page.evaluate("() => globalThis.marks") / 1000)
        report(page, f"r.runs > {runs}")
    rest = wire.take() / REPEATS
    ratio = median(shown) / median(floor)
    print(
        f"lasso to gallery, {n:,} points: {median(shown):.2f} s (first picture {median(picture):.2f} s, map repainted"
        f" {median(drawn):.2f} s), rerun without change {median(floor):.2f} s, ratio {ratio:.1f}"
    )
    print(f"  sent: page {first:,} bytes, each lasso {bytes_each:,.0f} bytes, rerun without change {rest:,.0f} bytes")
    page.close()


def bench_gallery(browser: Browser, serve: Served, n: int) -> None:
    """Scrolling through a million ids and selecting all but one."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(120_000)
    page.add_init_script(STOPWATCH)
    start = time.perf_counter()
    page.goto(f"{serve('harness_gallery.py')}/?n={n}")
    page.wait_for_selector(".cell img.here")
    opened = time.perf_counter() - start
    most = 0
    for size in ("72", "128", "264"):
        page.locator(".slider").fill(size)
        for part in np.linspace(0, 1, 6):
            page.locator(".list").evaluate("(e, part) => { e.scrollTop = e.scrollHeight * part; }", float(part))
            page.wait_for_timeout(150)
            most = max(most, page.eval_on_selector_all(".k-gallery img", "all => all.length"))
    page.locator(".list").focus()
    page.keyboard.press("Home")
    start = time.perf_counter()
    page.keyboard.press("Control+a")
    page.locator("#c0").click(modifiers=["Control"])
    seen = report(page, f"r.count === {n - 1}")
    told = time.perf_counter() - start
    assert seen["sum"] == n * (n + 1) // 2 - 1
    print(
        f"gallery of {n:,} ids: at most {most} img elements (plain grid {n:,}, ratio {n / most:,.0f}); first picture"
        f" {opened:.1f} s after opening; all but one selected and resolved in Python after {told:.2f} s, none dropped"
    )
    page.close()


def main() -> None:
    """Print every figure."""
    from playwright.sync_api import sync_playwright

    bench_polygon()
    bench_wire()
    path = chromium_path()
    if path is None:
        print("no Chromium is installed: nothing more was measured")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        serve = Served(Path(folder))
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        try:
            for n in (100_000, 1_000_000):
                bench_lasso(browser, serve, n)
            bench_gallery(browser, serve, 1_000_000)
        finally:
            browser.close()
            serve.stop()


if __name__ == "__main__":
    main()
