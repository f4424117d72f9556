"""The whole way once, in a real Chromium: folder, scan, embed, cluster, map and gallery, labels, CSV.

On scikit-learn's own two photographs, cut into patches, and on the clothing photographs where they lie.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import settled
from tests.conftest import shared_data

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

APP = Path(__file__).resolve().parents[2] / "app.py"
PATH_FIELD = "Folder, or a file of vectors (.npz, .npy, .parquet)"


@pytest.fixture(scope="session")
def patches(tmp_path_factory):
    """A folder of 96 patches of two photographs, one file with a hostile name and one that is no image."""
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("patches")
    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        picture = Image.fromarray(pixels)
        for number in range(48):
            left, top = 50 + 64 * (number % 8), 20 + 60 * (number // 8)
            picture.crop((left, top, left + 90, top + 90)).save(folder / f"{name}-{number:02d}.jpg")
    (folder / "china-00.jpg").rename(folder / "=1+1 <b>bold<br>.jpg")
    (folder / "notes.jpg").write_text("this is no picture")
    return folder


def press(page, name, **options):
    page.get_by_role("button", name=name, **options).first.click()
    settled(page)


def walk(page, folder, label):
    """Go from a folder to named clusters and return the lines of the downloaded CSV."""
    page.get_by_label(PATH_FIELD).fill(str(folder))
    press(page, "Read this folder")
    page.get_by_role("button", name="Embed these images").wait_for(timeout=120_000)
    press(page, "Embed these images")
    press(page, re.compile(r"Embed [\d,]+ images?"))
    page.get_by_text("In use: ").wait_for(timeout=180_000)
    press(page, "Cluster", exact=True)
    page.get_by_role("button", name="Find good clusters").wait_for(timeout=180_000)
    page.get_by_role("radio", name="Choose a method yourself").click()
    settled(page)
    page.get_by_role("button", name="Keep this clustering").wait_for(timeout=180_000)
    press(page, "Keep this clustering")
    page.get_by_role("radio", name="Kept clusterings").wait_for(timeout=180_000)
    page.get_by_role("link", name="Explore").click()
    page.locator(".k-map canvas").first.wait_for(timeout=180_000)
    page.locator(".k-gallery img").first.wait_for(timeout=120_000)
    page.get_by_role("link", name="Label").click()
    page.get_by_role("button", name="Name it").wait_for(timeout=120_000)
    page.get_by_role("combobox", name="Name").fill(label)
    press(page, "Name it")
    page.get_by_text(re.compile("^1 of .* clusters? named")).wait_for(timeout=120_000)
    page.get_by_role("link", name="Export").click()
    link = page.get_by_role("link", name="Download CSV")
    with page.expect_download(timeout=120_000) as download:  # while the page is still being drawn
        link.click(timeout=120_000)
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_from_a_folder_to_a_csv(serve, visit, patches, tmp_path):
    url = serve(APP, env={"KINDRED_WORKSPACE": str(tmp_path / "workspace")}, fresh=True)
    page = visit(url)
    lines = walk(page, patches, "sky and <i>roofs</i>")
    assert len(lines) == 96
    paths = {line["path"] for line in lines}
    assert "'=1+1 <b>bold<br>.jpg" in paths
    assert "notes.jpg" not in paths
    named = [line for line in lines if line["label"] == "sky and <i>roofs</i>"]
    assert 0 < len(named) < 96
    assert len({line["cluster"] for line in named}) == 1

    page.reload()
    page.get_by_text(f"{len(named)}", exact=False).first.wait_for()
    page.get_by_role("link", name="Label").click()
    page.get_by_role("button", name="Undo").wait_for(timeout=60_000)
    press(page, "Undo")
    page.get_by_text("0 of").wait_for(timeout=60_000)
    press(page, "Redo")
    page.get_by_text("1 of").wait_for(timeout=60_000)

    page.get_by_role("link", name="Images").click()
    page.get_by_text("1 image could not be read").click()
    page.get_by_test_id("stDataFrame").wait_for(timeout=60_000)
    assert page.locator("b", has_text="bold").count() == 0


def test_a_deep_link_opens_the_app_and_restores_the_choice(serve, visit, patches, tmp_path):
    url = serve(APP, env={"KINDRED_WORKSPACE": str(tmp_path / "workspace")}, fresh=True)
    page = visit(f"{url}/explore?data=nowhere&run=..%2F..%2Fetc")
    page.get_by_text("Cluster the images first").wait_for(timeout=60_000)
    expect(page.get_by_role("link", name="Images")).to_have_count(1, timeout=60_000)


def test_on_real_photographs(serve, visit, tmp_path):
    folder = shared_data("clothing_341")
    url = serve(APP, env={"KINDRED_WORKSPACE": str(tmp_path / "workspace")}, fresh=True)
    lines = walk(visit(url), folder, "trousers")
    assert len(lines) == 341
    assert sum(line["label"] == "trousers" for line in lines) > 5
