"""The screens in a real Chromium: seconds from a key or a click to what is seen of it, medians and 95th percentiles.

2,500 and 100,000 images in 13 clusters: clustered vectors, and small generated pictures that repeat. Beside each figure
stands its bound, and the processor seconds that the server and the browser spend until the page rests. Seconds mean
something on a quiet machine only; processor seconds change little with what else it does.

    python -m benchmarks.bench_screens [--images 2500 100000] [--repeats 15] [--parts names labels]
"""

from __future__ import annotations

import argparse
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from PIL import Image

from engine.clustering.registry import find_method
from engine.core.catalog import open_catalog
from engine.core.files import content_id, save_array, write_json
from engine.core.ids import pack
from engine.core.labels import Labels
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace
from engine.embeddings.configurations import describe, key_of
from engine.embeddings.encoders.registry import find_encoder
from engine.embeddings.store import EmbeddingStore
from engine.evaluation.scores import CompositeSettings, scores
from engine.geometry.projection import ProjectionSettings
from engine.images.datasets import Dataset, add_folder
from engine.images.decode import PreprocessSettings
from engine.images.sampling import SampleSettings, draw_sample
from engine.images.thumbnails import ThumbnailStore
from engine.jobs import job as jobs
from engine.jobs.tasks.boards import KeepRankRequest, keep_rank
from engine.runs.rows import Rows, load_rows, map_of
from engine.selection.sweep.ranking import LeaderboardRow, leaderboard_row
from engine.selection.sweep.report import write_report
from tests.browser.conftest import Served, chromium_path, settled

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

APP = Path(__file__).resolve().parent.parent / "app.py"
GROUPS, DIMENSION, LOOKS = 13, 64, 20
ON_DISK = 5_000  # up to so many images are files that can be exported
LIVE = 12_000  # up to so many images k-means answers while a slider is dragged
LONG = 180_000
# As Chromium draws where there is no graphics card: pages by its own painter, only the map by software WebGL.
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
SHOWN, VISIBLE = 30, 0.05  # pictures visible on Explore, seconds until a label is seen
PARTS = (
    "pages",
    "explore",
    "names",
    "labels",
    "rank",
    "live",
    "export",
)  # labels are given by the keys that names have taken
# Presses a key in the gallery; resolves to the milliseconds until it is seen, and until Python has answered.
PRESS = """(list, key) => new Promise((resolve) => {
  const root = list.closest(".k-gallery");
  const cell = list.querySelector('.cell[aria-selected="true"]');
  const before = cell.querySelector(".badge")?.title ?? "";
  const start = performance.now();
  const time = performance.timeOrigin + start;
  let seen = null;
  list.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
  const look = () => {
    if (seen === null && (cell.querySelector(".badge")?.title ?? "") !== before) seen = performance.now() - start;
    if (seen !== null && Number(root.dataset.acted) >= time) resolve([seen, performance.now() - start]);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
PICK = """(list, at) => {
  const cell = [...list.querySelectorAll(".cell")].sort((a, b) => a.dataset.position - b.dataset.position)[at];
  for (const type of ["pointerdown", "pointerup"])
    cell.dispatchEvent(new PointerEvent(type, { bubbles: true, composed: true }));
}"""
# Resolves, after it is painted, to the milliseconds from the beginning of the navigation to the first of a selector.
PAINTED = """selector => new Promise((resolve) => {
  const look = () => {
    const parts = [...document.querySelectorAll('[data-testid^="stBidiComponent"]')];
    const seen = parts.flatMap(one => [one, ...one.children])
      .some(one => (one.shadowRoot ?? one).querySelector(selector));
    if (seen) requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    else requestAnimationFrame(look);
  };
  look();
})"""
# How many pictures can be seen whole in the gallery.
VISIBLE_CELLS = """list => {
  const box = list.getBoundingClientRect();
  return [...list.querySelectorAll(".cell img.here")].filter(image => {
    const { top, bottom } = image.closest(".cell").getBoundingClientRect();
    return top >= box.top - 1 && bottom <= Math.min(box.bottom, innerHeight) + 1;
  }).length;
}"""
SCREENS = {
    "Images": ".k-gallery .cell",
    "Explore": ".k-map[data-drawn]",
    "Label": ".k-name_field input",
    "Compare": ".k-facts",
    "Export": "[data-testid=stDataFrame]",
}


def seed(folder: Path, n: int) -> tuple[Workspace, Dataset]:
    """Make a workspace over n images with vectors, thumbnails, a board of one rank, a kept run and a map."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, GROUPS, n)
    vectors = rng.normal(size=(GROUPS, DIMENSION))[groups] + 0.5 * rng.normal(size=(n, DIMENSION))
    looks = [_picture(rng, group) for group in range(GROUPS) for _ in range(LOOKS)]
    shown = [looks[group * LOOKS + number % LOOKS] for number, group in enumerate(groups.tolist())]
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    paths = [f"{number:06d}.jpg" for number in range(n)]
    contents = [content_id(_file(shown[number], number)) for number in range(n)]
    stats = [(len(shown[number]) + 8, 0) for number in range(n)]
    if n <= ON_DISK:
        for number, name in enumerate(paths):
            (pictures / name).write_bytes(_file(shown[number], number))
            found = (pictures / name).stat()
            stats[number] = (found.st_size, found.st_mtime_ns)
    workspace = Workspace.open(folder / "workspace")
    dataset = add_folder(workspace, pictures)
    with open_catalog(workspace.catalog, write=True) as db:
        db.executemany(
            "INSERT INTO image (dataset, path, content, size, mtime_ns, width, height, format, depth)"
            " VALUES (?, ?, ?, ?, ?, 96, 96, 'jpeg', '')",
            [
                (dataset.id, os.fsencode(name), content, *stat)
                for name, content, stat in zip(paths, contents, stats, strict=True)
            ],
        )
        db.execute("UPDATE dataset SET scanned = ? WHERE id = ?", (time.time(), dataset.id))
    ThumbnailStore(workspace.thumbnails).put_many(list(zip(contents, shown, strict=True)))
    encoder = find_encoder("descriptor")
    settings = encoder.settings_class()
    config = describe(encoder, settings, PreprocessSettings(), encoder.revision(settings, download=False))
    store = EmbeddingStore(workspace.embeddings(key_of(config)), config)
    with store.writing():
        store.append(pack(contents), vectors.astype(np.float32))
    rows = load_rows(workspace, dataset.id, key_of(config))
    board = _board(workspace, dataset, rows)
    keep_rank(workspace, KeepRankRequest(board=str(board), rank=1, table=False))
    _board(workspace, dataset, rows)  # a newer one, which nobody has used
    drawn = map_of(workspace, rows, ProjectionSettings(kind="pca"))
    # A warm start: the better map is there, too. Drawing it here would only make the seeding slow.
    save_array(workspace.projection(f"{rows.embedding.key}-{ProjectionSettings().key()}") / "xy.npy", drawn)
    return workspace, dataset


def _picture(rng: np.random.Generator, group: int) -> bytes:
    """Return a small JPEG in the colours of a group."""
    pixels = np.clip(rng.integers(40, 200, 3) + rng.integers(-30, 30, (96, 96, 3)), 0, 255).astype(np.uint8)
    pixels[:: 3 + group] //= 2
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _file(jpeg: bytes, number: int) -> bytes:
    """Return the bytes of one file: the picture, and behind its end what makes it the only one of its content."""
    return jpeg + number.to_bytes(8, "big")


def _board(workspace: Workspace, dataset: Dataset, rows: Rows) -> Path:
    """Write the board of a finished sweep that tried one clustering."""
    parameters = {"n_clusters": GROUPS}
    estimator = find_method("kmeans").build(find_method("kmeans").settings_class.parse(parameters))
    estimator.fit(rows.vectors)
    key = rows.embedding.config_key
    about = {"id": dataset.id, "name": dataset.name, "kind": dataset.kind}
    folder = jobs.create(
        workspace.jobs, "sweep", "Finding good clusters", {"dataset": about, "config_key": key, "settings": {}}
    )
    draw_sample(workspace, dataset.id, SampleSettings()).save(folder / "sample.json")
    save_array(folder / "contents.npy", rows.contents)
    row = _ranked(folder, rows, estimator.labels_, estimator.confidence_, parameters)
    head = {"n_images": len(rows), "source": {"dataset": dataset.id, "config_key": key}, "other_number": None}
    write_report(folder, [row], head, None, 1)
    (folder / "started").write_text("0")
    write_json(folder / "outcome.json", {"state": "done", "result": {}})
    return folder


def _ranked(
    folder: Path, rows: Rows, labels: Labels, confidence: Vectors, parameters: dict[str, int]
) -> LeaderboardRow:
    """Return the clustering as the first rank of a board."""
    work = folder / "work"
    work.mkdir()
    save_array(work / "one.npy", labels)
    save_array(work / "one-confidence.npy", confidence)
    found = scores(rows.vectors, labels, sample=5_000)
    result = {name: found[name] for name in ("silhouette", "balance", "noise_share", "n_clusters", "largest_share")} | {
        "algorithm": "kmeans",
        "parameters": parameters,
        "seconds": 1.0,
        "floor": 0.0,
        "generalisation": 0.9,
    }
    return replace(leaderboard_row(result, work / "one.npy", CompositeSettings()), rank=1, stability=0.9)


@dataclass(frozen=True)
class Cost:
    """What one action took: seconds until it is seen, processor seconds until the page rests."""

    seconds: float
    server: float = np.nan
    browser: float = np.nan


def told(name: str, costs: Sequence[Cost], bound: float) -> None:
    """Print one line."""
    middle, high = np.percentile([cost.seconds for cost in costs], [50, 95])
    server, browser = (np.median([getattr(cost, part) for cost in costs]) for part in ("server", "browser"))
    spent = "" if np.isnan(server) else f"   processor: server {server:5.2f} s, browser {browser:5.2f} s"
    verdict = "" if middle < bound else "  SLOWER"
    print(f"  {name:27s} median {middle:6.3f} s   p95 {high:6.3f} s   bound {bound:g} s{spent}{verdict}", flush=True)


def _spent(processes: Sequence[psutil.Process]) -> float:
    """Return the processor seconds that processes have spent so far."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _number(value: int) -> re.Pattern[str]:
    """Return what finds a number in a text, and not in a longer number."""
    return re.compile(rf"(^|\D){value}(\D|$)")


@dataclass
class Screens:
    """One open page of the app and how often each thing is done there."""

    page: Page
    url: str
    repeats: int
    server: psutil.Process

    @contextmanager
    def measuring(self, costs: list[Cost]) -> Iterator[None]:
        """Add the cost of an action: its seconds end with the block, its processor seconds when the page rests."""
        own = [child for child in psutil.Process().children(recursive=True) if child.name().startswith("chrom")]
        server, browser, start = _spent([self.server]), _spent(own), time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        settled(self.page)
        costs.append(Cost(seconds, _spent([self.server]) - server, _spent(own) - browser))

    def shown(self, selector: str) -> None:
        """Wait until a selector is visible."""
        self.page.locator(selector).first.wait_for(timeout=LONG)

    def go(self, screen: str) -> None:
        """Press a screen's link in the sidebar."""
        sidebar = self.page.get_by_test_id("stSidebar")
        sidebar.get_by_role("link", name=re.compile(rf"\b{screen}\b")).click()

    def visit(self, screen: str, shown: str = "") -> None:
        """Go to a screen and wait until it is drawn."""
        self.go(screen)
        self.page.locator(shown or SCREENS[screen]).first.wait_for(timeout=LONG)
        settled(self.page)

    def first_page(self) -> None:
        """Open the app by its address."""
        costs: list[Cost] = []
        with self.measuring(costs):
            self.page.goto(self.url)
            self.shown(SCREENS["Images"])
        told("first page, cold", costs, 4)

    def pages(self) -> None:
        """Change from Distil, a page without pictures, to each of the others."""
        for screen, shown in SCREENS.items():
            self.visit(screen)
            found: list[Cost] = []
            for _ in range(max(3, self.repeats // 3)):
                self.go("Distil")
                self.page.get_by_role("heading", name="Distil", exact=True).wait_for(timeout=LONG)
                settled(self.page)
                with self.measuring(found):
                    self.go(screen)
                    self.shown(shown)
            told(f"page change to {screen}", found, 1)

    def explore(self) -> None:
        """Open Explore by its address in a fresh page, and count the pictures that are to be seen on it."""
        self.visit("Explore", ".k-gallery .cell img.here")
        address = self.page.evaluate("() => location.href")
        painted: list[Cost] = []
        drawn: list[Cost] = []
        for _ in range(max(3, self.repeats // 3)):
            self.page.goto("about:blank")
            with self.measuring(painted):
                self.page.goto(address)
                seen = self.page.evaluate(PAINTED, ".k-gallery .cell img.here") / 1000
                drawn.append(Cost(self.page.evaluate(PAINTED, SCREENS["Explore"]) / 1000))
            painted[-1] = replace(painted[-1], seconds=seen)
        told("first paint of Explore", painted, 1.5)
        told("map of Explore drawn", drawn, 4)
        self.page.wait_for_timeout(1000)
        seen = self.page.locator(".k-gallery .list").evaluate(VISIBLE_CELLS)
        verdict = "" if seen >= SHOWN else "  FEWER"
        print(f"  {'pictures visible on Explore':27s} {seen:6d}   bound {SHOWN}{verdict}", flush=True)

    def names(self) -> None:
        """Name clusters, take the names back."""
        self.visit("Label")
        field = self.page.get_by_role("combobox", name="Name")
        following: list[Cost] = []
        undone: list[Cost] = []
        many = min(9, GROUPS - 1, self.repeats)
        for number in range(many):
            before = self.page.url
            field.fill(f"name {number}")
            with self.measuring(following):
                field.press("Enter")
                self.page.wait_for_function("before => location.href !== before", arg=before, timeout=LONG)
                self.page.get_by_text(re.compile(f"^{number + 1} of {GROUPS} clusters named")).wait_for(timeout=LONG)
        told("name -> next cluster", following, 0.5)
        for number in range(many - 1):  # one name stays, for the key 1
            left = re.compile(f"^{many - number - 1} of {GROUPS} clusters named")
            with self.measuring(undone):
                self.page.get_by_role("button", name="Undo").first.click()
                self.page.get_by_text(left).wait_for(timeout=LONG)
        if undone:
            told("undo of a name", undone, 0.5)

    def labels(self) -> None:
        """Give single images labels by their keys."""
        self.visit("Label", ".k-gallery .cell")
        gallery = self.page.locator(".k-gallery .list")
        chips = self.page.locator(".k-gallery .chips .word").count()
        seen: list[Cost] = []
        confirmed: list[Cost] = []
        for number in range(self.repeats):
            gallery.evaluate(PICK, 1 + number % 12)
            settled(self.page)
            with self.measuring(confirmed):
                one, other = gallery.evaluate(PRESS, str(1 + (number + number // 12) % chips))
            seen.append(Cost(one / 1000))
            confirmed[-1] = replace(confirmed[-1], seconds=other / 1000)
        told("label key -> seen", seen, VISIBLE)
        told("label key -> confirmed", confirmed, 0.5)

    def rank(self) -> None:
        """Use the winner of a finished search."""
        found: list[Cost] = []
        self.visit("Cluster", "button:has-text('Use these clusters')")
        with self.measuring(found):
            self.page.get_by_role("button", name="Use these clusters").click()
            self.page.get_by_role("heading", name="Explore", exact=True).wait_for(timeout=LONG)
        self.shown(SCREENS["Explore"])
        told("use a rank", found, 1)

    def live(self) -> None:
        """Drag k-means' number of clusters near 60, each number for the first time."""
        self.visit("Cluster", ".tile")
        self.page.get_by_role("radio", name="Choose a method yourself").click()
        self.page.get_by_test_id("stSlider").first.wait_for(timeout=LONG)
        thumb = self.page.get_by_test_id("stSlider").filter(has_text="clusters").first.get_by_role("slider")
        most = int(thumb.get_attribute("aria-valuemax") or "60")
        thumb.focus()
        thumb.press("End")
        metric = self.page.locator(".k-facts span").filter(has_text="clusters")
        metric.filter(has_text=_number(most)).wait_for(timeout=LONG)
        settled(self.page)
        found: list[Cost] = []
        for number in range(1, 1 + min(self.repeats, most // 2)):
            thumb.focus()
            with self.measuring(found):
                thumb.press("ArrowLeft")
                metric.filter(has_text=_number(most - number)).wait_for(timeout=LONG)
        told(f"live k-means near K = {most}", found, 1)

    def export(self, n: int, folder: Path) -> None:
        """Write the named images into class folders and take them back."""
        written: list[Cost] = []
        undone: list[Cost] = []
        for number in range(max(2, self.repeats // 5)):
            self.visit("Export", ".tile")
            self.page.locator(".tile").filter(has_text="Class folders").click()
            settled(self.page)
            self.page.get_by_text("Include unlabelled").click()
            settled(self.page)
            self.page.get_by_label("Into this folder (new or empty)").fill(str(folder / f"export-{number}"))
            self.page.keyboard.press("Tab")
            settled(self.page)
            with self.measuring(written):
                self.page.get_by_role("button", name="Write").click()
                self.page.get_by_text(re.compile(rf"^{n:,} images written")).wait_for(timeout=LONG)
            with self.measuring(undone):
                self.page.get_by_role("button", name="Undo this export").click()
                self.page.get_by_text(re.compile(r"[\d,]+ files removed")).wait_for(timeout=LONG)
            self.page.get_by_text("Include unlabelled").click()
            settled(self.page)
        told(f"export of {n:,} images", written, 3)
        told("undo of that export", undone, 3)


def measure(browser: Browser, serve: Served, folder: Path, n: int, repeats: int, parts: Sequence[str]) -> None:
    """Print the figures of one number of images."""
    began = time.perf_counter()
    workspace, _ = seed(folder, n)
    print(f"{n:,} images, made in {time.perf_counter() - began:.0f} s", flush=True)
    url = serve(APP, env={"KINDRED_WORKSPACE": str(workspace.root)}, fresh=True)
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(LONG)
    screens = Screens(page, url, repeats, psutil.Process(serve.process(url).pid))
    try:
        screens.first_page()
        for part in parts:
            if part == "export" and n <= ON_DISK:
                screens.export(n, folder)
            elif part in ("pages", "explore", "names", "labels", "rank") or (part == "live" and n <= LIVE):
                getattr(screens, part)()
    except Exception:
        page.screenshot(path="bench-screens-failed.png", full_page=True)
        raise
    page.close()


def main() -> None:
    """Print every figure."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[2_500, 100_000])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    arguments = parser.parse_args()
    path = chromium_path()
    if path is None:
        print("no Chromium is installed: nothing was measured")
        return
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        serve = Served(Path(name))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            for n in arguments.images:
                measure(browser, serve, Path(name) / str(n), n, arguments.repeats, arguments.parts)
        finally:
            browser.close()
            serve.stop()


if __name__ == "__main__":
    main()
