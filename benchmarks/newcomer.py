"""A newcomer's way through the real app, from an empty workspace to the CSV, and how many of the labels are right.

Chromium presses every primary button in turn: read a folder, embed by default, find good clusters, use rank 1. Then
each cluster is named by what most of its images are, and the labels are exported. After that some images are labelled
one by one, spread to their neighbours on Review, and exported again; and once more without the names of the clusters.
The app gets the images in one folder under other names: only this script knows their classes.

With `--by-keys 500` so many images are labelled on Label instead, without a name for any cluster: each cluster grows by
its nearest images outside while they are right, then all from the first behind the last wrong one are labelled at once.
The bound is 120 presses of keys and the mouse.

    python -m benchmarks.newcomer [--images 300] [--folder CLASS_FOLDERS] [--by-hand 40 | --by-keys 500]
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

import numpy as np

from benchmarks.label_by_keys import label_by_keys
from benchmarks.made_photographs import KINDS, write_photographs
from engine.core.workspace import Workspace
from engine.images.datasets import list_datasets
from engine.images.tables import load_images
from engine.labels.events import LabelHistory
from tests.browser.conftest import CHROMIUM_FLAGS, Served, chromium_path, settled

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).resolve().parents[1]
CLOTHES = ROOT.parent / "shared" / "data" / "clothing_341"
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
SOURCES = ("by you", "cluster name", "accepted guess", "none")
LONG = 600_000  # milliseconds: the machine may be busy, and nothing here is judged by time
VERDICT = re.compile(r"\b(good|usable with checking|weak|not judged):", re.IGNORECASE)
MOST_PRESSES = 120
CELLS = ".k-gallery .list .cell"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="class folders of your own, instead of the two sets")
    parser.add_argument(
        "--images", type=int, help="about so many images of each set: fewer generated ones, fewer files of a folder"
    )
    parser.add_argument("--by-hand", type=int, default=40, help="images labelled one by one (default 40)")
    parser.add_argument(
        "--by-keys", type=int, default=0, help="label so many on Label by pages and growing, then export"
    )
    parser.add_argument("--headed", action="store_true", help="show the browser")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sets = {"generated": Path(scratch) / "generated", "clothing_341": CLOTHES}
        if asked.folder:
            sets = {asked.folder.name: asked.folder}
        else:
            many = max(asked.images or 300, 2 * asked.by_keys)
            write_photographs(sets["generated"], max(1, many // len(KINDS)))
        wrong = 0
        for name, folder in sets.items():
            if folder.is_dir():
                place = Path(scratch) / f"visit-{name}"
                walk = (
                    partial(_by_keys, count=asked.by_keys) if asked.by_keys else partial(_walk, by_hand=asked.by_hand)
                )
                wrong += visit(name, folder, place, walk, images=asked.images, headed=asked.headed)
            else:
                print(f"{name}: {folder} is not there, left out")
    sys.exit(1 if wrong else 0)


def flat_copy(folder: Path, target: Path, most: int | None = None) -> dict[str, str]:
    """Copy class folders, at most so many files, into one folder under camera names; return the class by name."""
    target.mkdir(parents=True)
    images = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in ENDINGS)
    random.Random(0).shuffle(images)
    classes = {}
    for number, path in enumerate(images[:most], start=1):
        name = f"IMG_{number:05d}{path.suffix.lower()}"
        shutil.copyfile(path, target / name)
        classes[name] = path.parent.name
    return classes


@dataclass
class Step:
    """What one step took."""

    name: str
    clicks: int = 0
    keys: int = 0
    seconds: float = 0.0


@dataclass
class Newcomer:
    """A person at the browser who counts what they do."""

    page: Page
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Count clicks, keys and seconds of a step and print them."""
        step = Step(name)
        self.steps.append(step)
        began = time.monotonic()
        yield step
        step.seconds = time.monotonic() - began
        print(f"    {step.name:52s} {step.clicks:4d} {step.keys:5d} {step.seconds:7.0f}", flush=True)

    def click(self, target: Locator, *, wait: bool = True, **how: Any) -> None:  # noqa: ANN401 - as Playwright takes it
        """Click, and wait until the page has answered."""
        target.click(timeout=LONG, **how)
        self.steps[-1].clicks += 1
        if wait:
            self.idle()

    def press(self, key: str) -> None:
        """Press one key."""
        self.page.keyboard.press(key)
        self.steps[-1].keys += 1

    def type(self, target: Locator, text: str) -> None:
        """Type into a field."""
        target.fill(text, timeout=LONG)
        self.steps[-1].keys += len(text)

    def button(self, name: str | re.Pattern[str], *, exact: bool = False) -> Locator:
        """Return the button of the page, not of the sidebar, with a name."""
        return self.page.get_by_test_id("stMain").get_by_role("button", name=name, exact=exact).first

    def go(self, screen: str) -> None:
        """Go to a screen by the sidebar."""
        self.click(self.page.get_by_test_id("stSidebar").get_by_role("link", name=re.compile(rf"\b{screen}\b")))

    def idle(self) -> None:
        """Wait until the page's script has run."""
        settled(self.page)

    def parameter(self, name: str) -> str:
        """Return what the address says of the choice."""
        return parse_qs(urlparse(self.page.url).query).get(name, [""])[0]

    def verdict(self) -> str:
        """Return what the screen says that the clustering is worth."""
        for text in self.page.get_by_test_id("stMain").get_by_text(VERDICT).all_inner_texts():
            found = VERDICT.search(text)
            if found:
                return found.group(1).lower()
        return "nothing"


class Visit:
    """One visit to the app with one set."""

    def __init__(self, person: Newcomer, workspace: Workspace, truth: Mapping[str, str]) -> None:
        self.person, self.page, self.workspace, self.truth = person, person.page, workspace, truth
        self.history: LabelHistory
        self.name_of: dict[int, str] = {}  # file name by catalog id
        self.by_hand: set[str] = set()

    def events(self) -> int:
        return len(self.history.events())

    def acted(self, before: int) -> bool:
        """Wait until the history has grown; whether it has within two minutes."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.events() > before:
                return True
            self.page.wait_for_timeout(50)
        return False

    def to_clusters(self, folder: Path) -> str:
        """Go from the empty workspace to the kept rank 1 and return the verdict on the board."""
        me = self.person
        with me.step("choose the folder and read it"):
            me.type(self.page.get_by_label(re.compile("^Folder, or a file of vectors")), str(folder))
            me.click(me.button("Read this folder"))
            me.button("Embed these images").wait_for(timeout=LONG)
        dataset = list_datasets(self.workspace)[0]
        table = load_images(self.workspace, dataset.id)
        self.name_of = {int(number): path.decode() for number, path in zip(table.ids, table.paths, strict=True)}
        self.history = LabelHistory(self.workspace, dataset.id)
        with me.step("embed by default"):
            me.click(me.button("Embed these images"))
            self.page.get_by_role("heading", name="Embed", exact=True).wait_for(timeout=LONG)
            me.idle()
            me.click(me.button(re.compile(r"Embed [\d,]+ images?$")))
            me.button("Cluster", exact=False).wait_for(timeout=LONG)
            me.idle()
        with me.step("find good clusters"):
            me.click(me.button(re.compile("Cluster$")))
            me.button("Find good clusters").wait_for(timeout=LONG)
            me.idle()
            me.click(me.button("Find good clusters"))
            me.button("Use these clusters").wait_for(timeout=LONG)
            me.idle()
            said = me.verdict()
            unclear = self.page.get_by_text(re.compile("No clear number of groups")).count()
        with me.step("use these clusters"):
            me.click(me.button("Use these clusters"))
            self.page.get_by_role("heading", name="Explore", exact=True).wait_for(timeout=LONG)
            self.page.locator(CELLS).first.wait_for(timeout=LONG)
        return f"{said}, no clear number of groups" if unclear else said

    def open_label(self) -> None:
        self.person.go("Label")
        self.person.button("Name it").wait_for(timeout=LONG)
        self.page.locator(CELLS).first.wait_for(timeout=LONG)
        self.person.idle()

    def name_all(self) -> int:
        """Name every cluster by what most of its images are; returns how many there are."""
        me, page = self.person, self.page
        clusters = self.clusters()
        open_ones = set(clusters)
        with me.step("name every cluster by its majority") as step:
            self.open_label()
            while open_ones:
                cluster = self.shown_cluster(clusters, open_ones)
                if cluster not in open_ones:
                    print(f"    cluster {cluster}, which has a name, is shown again instead of the next")
                    me.click(self.list.get_by_role("option", name=re.compile(rf"^Cluster {min(open_ones)},")))
                    continue
                name = Counter(self.truth[path] for path in clusters[cluster]).most_common(1)[0][0]
                before = self.events()
                me.type(page.get_by_role("combobox", name="Name"), name)
                me.press("Enter")
                self.acted(before)
                open_ones.discard(cluster)
                done = len(clusters) - len(open_ones)
                page.get_by_text(re.compile(f"^{done} of {len(clusters)} clusters? named")).wait_for(timeout=LONG)
            step.name += f" ({len(clusters)})"
        return len(clusters)

    def shown_cluster(self, clusters: Mapping[int, list[str]], wanted: Set[int]) -> int:
        """Return the cluster whose images the gallery shows, waiting at most two minutes for a wanted one."""
        cluster_of = {path: cluster for cluster, paths in clusters.items() for path in paths}
        end = time.monotonic() + 120
        while True:
            names = [self.name_of[number] for number in self.cells()]
            cluster = Counter(cluster_of.get(name, -1) for name in names).most_common(1)[0][0] if names else -1
            if cluster in wanted or time.monotonic() > end:
                self.person.idle()
                return cluster
            self.page.wait_for_timeout(200)

    def cells(self) -> list[int]:
        """Return the catalog ids of the images in the gallery, in their order on the screen."""
        found = self.page.locator(CELLS).evaluate_all("cells => cells.map(c => [+c.id.slice(1), +c.dataset.id])")
        return [number for _, number in sorted(found)]

    def clusters(self) -> dict[int, list[str]]:
        """Return the file names by cluster, from the run's own table."""
        found: dict[int, list[str]] = {}
        with (self.workspace.runs / self.person.parameter("run") / "labels.csv").open(
            newline="", encoding="utf-8"
        ) as file:
            for line in csv.DictReader(file):
                if int(line["cluster"]) >= 0:
                    found.setdefault(int(line["cluster"]), []).append(line["path"])
        return found

    def label_by_hand(self, count: int) -> None:
        """Label images one by one in the gallery, the first few of each cluster in turn."""
        me, page = self.person, self.page
        clusters = self.clusters()
        unseen, cluster = set(clusters), -1
        self.by_hand = set()
        by_key = 0
        with me.step(f"label {count} images by hand") as step:
            self.open_label()
            self.to_first()
            while len(self.by_hand) < count:
                cluster = self.shown_cluster(clusters, set(clusters) - {cluster})
                if cluster in unseen:
                    each = math.ceil((count - len(self.by_hand)) / len(unseen))
                    unseen.discard(cluster)
                    shown = [self.name_of[number] for number in self.cells()]
                    for name in [name for name in shown if name in clusters[cluster]][:each]:
                        by_key += self.label(name)
                if not unseen:
                    break
                me.click(page.get_by_role("button", name="Next cluster"))
            step.name += f" ({len(self.by_hand)}, {by_key} by key)"

    @property
    def list(self) -> Locator:
        """The list of clusters at the left."""
        return self.page.get_by_role("listbox", name="Clusters")

    def to_first(self) -> None:
        """Go to the first cluster of the list."""
        self.list.focus()
        self.person.press("Home")
        self.person.idle()

    def label(self, name: str) -> bool:
        """Select an image and give it its class, by a number key where it has one; returns whether it had."""
        me, page = self.person, self.page
        number = next(number for number, path in self.name_of.items() if path == name)
        wanted, before = self.truth[name], self.events()
        me.click(page.locator(f"{CELLS}[data-id='{number}']"), wait=False)
        chips = page.locator(".k-gallery .chips .word").all_text_contents()
        keys = [position for position, text in enumerate(chips, start=1) if text == wanted]
        if keys:
            me.press(str(keys[0]))
        else:
            self.type_label(wanted)
        if not self.acted(before):
            print(f"    {name}: the label {wanted} did not arrive")
            return False
        self.by_hand.add(name)
        me.idle()
        return bool(keys)

    def type_label(self, wanted: str) -> None:
        """Give what is selected a label by its name."""
        field = self.page.get_by_role("combobox", name="Label, new or known")
        self.person.click(self.page.get_by_role("button", name="Label as"), wait=False)
        self.person.type(field, wanted)
        self.person.press("Enter")

    def spread(self) -> str:
        """Spread the labels on Review and accept what is sure enough; returns what was offered."""
        me, page = self.person, self.page
        with me.step("spread on Review, accept"):
            me.click(page.get_by_role("radio", name="Review"))
            me.click(me.button(re.compile("Spread the labels")))
            accept = me.button(re.compile(r"Label [\d,]+ images?$"))
            nothing = page.get_by_text(re.compile("^Every image near a labelled one has its label"))
            unsure = page.get_by_text(re.compile(r"^No image reaches \d+%"))
            accept.or_(nothing).or_(unsure).first.wait_for(timeout=LONG)
            me.idle()
            offered = accept.inner_text() if accept.count() else unsure.inner_text() if unsure.count() else "nothing"
            if unsure.count():
                page.get_by_test_id("stSlider").filter(has_text="At least so sure").get_by_role("slider").focus()
                for _ in range(40):
                    me.press("ArrowLeft")
                page.wait_for_timeout(2000)
                me.idle()
                offered += f" Then at 50%: {accept.inner_text() if accept.count() else 'nothing'}"
            if accept.count():
                before = self.events()
                me.click(accept)
                self.acted(before)
        with me.step("go back to Clusters"):
            me.click(page.get_by_role("radio", name="Clusters"))
        return re.sub(r"\s*\n?label\s*\n", "", offered)

    def take_all_back(self) -> None:
        """Undo until nothing is left to undo."""
        me = self.person
        undo = me.button("Undo")
        with me.step("undo everything"):
            self.open_label()
            while undo.is_enabled():
                before = self.events()
                me.click(undo)
                self.acted(before)
            self.page.get_by_text(re.compile("^0 of .* clusters? named")).wait_for(timeout=LONG)

    def export(self, what: str) -> int:
        """Download the CSV, print how right it is by source; returns how many labels say "by you" and are not."""
        me, page = self.person, self.page
        with me.step("export the CSV"):
            me.go("Export")
            with page.expect_download(timeout=LONG) as download:
                me.click(page.get_by_role("link", name="Download CSV"), wait=False)
            me.idle()
            said = me.verdict()
            with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
                lines = list(csv.DictReader(file))
        return self.judge(what, lines, said)

    def judge(self, what: str, lines: list[dict[str, str]], said: str) -> int:
        """Print the accuracy of exported lines by source."""
        right: dict[str, list[bool]] = {source: [] for source in SOURCES}
        for line in lines:
            right[line["label_source"]].append(line["label"] == self.truth[line["path"]])
        total = sum(map(sum, right.values()))
        labelled = len(lines) - len(right["none"])
        print(
            f"  {what}: {total} of {len(lines)} images have the right label ({total / len(self.truth):.1%}), "
            f"{labelled} have any; Export says: {said}"
        )
        for source, hits in right.items():
            share = f", {np.mean(hits):.1%} right" if hits and source != "none" else ""
            print(f"    {source:15s} {len(hits):5d} images{share}")
        yours = {line["path"] for line in lines if line["label_source"] == "by you"}
        claimed, lost = len(yours - self.by_hand), len(self.by_hand - yours)
        print(f'    called "by you" and not labelled by hand: {claimed}; labelled by hand and not called so: {lost}')
        return claimed + lost


def visit(
    name: str, folder: Path, scratch: Path, walk: Callable[[Visit, Path], int], *, images: int | None, headed: bool
) -> int:
    """Do the whole way with one set; returns how many labels are called by the wrong source."""
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    if path is None:
        print("no Chromium is installed")
        return 0
    scratch.mkdir(parents=True)
    truth = flat_copy(folder, scratch / "photographs", images)
    most = Counter(truth.values()).most_common(1)[0][1]
    print(f"{name}: {len(truth)} images of {len(set(truth.values()))} classes, the largest {most / len(truth):.1%}")
    print(f"    {'step':52s} {'clicks':>4s} {'keys':>3s} {'seconds':>7s}")
    workspace = Workspace.open(scratch / "workspace")
    served = Served(scratch)
    try:
        url = served(ROOT / "app.py", env={"KINDRED_WORKSPACE": str(workspace.root)}, fresh=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS, headless=not headed)
            page = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce").new_page()
            page.set_default_timeout(LONG)
            page.goto(url)
            at = Visit(Newcomer(page), workspace, truth)
            try:
                return walk(at, scratch / "photographs")
            except Exception:
                page.screenshot(path="newcomer-failed.png", full_page=True)
                raise
    finally:
        served.stop()


def _walk(at: Visit, folder: Path, by_hand: int) -> int:
    verdict = at.to_clusters(folder)
    print(f"  {len(at.clusters())} clusters; the board says: {verdict}")
    return _after_rank(at, by_hand)


def _by_keys(at: Visit, folder: Path, count: int) -> int:
    """Label so many images by pages and growing; a failure where it took more than 120 presses."""
    at.to_clusters(folder)
    presses = label_by_keys(at, count)
    at.export(f"{len(at.by_hand)} images in {presses} presses")
    enough = len(at.by_hand) >= min(count, len(at.truth))
    print(f"  {len(at.by_hand)} of {count} images labelled in {presses} presses, bound {MOST_PRESSES}")
    return int(not enough or presses > MOST_PRESSES)


def _after_rank(at: Visit, by_hand: int) -> int:
    """Name, export, label by hand, spread and export again; then the same without the names."""
    at.name_all()
    wrong = at.export("names of clusters")
    print(f"  so far: {_sum(at.person.steps)}")
    for before in ("names, then", "no names,"):
        if before == "no names,":
            at.take_all_back()
        done = len(at.person.steps)
        at.label_by_hand(by_hand)
        print(f"  Review offers: {at.spread()}; {_sum(at.person.steps[done:])}")
        wrong += at.export(f"{before} {len(at.by_hand)} by hand and spread")
    return wrong


def _sum(steps: list[Step]) -> str:
    clicks, keys, seconds = (sum(getattr(step, name) for step in steps) for name in ("clicks", "keys", "seconds"))
    return f"{clicks} clicks, {keys} keys, {seconds:.0f} s"


if __name__ == "__main__":
    main()
