"""The best things to do next, in a real Chromium: three lines with figures, the first one done, when to stop."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from tests.browser.conftest import eventually, settled
from tests.browser.test_labelling import LIST, Seeded, opened, scroll, view
from tests.seed import clustered_pictures, coloured_pictures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

APP = Path(__file__).resolve().parents[2] / "app.py"
HARD = "x" * 60 + " שלום/../עולם 🐈 <b>" + "y" * 100


@pytest.fixture
def seeded(serve, tmp_path):
    workspace = Workspace.open(tmp_path / "workspace")
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures", 60))
    url = serve(APP, env={"KINDRED_WORKSPACE": str(workspace.root)}, fresh=True)
    return Seeded(url, workspace, rows, run)


def lines(page):
    return page.locator(".inspector .next button.state")


def test_three_lines_with_figures_lead_where_they_say(seeded, visit):
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    expect(lines(page)).to_have_count(3)
    for text in lines(page).all_text_contents():
        assert re.search(r"\+\d+ right, \d+ clicks?$", text), text
    expect(page.locator(".inspector .next [role=status]")).to_contain_text("0% labelled; the next 100 clicks add about")
    other = lines(page).filter(has_not_text="Cluster 0").first
    number = re.search(r"Cluster (\d)", other.text_content()).group(1)
    other.click()
    page.wait_for_url(f"**cluster={number}**")
    assert seeded.kinds() == []


def test_enter_does_the_first_and_one_undo_takes_it_back(seeded, visit):
    state = seeded.state()
    seeded.history.rename(state, 0, HARD)
    seeded.history.rename(seeded.state(), 1, HARD)
    seeded.history.confirm(seeded.state(), seeded.state().rows(0, 1))
    seeded.history.label(seeded.state(), seeded.state().rows(2)[:12], HARD)
    page = opened(visit, f"{seeded.url}/label?cluster=2")
    before_that = ("rename", "rename", "confirm", "label")
    first = lines(page).first
    expect(first).to_contain_text(f"Merge Cluster 2 into {HARD}")
    box, pane = first.bounding_box(), page.locator(".inspector").bounding_box()
    assert box["x"] + box["width"] <= pane["x"] + pane["width"] + 1  # a long name is cut, not wrapped
    assert box["height"] < 40
    before = view(page)["top"]
    page.evaluate("() => document.activeElement?.blur?.()")
    field = page.get_by_role("combobox", name="Name")
    field.focus()
    page.keyboard.press("Enter")
    seeded.wait_for(*before_that, "merge")
    settled(page)
    assert view(page)["top"] == before
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    seeded.wait_for(*before_that, "merge", "undo")
    assert len(seeded.state().clusters) == 3


def test_a_name_that_is_being_typed_is_a_name(seeded, visit):
    seeded.history.rename(seeded.state(), 0, "red")
    page = opened(visit, f"{seeded.url}/label?cluster=2")
    field = page.get_by_role("combobox", name="Name")
    field.fill("blue")
    page.keyboard.press("Enter")
    seeded.wait_for("rename", "rename")
    assert seeded.history.events()[-1].detail["labels"][0][0] == "blue"


def test_when_all_is_labelled_it_says_so(seeded, visit):
    for cluster in range(3):
        seeded.history.rename(seeded.state(), cluster, f"colour {cluster}")
    rows = seeded.state().rows(0, 1, 2)
    seeded.history.confirm(seeded.state(), rows)
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    expect(page.locator(".inspector .next [role=status]")).to_have_text(
        "All labelled; further clicks add next to nothing."
    )
    expect(lines(page)).to_have_count(0)
    page.locator(f"{LIST}").focus()
    scroll(page, 0)
    eventually(seeded.kinds, lambda kinds: kinds == ["rename"] * 3 + ["confirm"])


def test_other_windows_labels_move_the_figures_and_not_the_gallery(seeded, visit):
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    before, told = view(page), lines(page).all_text_contents()
    LabelHistory(seeded.workspace, seeded.rows.dataset.id).rename(seeded.state(), 1, "green")
    page.get_by_role("combobox", name="Name").press("Escape")
    page.keyboard.press("Alt+ArrowRight")
    page.keyboard.press("Alt+ArrowLeft")
    settled(page)
    eventually(lambda: lines(page).all_text_contents(), lambda found: found != told)
    assert view(page)["ids"] == before["ids"]
