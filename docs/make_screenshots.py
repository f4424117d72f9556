"""Make pictures of every page and state from the real app: `python docs/make_screenshots.py [--readme]`.

Each state is a workspace of its own, made by the engine (no clicking), served and looked at in a headless Chromium at
several widths, light and dark. Without a folder the made pictures of the sample sets are shown. `--readme` makes those
in docs/screenshots, with a short animation of a lasso and what follows it.

    python docs/make_screenshots.py --out /tmp/screens --states full names --pages explore label --sizes 1440 150%
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.clustering.registry import find_method  # noqa: E402 - the checkout comes first
from engine.core.files import write_json  # noqa: E402
from engine.core.workspace import Workspace  # noqa: E402
from engine.embeddings.encoders.registry import find_encoder  # noqa: E402
from engine.geometry.projection import ProjectionSettings  # noqa: E402
from engine.images.datasets import Dataset, add_benchmark, add_folder  # noqa: E402
from engine.images.scan import scan  # noqa: E402
from engine.images.sets.samples import made_pictures  # noqa: E402
from engine.jobs import job as jobs  # noqa: E402
from engine.labels.events import LabelHistory  # noqa: E402
from engine.runs.fit import cluster  # noqa: E402
from engine.runs.rows import Rows, embed_dataset, map_of  # noqa: E402
from engine.runs.run import Run, new_folder  # noqa: E402
from tests.browser.conftest import CHROMIUM_FLAGS, Served, chromium_path  # noqa: E402

README = ROOT / "docs" / "screenshots"
PAGES = ("images", "embed", "cluster", "explore", "label", "compare", "export", "distil")
SIZES = {"1920": (1920, 1080, 1.0), "1440": (1440, 900, 1.0), "1100": (1100, 800, 1.0), "800": (800, 900, 1.0)}
SIZES["150%"] = (960, 600, 1.5)  # a window of 1440 x 900 at 150%
HEBREW = "כלב קטן יושב על הדשא בגינה הציבורית ומסתכל על הציפורים "
CHINESE = "一只小狗坐在公园的草地上看着树上的鸟儿唱歌跳舞玩耍"
LONG = 180_000
Work = tuple[Workspace, Dataset, Rows, Run]


def clustered(root: Path, folder: Path | None, method: str, **settings: Any) -> Work:
    """Make a workspace with one data set, embedded, drawn and clustered; the digits where no folder is given."""
    workspace = Workspace.open(root)
    dataset = add_folder(workspace, folder) if folder else add_benchmark(workspace, "digits")
    scan(workspace, dataset.id)
    encoder = "photo" if folder else "descriptor"
    rows = embed_dataset(workspace, dataset.id, encoder, find_encoder(encoder).settings_class())
    map_of(workspace, rows, ProjectionSettings())
    chosen = find_method(method).settings_class.parse(settings)
    run = cluster(workspace, rows, method, chosen, new_folder(workspace.runs, f"{method}_shown"))
    return workspace, dataset, rows, run


def named(work: Work, *names: str) -> None:
    """Name the largest clusters, and a few images of each by hand; without names, three of them by their folders."""
    workspace, dataset, rows, run = work
    history = LabelHistory(workspace, dataset.id)
    for name in names or [""] * 3:
        state = history.state(rows.contents, run.assignments, run=run.folder.name)
        largest = max((one for one in state.clusters if one.name is None), key=lambda one: one.size)
        if name := name[:200] or folder_of(rows, state.rows(largest.id)):
            history.rename(state, largest.id, name)
            state = history.state(rows.contents, run.assignments, run=run.folder.name)
            history.label(state, state.rows(largest.id)[:5], name)


def folder_of(rows: Rows, members: Any) -> str:
    """Return the folder that most of these images lie in."""
    return Counter(os.fsdecode(rows.paths[row]).rpartition("/")[0] for row in members).most_common(1)[0][0]


def ended(work: Work, task: str, title: str, **outcome: str) -> None:
    """Leave a job that has ended."""
    workspace, dataset, *_ = work
    folder = jobs.create(workspace.jobs, task, title, {"dataset": {"id": dataset.id}})
    (folder / "started").touch()
    write_json(folder / "outcome.json", outcome)


@contextmanager
def running(work: Work) -> Iterator[None]:
    """Keep jobs at work: a scan and an embedding that are half done."""
    workspace, dataset, *_ = work
    with ExitStack() as stack:
        for task, title, unit in (("scan", "Reading", "images"), ("embed", "Embedding with Photo", "images")):
            folder = jobs.create(workspace.jobs, task, title, {"dataset": {"id": dataset.id}})
            (folder / "started").touch()
            stack.enter_context(jobs.holding(folder / "lock", timeout=5))
            lines = [
                {"at": time.time() - 9 + at, "phase": task, "done": 40 * at, "total": 500, "unit": unit}
                for at in (1, 6)
            ]
            (folder / "progress.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        yield


@contextmanager
def quiet(_: Work) -> Iterator[None]:
    """Leave the workspace as it is."""
    yield


def full(root: Path, folder: Path) -> Work:
    """A data set in eight clusters, three of them named."""
    work = clustered(root, folder, "kmeans", n_clusters=8)
    named(work)
    return work


def failed(root: Path, folder: Path) -> Work:
    """A job has failed, and another was cut off."""
    work = full(root, folder)
    hint = "Connect once, or give a path."
    ended(work, "embed", "Embedding with CLIP", state="failed", sentence="The weights are not here.", hint=hint)
    ended(work, "scan", "Reading", state="interrupted")
    return work


def names(root: Path, folder: Path) -> Work:
    """Names of 200 letters, right to left and without spaces."""
    work = clustered(root, folder, "kmeans", n_clusters=8)
    named(work, (HEBREW * 8).strip(), CHINESE * 10)
    return work


def big(root: Path, folder: Path) -> Work:
    """100,000 images."""
    from benchmarks.bench_screens import seed

    workspace, dataset = seed(root, 100_000)
    return workspace, dataset, None, None  # type: ignore[return-value]


STATES: dict[str, tuple[Callable[[Path, Path], Work | None], Callable[[Work], Any]]] = {
    "empty": (lambda root, folder: None, quiet),
    "full": (full, quiet),
    "loading": (full, running),
    "failed": (failed, quiet),
    "one": (lambda root, folder: clustered(root, folder, "kmeans", n_clusters=1), quiet),
    "many": (lambda root, folder: clustered(root, None, "kmeans", n_clusters=300), quiet),
    "noise": (lambda root, folder: clustered(root, folder, "dbscan", eps=0.001, min_samples=50), quiet),
    "names": (names, quiet),
    "big": (big, quiet),
}


SETTLED = """() => {
  const roots = [document, ...[...document.querySelectorAll("*")].map(one => one.shadowRoot).filter(Boolean)];
  return roots.every(root => [...root.querySelectorAll("img")].every(one =>
    one.complete || !one.checkVisibility() || one.getBoundingClientRect().top > innerHeight))
    && !document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]');
}"""


def settle(page: Any, seconds: float = 1.5) -> None:
    """Wait until the script has run and the pictures in sight are there."""
    page.wait_for_timeout(1000)
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(timeout=LONG)
    page.wait_for_load_state("networkidle", timeout=LONG)
    page.wait_for_function(SETTLED, timeout=LONG)
    page.wait_for_timeout(int(1000 * seconds))


def shoot(browser: Any, url: str, target: Path, size: str, scheme: str) -> None:
    """Take one picture of one address."""
    width, height, scale = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme=scheme
    )
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.goto(url)
    settle(page, 2)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(target))
    context.close()


def lasso(browser: Any, url: str) -> None:
    """Make the animation of a lasso and what follows it."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(LONG)
    page.goto(f"{url}/explore")
    page.locator(".k-map canvas").first.wait_for(timeout=LONG)
    settle(page, 4)
    box = page.locator(".k-map canvas").first.bounding_box()
    frames = [page.screenshot()]
    spots = [(0.25, 0.3), (0.55, 0.22), (0.75, 0.45), (0.6, 0.7), (0.3, 0.65), (0.22, 0.4)]
    points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in spots]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
        frames.append(page.screenshot())
    page.mouse.up()
    settle(page, 3)
    frames += [page.screenshot()] * 4
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB").resize((960, 600)) for frame in frames]
    palette = [picture.quantize(64, dither=Image.Dither.NONE) for picture in pictures]
    palette[0].save(README / "lasso.gif", save_all=True, append_images=palette[1:], duration=350, loop=0, optimize=True)


def for_readme(browser: Any, url: str) -> None:
    """Make the pictures that README shows."""
    for name in ("images", "cluster", "explore", "label", "compare"):
        shoot(browser, f"{url}/{name}", README / f"{name}.png", "1440", "light")
    shoot(browser, f"{url}/explore", README / "explore-dark.png", "1440", "dark")
    lasso(browser, url)


def write_pictures(folder: Path) -> Path:
    """Write the made pictures as files."""
    source = made_pictures()
    for entry in source.entries():
        target = folder / os.fsdecode(entry.name).replace(".bmp", ".jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        source.picture(entry.name).save(target, quality=90)
    return folder


def main() -> None:
    """Make the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="images to show; made pictures when left out")
    parser.add_argument("--readme", action="store_true", help="make the pictures of the README, and nothing else")
    parser.add_argument("--out", type=Path, default=Path("screens"))
    parser.add_argument("--states", nargs="+", choices=STATES, default=[name for name in STATES if name != "big"])
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--schemes", nargs="+", choices=("light", "dark"), default=["light", "dark"])
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = arguments.folder or write_pictures(Path(place) / "pictures")
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        served = Served(Path(place))
        try:
            for state in ["full"] if arguments.readme else arguments.states:
                make, during = STATES[state]
                root = Path(place) / state
                work = make(root, folder)
                root = root if work is None else work[0].root
                url = served(ROOT / "app.py", env={"KINDRED_WORKSPACE": str(root), "KINDRED_SAMPLES": "off"})
                if arguments.readme:
                    for_readme(browser, url)
                    continue
                with during(work) if work is not None else ExitStack():
                    for page in arguments.pages:
                        for size in arguments.sizes:
                            for scheme in arguments.schemes:
                                name = f"{page}-{state}-{size.removesuffix('%')}-{scheme}.png"
                                shoot(browser, f"{url}/{page}", arguments.out / name, size, scheme)
                                print(arguments.out / name, flush=True)
                served.stop()
        finally:
            served.stop()
            browser.close()


if __name__ == "__main__":
    main()
