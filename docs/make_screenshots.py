"""Make the README's pictures from the real app: `python docs/make_screenshots.py FOLDER_OF_IMAGES`.

A server with a workspace of its own is walked through in a headless Chromium, light and dark, and a short
animation shows a lasso and what follows it.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "screenshots"
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]


def settle(page: Any, seconds: float = 1.5) -> None:
    page.wait_for_timeout(1000)
    page.wait_for_function("() => !document.querySelector('[data-testid=\"stStatusWidget\"]')", timeout=300_000)
    page.wait_for_timeout(int(1000 * seconds))


def shoot(page: Any, name: str) -> None:
    page.mouse.move(720, 4)  # over nothing that explains itself
    settle(page, 4)
    page.screenshot(path=str(TARGET / f"{name}.png"))


def walk(page: Any, folder: Path) -> None:
    page.get_by_label("Folder, or a file of vectors (.npz, .npy, .parquet)").fill(str(folder))
    page.get_by_role("button", name="Read this folder").click()
    page.get_by_role("button", name="Embed these images").wait_for(timeout=300_000)
    shoot(page, "images")
    page.get_by_role("button", name="Embed these images").click()
    settle(page)
    page.get_by_role("button", name=re.compile(r"Embed [\d,]+ images?")).first.click()
    page.get_by_text("In use: ").wait_for(timeout=600_000)
    page.get_by_role("button", name="Cluster", exact=True).click()
    page.get_by_role("button", name="Find good clusters").click()
    page.get_by_role("button", name="Use these clusters").wait_for(timeout=900_000)
    shoot(page, "cluster")
    page.get_by_role("button", name="Use these clusters").click()
    settle(page)


def explore(page: Any) -> None:
    page.get_by_role("link", name="Explore").click()
    page.locator(".k-map canvas").first.wait_for(timeout=300_000)
    settle(page, 20)
    shoot(page, "explore")
    frames = [page.screenshot()]
    box = page.locator(".k-map canvas").first.bounding_box()
    across, down = box["width"], box["height"]
    spots = [(0.25, 0.3), (0.55, 0.22), (0.75, 0.45), (0.6, 0.7), (0.3, 0.65), (0.22, 0.4)]
    points = [(box["x"] + across * x, box["y"] + down * y) for x, y in spots]
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
    palette[0].save(TARGET / "lasso.gif", save_all=True, append_images=palette[1:], duration=350, loop=0, optimize=True)
    page.keyboard.press("Escape")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    TARGET.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as workspace:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=ROOT,
            env=os.environ | {"KINDRED_WORKSPACE": workspace},
        )
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.5)
            record(f"http://127.0.0.1:{port}", arguments.folder, arguments.chromium)
        finally:
            server.terminate()
            server.wait(timeout=30)


def record(url: str, folder: Path, chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url)
        walk(page, folder)
        explore(page)
        page.get_by_role("link", name="Label").click()
        page.get_by_role("button", name="Name it").wait_for()
        shoot(page, "label")
        page.get_by_role("link", name="Compare").click()
        shoot(page, "compare")
        dark = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
        dark.set_default_timeout(120_000)
        dark.goto(page.url.replace("/compare", "/explore"))
        dark.locator(".k-map canvas").first.wait_for(timeout=300_000)
        settle(dark, 10)
        shoot(dark, "explore-dark")
        browser.close()


if __name__ == "__main__":
    main()
