"""The screens in a real Chromium over a seeded workspace: lasso, keys, undo, two windows, a refresh during a job."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from engine.core.workspace import Workspace
from engine.jobs import job as jobs
from engine.labels.events import LabelHistory
from engine.labels.state import REJECTED
from tests.browser.conftest import address, eventually
from tests.browser.test_labelling import PRESS
from tests.seed import clustered_pictures, coloured_pictures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

APP = Path(__file__).resolve().parents[2] / "app.py"
LONG = 120_000


@pytest.fixture
def seeded(serve, tmp_path):
    """A served app over three clusters of coloured pictures, with its workspace."""
    workspace = Workspace.open(tmp_path / "workspace")
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"), with_map=True)
    url = serve(APP, env={"KINDRED_WORKSPACE": str(workspace.root)}, fresh=True)
    return url, workspace, rows, run


def labels_of(workspace, rows, run):
    history = LabelHistory(workspace, rows.dataset.id)
    return history.state(rows.contents, run.assignments, run=run.folder.name).labels


def name_it(page, text):
    page.get_by_role("button", name="Name it").wait_for(timeout=LONG)
    page.get_by_role("combobox", name="Name").fill(text)
    page.keyboard.press("Enter")


def test_two_windows_see_each_other_and_undo_takes_back_whole_actions(seeded, visit):
    url, workspace, rows, run = seeded
    first, second = visit(f"{url}/label"), visit(f"{url}/label")
    second.get_by_role("button", name="Name it").wait_for(timeout=LONG)
    name_it(first, "红色 🙂 a/b")
    first.get_by_text("1 of 3 clusters named").wait_for(timeout=LONG)
    assert labels_of(workspace, rows, run).count("红色 🙂 a/b") == np.bincount(run.assignments).max()
    second.get_by_text("1 of 3 clusters named").wait_for(timeout=LONG)
    second.get_by_role("button", name="Undo").click()
    second.get_by_text("The last step was made in another window").wait_for(timeout=LONG)
    assert any(labels_of(workspace, rows, run)), "it asks first"
    second.get_by_role("button", name="Undo the last step").click()
    second.get_by_text("0 of 3 clusters named").wait_for(timeout=LONG)
    assert not any(labels_of(workspace, rows, run))
    first.get_by_text("0 of 3 clusters named").wait_for(timeout=LONG)
    first.get_by_role("button", name="Redo").click()
    first.get_by_text("1 of 3 clusters named").wait_for(timeout=LONG)


def test_a_page_on_which_nothing_happens_costs_no_run(seeded, visit):
    url, workspace, rows, run = seeded
    page = visit(f"{url}/label")
    page.get_by_role("button", name="Name it").wait_for(timeout=LONG)
    page.wait_for_timeout(4000)  # the components have said what they had to say
    answers = []
    page.on("response", lambda answer: answers.append(answer.url) if answer.url.endswith("/version") else None)
    sent = page.evaluate(
        """() => new Promise(done => {
            let sent = 0;
            const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (...what) { sent += 1; return send.apply(this, what); };
            setTimeout(() => { WebSocket.prototype.send = send; done(sent); }, 8000);
        })"""
    )
    assert sent == 0 and len(answers) >= 2
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.rename(state, 0, "named elsewhere")
    page.get_by_text("1 of 3 clusters named").wait_for(timeout=LONG)


def test_a_lasso_selects_and_the_selection_can_be_labelled(seeded, visit):
    url, workspace, rows, run = seeded
    page = visit(f"{url}/explore")
    canvas = page.locator(".k-map canvas").first
    canvas.wait_for(timeout=LONG)
    page.wait_for_timeout(3000)
    box = canvas.bounding_box()
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.03)]
    spots = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=8)
    page.mouse.up()
    page.get_by_text("30 selected", exact=True).wait_for(timeout=LONG)
    eventually(lambda: address(page), lambda url: "drawn=" in url)
    page.reload()
    page.get_by_text("30 selected", exact=True).wait_for(timeout=LONG)
    page.locator(".k-map .shape").wait_for(state="attached", timeout=LONG)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("30 images confirmed").wait_for(timeout=LONG)
    page.locator(".k-map .holder").focus()
    page.keyboard.press("Escape")
    page.get_by_text("30 selected", exact=True).wait_for(state="detached", timeout=LONG)
    eventually(lambda: address(page), lambda url: "drawn=" not in url)


# Faster than any person: three clicks, each with its key, before Python hears of the first.
REJECT_THREE = """list => [0, 2, 4].map(place => list.querySelectorAll(".cell")[place]).map(cell => {
  for (const type of ["pointerdown", "pointerup"])
    cell.dispatchEvent(new PointerEvent(type, { bubbles: true, composed: true }));
  list.dispatchEvent(new KeyboardEvent("keydown", { key: "x", bubbles: true, composed: true }));
  return +cell.dataset.id;
})"""


def test_each_key_concerns_what_was_selected_at_its_moment_however_fast_they_come(seeded, visit):
    url, workspace, rows, run = seeded
    page = visit(f"{url}/label")
    page.get_by_role("button", name="Name it").wait_for(timeout=LONG)
    cells = page.locator(".k-gallery .cell")
    cells.nth(4).wait_for(timeout=LONG)
    chosen = page.locator(".k-gallery .list").evaluate(REJECT_THREE)

    def set_aside() -> list[int]:
        history = LabelHistory(workspace, rows.dataset.id)
        state = history.state(rows.contents, run.assignments, run=run.folder.name)
        return sorted(rows.ids[state.status == REJECTED].tolist())

    eventually(set_aside, lambda found: found == sorted(chosen))
    page.locator(".k-gallery .list").focus()
    page.keyboard.press("m")
    page.get_by_text("0 of 2 clusters named").wait_for(timeout=LONG)


def test_a_click_that_meets_a_message_of_the_workbench_counts_exactly_once(seeded, visit):
    url, workspace, rows, run = seeded
    page = visit(f"{url}/label")
    page.get_by_role("button", name="Name it").wait_for(timeout=LONG)
    page.locator(".k-gallery .cell").nth(4).wait_for(timeout=LONG)
    history = LabelHistory(workspace, rows.dataset.id)
    clicks = []
    for wait in (0, 30, 100, 250):
        for words, kind in (("Different", "apart"), ("Undo", "undo"), ("Take ", "move"), ("Undo", "undo")):
            clicked = [words, wait]
            eventually(lambda: page.locator(".k-gallery .list").evaluate(PRESS, clicked), bool)  # noqa: B023
            clicks.append(kind)
            eventually(lambda: [event.kind for event in history.events()], lambda found: len(found) >= len(clicks))
            page.wait_for_timeout(1000)
    assert [event.kind for event in history.events()] == clicks


def test_labels_spread_to_a_review_queue_and_are_agreed_with(seeded, visit):
    url, workspace, rows, run = seeded
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    firsts = [state.rows(cluster)[:2] for cluster in range(3)]
    for cluster, some in enumerate(firsts):
        state = history.state(rows.contents, run.assignments, run=run.folder.name)
        history.label(state, some, f"colour {cluster}")
    page = visit(f"{url}/label")
    page.get_by_text("Review", exact=True).click()
    page.get_by_role("button", name="Spread the labels", exact=True).click()
    page.get_by_text("24 images with a proposal").wait_for(timeout=LONG)
    page.locator(".k-gallery .list").focus()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Agree", exact=True).click()
    page.get_by_text("Every image near a labelled one has its label").wait_for(timeout=LONG)
    spread = labels_of(workspace, rows, run)
    assert set(spread) == {"colour 0", "colour 1", "colour 2"}
    for cluster, some in enumerate(firsts):
        assert {spread[row] for row in some} == {f"colour {cluster}"}
    page.get_by_role("button", name="Undo").click()
    eventually(lambda: labels_of(workspace, rows, run).count(None), lambda count: count == 24)
    page.get_by_role("button", name="Agree", exact=True).wait_for(timeout=LONG)  # still selected, open again
    group = page.get_by_role("listbox", name="Proposed labels").get_by_role("option", name="colour 1?")
    proposed = int(re.search(r"([0-9]+) images", group.get_attribute("aria-label")).group(1))
    group.click()
    page.get_by_text(f"of {proposed} selected").wait_for(timeout=LONG)
    page.get_by_role("button", name="Agree with all of these").click()
    eventually(lambda: labels_of(workspace, rows, run).count("colour 1"), lambda count: count == 2 + proposed)
    assert labels_of(workspace, rows, run).count(None) == 24 - proposed


def test_a_refresh_in_the_middle_of_a_job_loses_nothing(seeded, visit):
    url, workspace, rows, run = seeded
    folder = jobs.create(workspace.jobs, "count", "A long count", {"dataset": {"id": rows.dataset.id}})
    (folder / "started").touch()
    with jobs.holding(folder / "lock", timeout=5):
        (folder / "progress.jsonl").write_text(
            '{"at": 1, "phase": "counting", "done": 3, "total": 10, "unit": "steps"}\n'
        )
        page = visit(f"{url}/images")
        page.get_by_text("A long count").first.wait_for(timeout=LONG)
        page.reload()
        page.get_by_text("A long count").first.wait_for(timeout=LONG)
    page.reload()
    page.get_by_text("A long count: interrupted").wait_for(timeout=LONG)
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_text("A long count").first.wait_for(state="detached", timeout=LONG)
