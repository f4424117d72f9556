"""Bytes between the browser and the server for each action of the workbench, in a real Chromium.

Counts the frames of the page's WebSocket from an action until the page rests; pictures travel by HTTP and are not
counted. Bytes do not depend on how busy the machine is.

    python -m benchmarks.bench_messages [--images 2500 100000]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench_screens import APP, FLAGS, LONG, PICK, seed
from tests.browser.conftest import Served, chromium_path, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocket

LIST = ".k-gallery .list"


class Counted:
    """Bytes that a page's WebSockets have carried, to the server and from it."""

    def __init__(self, page: Page) -> None:
        self.up = self.down = 0
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda payload: self._add("up", payload))
        socket.on("framereceived", lambda payload: self._add("down", payload))

    def _add(self, way: str, payload: str | bytes) -> None:
        setattr(self, way, getattr(self, way) + len(payload))


def actions(page: Page) -> dict[str, Callable[[], object]]:
    """Return what a person does on Explore, in order."""
    keys = page.keyboard
    return {
        "select one image": lambda: page.locator(LIST).evaluate(PICK, 1),
        "label it as a new name": lambda: _label_as(page, "cat"),
        "label by key": lambda: keys.press("1"),
        "undo": lambda: keys.press("Control+z"),
        "select all": lambda: keys.press("Control+a"),
        "set all aside": lambda: keys.press("x"),
        "undo it": lambda: keys.press("Control+z"),
        "choose a cluster": lambda: page.locator(".group-card").nth(2).click(),
        "colour by confidence": lambda: page.get_by_role("combobox", name="Colour by").select_option("confidence"),
        "scroll by ten screens": lambda: page.locator(LIST).evaluate("list => { list.scrollTop += 7000; }"),
    }


def _label_as(page: Page, name: str) -> None:
    page.get_by_role("button", name="Label as").click()
    page.keyboard.type(name)
    page.keyboard.press("Enter")


def measure(page: Page, url: str, n: int) -> None:
    """Print the table of one size."""
    counted = Counted(page)
    page.goto(f"{url}/explore", timeout=LONG)
    page.locator(f"{LIST} .cell img.here").first.wait_for(timeout=LONG)
    page.locator(".k-map[data-drawn]").first.wait_for(timeout=LONG)
    settled(page)
    print(f"\n{n:,} images {'to the server':>30} {'from it':>12}   (bytes)")
    print(f"{'open Explore':<30} {counted.up:>12,} {counted.down:>12,}")
    page.locator(LIST).focus()
    for name, act in actions(page).items():
        before = counted.up, counted.down
        act()
        page.wait_for_timeout(700)  # a selection, a filter and captions are told after a moment of quiet
        settled(page)
        print(f"{name:<30} {counted.up - before[0]:>12,} {counted.down - before[1]:>12,}", flush=True)


def main() -> None:
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[2500, 100_000])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        serve = Served(Path(place))
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        try:
            for n in chosen.images:
                workspace, _ = seed(Path(place) / str(n), n)
                url = serve(APP, env={"KINDRED_WORKSPACE": str(workspace.root), "KINDRED_SAMPLES": "off"}, fresh=True)
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                measure(page, url, n)
                page.close()
                serve.process(url).terminate()
        finally:
            browser.close()


if __name__ == "__main__":
    main()
