"""Frames a second while a gallery of a million ids scrolls in Chromium: ours, and the same cells by TanStack Virtual.

    (cd components && npm install --no-save @tanstack/virtual-core)   # only for the second row
    python -m benchmarks.bench_scroll

Both show the same pictures in cells of one size in the same window and are scrolled by so many pixels in each frame
for `--seconds`; a frame that takes over 25 ms is late at 60 frames a second. `work` is the time that the scripts of a
frame take. "nothing" is a list without cells: what this machine's Chromium does at best. Without TanStack Virtual its
row is left out and said.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.browser.conftest import CHROMIUM_FLAGS, Served, chromium_path

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent
COMPONENTS = ROOT / "components"
LATE = 25  # ms
FLAGS = {"software": ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"], "webgl": CHROMIUM_FLAGS}
SIDE = 96  # px of a cell, as in a new gallery
WIDTH, HEIGHT = 1300, 760

# Each row is a box of cells with pictures, as TanStack's own example of a grid; cells that leave are dropped.
RIVAL = """
import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
globalThis.rival = (list, n, side, gap) => {
  const space = list.appendChild(document.createElement("div"));
  space.style.position = "relative";
  const columns = Math.floor((list.clientWidth - gap) / (side + gap));
  const pitch = (list.clientWidth - gap) / columns;
  const rows = new Map();
  const draw = (virtual) => {
    const items = virtual.getVirtualItems();
    const wanted = new Set(items.map((item) => item.index));
    for (const [at, row] of rows) if (!wanted.has(at)) { row.remove(); rows.delete(at); }
    for (const item of items) {
      if (rows.has(item.index)) continue;
      const row = document.createElement("div");
      row.style.cssText = `position:absolute;left:0;right:0;transform:translateY(${item.start}px)`;
      for (let at = 0; at < columns; at++) {
        const id = item.index * columns + at + 1;
        if (id > n) break;
        const cell = row.appendChild(document.createElement("div"));
        cell.className = "cell";
        cell.setAttribute("role", "option");
        const [left, wide] = [at * pitch + gap, pitch - gap];
        cell.style.cssText = `position:absolute;transform:translateX(${left}px);width:${wide}px;height:${wide}px`;
        const image = cell.appendChild(document.createElement("img"));
        image.decoding = "async";
        image.style.cssText = "width:100%;height:100%;object-fit:contain";
        image.src = `/thumb/${id}`;
      }
      rows.set(item.index, row);
      space.append(row);
    }
    space.style.height = `${virtual.getTotalSize()}px`;
  };
  const virtual = new Virtualizer({
    count: Math.ceil(n / columns), getScrollElement: () => list, estimateSize: () => pitch, overscan: 1,
    scrollToFn: elementScroll, observeElementRect, observeElementOffset, onChange: draw,
  });
  virtual._didMount();
  virtual._willUpdate();
  draw(virtual);
};
"""

# What the machine does at best: a list of that height with nothing in it.
EMPTY = """
globalThis.rival = (list) => { list.appendChild(document.createElement("div")).style.height = "8000000px"; };
"""

SCROLL = """([list, step, seconds]) => new Promise((resolve) => {
  const frames = [], shown = [], began = performance.now();
  let last = began;
  const frame = (now) => {
    frames.push(now - last);
    last = now;
    const cells = [...list.querySelectorAll("img")];
    if (cells.length) shown.push(cells.filter((image) => image.complete && image.naturalWidth).length / cells.length);
    if (now - began > 1000 * seconds) return resolve({ frames: frames.slice(2), shown });
    list.scrollTop += step;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def rival_script() -> str | None:
    """Return the bundled rival; None where TanStack Virtual is not installed."""
    if not (COMPONENTS / "node_modules" / "@tanstack" / "virtual-core").is_dir():
        return None
    command = [str(COMPONENTS / "node_modules" / ".bin" / "esbuild"), "--bundle", "--minify", "--loader=ts"]
    done = subprocess.run(command, input=RIVAL, capture_output=True, text=True, check=True, cwd=COMPONENTS)
    return done.stdout


def scrolled(page: Page, name: str, list_: object, step: int, seconds: float) -> None:
    """Scroll by `step` px a frame and print how the frames went."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable")

    def script_seconds() -> float:
        found = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
        return float(found["ScriptDuration"] + found["LayoutDuration"] + found["RecalcStyleDuration"])

    before = script_seconds()
    found = page.evaluate(SCROLL, [list_, step, seconds])
    frames, shown = found["frames"], found["shown"]
    work = 1000 * (script_seconds() - before) / len(frames)
    late = sum(one > LATE for one in frames) / len(frames)
    print(
        f"  {name:9s} {step:4d} px a frame: {1000 * len(frames) / sum(frames):5.1f} frames a second, median "
        f"{median(frames):5.1f} ms, p95 {sorted(frames)[int(0.95 * len(frames))]:5.1f} ms, {late:5.1%} late, "
        f"work {work:4.1f} ms a frame, {median(shown or [0]):.0%} of the pictures there",
        flush=True,
    )


def main() -> None:
    """Print a row for each grid and speed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 30], help="px in each frame")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--drawing", choices=list(FLAGS), default="software", help="how a Chromium without a graphics card draws"
    )
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    path, rival = chromium_path(), rival_script()
    if path is None:
        raise SystemExit("No Chromium is installed.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        serve = Served(Path(folder))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS[given.drawing])
        try:
            url = serve(ROOT / "tests" / "browser" / "harness_gallery.py")
            print(f"{given.images:,} ids, cells of {SIDE} px, drawing by {given.drawing}")
            for _ in range(given.repeats):
                page = browser.new_page(viewport={"width": WIDTH + 100, "height": HEIGHT + 240})
                page.set_default_timeout(120_000)
                page.goto(f"{url}/?n={given.images}&height={HEIGHT}")
                page.locator(".cell img.here").first.wait_for()
                page.wait_for_timeout(2000)
                for step in given.steps:
                    scrolled(page, "ours", page.locator(".list").element_handle(), step, given.seconds)
                page.close()
                for name, script in (("nothing", EMPTY), ("TanStack", rival)):
                    if script is None:
                        continue
                    page = browser.new_page(viewport={"width": WIDTH + 100, "height": HEIGHT + 240})
                    page.set_default_timeout(120_000)
                    page.goto(f"{url}/_stcore/health")  # the same origin, without the app
                    page.evaluate(
                        "(style) => { document.body.innerHTML = `<div id=list role=listbox style='${style}'></div>`; }",
                        f"width:{WIDTH}px;height:{HEIGHT}px;overflow-y:auto",
                    )
                    page.add_script_tag(content=script)
                    page.evaluate(
                        "([n, side]) => rival(document.querySelector('#list'), n, side, 2)", [given.images, SIDE]
                    )
                    page.wait_for_timeout(2000)
                    for step in given.steps:
                        scrolled(page, name, page.locator("#list").element_handle(), step, given.seconds)
                    page.close()
            if rival is None:
                print("  TanStack Virtual is not installed: `npm install --no-save @tanstack/virtual-core`")
        finally:
            browser.close()
            serve.stop()


if __name__ == "__main__":
    main()
