"""Labelling in a real Chromium: nothing jumps, keys stay, names go on, and each of many actions counts exactly once."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from tests.browser.conftest import address, eventually, settled
from tests.seed import clustered_pictures, coloured_pictures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

APP = Path(__file__).resolve().parents[2] / "app.py"
LONG = 120_000
LIST = ".k-gallery .list"


class Seeded:
    """A served app over 240 coloured pictures in three clusters."""

    def __init__(self, url, workspace, rows, run) -> None:
        self.url, self.workspace, self.rows, self.run = url, workspace, rows, run
        self.history = LabelHistory(workspace, rows.dataset.id)

    def state(self):
        return self.history.state(self.rows.contents, self.run.assignments, run=self.run.folder.name)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.history.events()]

    def wait_for(self, *kinds: str) -> None:
        eventually(self.kinds, lambda found: found == list(kinds))


@pytest.fixture
def seeded(serve, tmp_path):
    workspace = Workspace.open(tmp_path / "workspace")
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures", 240), with_map=True)
    url = serve(APP, env={"KINDRED_WORKSPACE": str(workspace.root)}, fresh=True)
    return Seeded(url, workspace, rows, run)


def opened(visit, url, **options):
    """Open a screen with a gallery and wait for its pictures."""
    page = visit(url, **options)
    page.locator(f"{LIST} .cell img.here").first.wait_for(timeout=LONG)
    settled(page)
    return page


def scroll(page, top):
    page.locator(LIST).evaluate("(list, top) => { list.scrollTop = top; }", top)
    page.wait_for_timeout(300)


def view(page) -> dict:
    """What a person sees of the gallery: where it stands, which images in which order, which are selected, focus."""
    return page.locator(LIST).evaluate(
        """list => {
          const box = list.getBoundingClientRect();
          const cells = [...list.querySelectorAll(".cell")].filter(cell => {
            const { top, bottom } = cell.getBoundingClientRect();
            return bottom > box.top + 1 && top < box.bottom - 1;
          }).sort((a, b) => a.dataset.position - b.dataset.position);
          return {
            top: list.scrollTop,
            ids: cells.map(cell => +cell.dataset.id),
            selected: cells.filter(cell => cell.getAttribute("aria-selected") === "true").map(cell => +cell.dataset.id),
            focus: list.getRootNode().activeElement === list,
          };
        }"""
    )


def badges(page) -> dict[int, str]:
    """The words on the pictures in view, by id."""
    found = page.locator(LIST).evaluate(
        "list => [...list.querySelectorAll('.badge')].map(badge => [badge.parentNode.dataset.id, badge.title])"
    )
    return {int(image): words for image, words in found}


def pick(page, at):
    """Click the picture at a place of those on the screen; returns its id, None where there is no picture."""
    return page.locator(LIST).evaluate(
        """(list, at) => {
          const box = list.getBoundingClientRect();
          const whole = [...list.querySelectorAll(".cell")].filter(cell => {
            const { top, bottom } = cell.getBoundingClientRect();
            return top >= box.top && bottom <= box.bottom;
          }).sort((a, b) => a.dataset.position - b.dataset.position);
          if (!whole.length) return null;
          const cell = whole[at % whole.length];
          for (const type of ["pointerdown", "pointerup"])
            cell.dispatchEvent(new PointerEvent(type, { bubbles: true, composed: true }));
          list.focus({ preventScroll: true });
          return +cell.dataset.id;
        }""",
        at,
    )


def with_label(seeded, name="cat", count=3):
    """Give the key 1 a label before the page is opened."""
    state = seeded.state()
    seeded.history.label(state, state.rows(2)[-count:], name)


@pytest.mark.parametrize("screen", ["label?cluster=0", "explore?cluster=0"])
def test_place_order_selection_and_focus_survive_labels_and_undo(seeded, visit, screen):
    with_label(seeded)
    page = opened(visit, f"{seeded.url}/{screen}")
    scroll(page, 420)
    image = pick(page, 3)
    settled(page)
    before = view(page)
    assert before["top"] > 300 and before["selected"] == [image] and before["focus"]
    for key, kinds in (("1", ["label", "label"]), ("x", ["label", "label", "reject"])):
        page.keyboard.press(key)
        seeded.wait_for(*kinds)
        settled(page)
        assert view(page) == before
    assert "set aside" in badges(page)[image]
    page.keyboard.press("Control+z")
    seeded.wait_for("label", "label", "reject", "undo")
    settled(page)
    assert view(page) == before
    eventually(lambda: badges(page).get(image, ""), lambda words: words.startswith("cat"))
    page.get_by_role("button", name="Undo").click()
    seeded.wait_for("label", "label", "reject", "undo", "undo")
    settled(page)
    assert {**view(page), "focus": True} == before
    eventually(lambda: badges(page), lambda found: image not in found)


def test_a_key_is_answered_in_the_browser_before_python_hears_of_it(seeded, visit):
    with_label(seeded)
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    image = pick(page, 2)
    settled(page)
    shown = page.locator(LIST).evaluate(
        """list => {
          list.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true, composed: true }));
          return list.querySelector(".cell[aria-selected=true] .badge")?.title;
        }"""
    )
    assert shown.startswith("cat")
    seeded.wait_for("label", "label")
    settled(page)
    assert badges(page)[image].startswith("cat")


def test_a_new_order_comes_only_when_it_is_asked_for(seeded, visit):
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    button = page.get_by_role("button", name="Refresh order")
    expect(button).not_to_be_visible()
    image = pick(page, 0)
    page.keyboard.press("x")
    seeded.wait_for("reject")
    expect(button).to_be_visible(timeout=LONG)
    assert image in view(page)["ids"]
    button.click()
    expect(button).not_to_be_visible(timeout=LONG)
    eventually(lambda: view(page)["ids"], lambda ids: image not in ids)


def test_colours_of_the_map_leave_the_gallery_as_it_is(seeded, visit):
    page = opened(visit, f"{seeded.url}/explore?cluster=0")
    scroll(page, 420)
    pick(page, 2)
    settled(page)
    before = view(page)
    page.get_by_label("Colour by").select_option("confidence")
    eventually(lambda: address(page), lambda url: "color=confidence" in url)
    settled(page)
    assert page.get_by_label("Colour by").input_value() == "confidence"
    assert {**view(page), "focus": before["focus"]} == before


def test_the_review_stays_where_it_is_when_a_proposal_is_agreed_with(seeded, visit):
    state = seeded.state()
    for cluster in range(3):
        state = seeded.state()
        seeded.history.label(state, state.rows(cluster)[:2], f"colour {cluster}")
    page = visit(f"{seeded.url}/label?label_view=Review")
    page.get_by_role("button", name="Spread the labels").click(timeout=LONG)
    page.locator(f"{LIST} .cell img.here").first.wait_for(timeout=LONG)
    settled(page)
    scroll(page, 420)
    image = pick(page, 1)
    settled(page)
    before = view(page)
    page.keyboard.press("y")
    eventually(seeded.kinds, lambda kinds: len(kinds) == 4)
    settled(page)
    assert view(page) == before
    assert "%" not in badges(page)[image]


def test_enter_names_and_goes_on_and_escape_keeps_what_was_typed(seeded, visit):
    page = opened(visit, f"{seeded.url}/label")
    field = page.get_by_role("combobox", name="Name")
    field.fill("half a na")
    field.press("Escape")
    assert field.input_value() == "half a na"
    assert not seeded.kinds()
    largest = sorted(seeded.state().clusters, key=lambda cluster: -cluster.size)
    field.focus()
    for at, name in enumerate(("one", "two", "three")):
        field.fill(name)
        field.press("Enter")
        field.press("Enter")  # one too many: nothing is done by it
        seeded.wait_for(*["rename"] * (at + 1))
        settled(page)
        assert field.evaluate("input => input.getRootNode().activeElement === input")
        if at < 2:
            eventually(lambda: address(page), lambda url, at=at: f"cluster={largest[at + 1].id}" in url)
            assert field.input_value() == ""
    assert [seeded.state().find(cluster.id).name for cluster in largest] == ["one", "two", "three"]
    page.get_by_text("Every cluster has a name now").wait_for(timeout=LONG)


def test_names_typed_faster_than_the_page_go_to_one_cluster_each(seeded, visit):
    page = opened(visit, f"{seeded.url}/label")
    page.get_by_role("combobox", name="Name").focus()
    for name in ("one", "two", "three"):
        page.keyboard.type(name)
        page.keyboard.press("Enter")
    eventually(lambda: {c.name for c in seeded.state().clusters}, lambda found: found == {"one", "two", "three"})


# Everything that the browser says reaches the server late.
SLOW = """(() => {
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) { setTimeout(() => this.readyState === 1 && send.call(this, data), 700); };
})();"""


def test_a_name_typed_right_after_enter_is_the_next_clusters_on_a_slow_page(seeded, visit):
    page = opened(visit, f"{seeded.url}/label", script=SLOW)
    largest = sorted(seeded.state().clusters, key=lambda cluster: -cluster.size)
    field = page.get_by_role("combobox", name="Name")
    field.focus()
    page.keyboard.type("one")
    page.keyboard.press("Enter")
    pick(page, 1)  # its message still names the first cluster, and comes after the name
    page.wait_for_timeout(250)
    field.focus()
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    seeded.wait_for("rename", "rename")
    settled(page)
    assert [seeded.state().find(cluster.id).name for cluster in largest] == ["one", "two", None]
    eventually(lambda: address(page), lambda url: f"cluster={largest[2].id}" in url)
    settled(page)
    page.wait_for_timeout(2000)
    assert f"cluster={largest[2].id}" in page.url
    assert field.input_value() == ""


def test_number_keys_stay_until_the_person_moves_them(seeded, visit):
    for name in ("first", "second", "third"):
        with_label(seeded, name, 1)
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    chips = page.locator(".chip .word")
    expect(chips).to_have_text(["first", "second", "third"])
    image = pick(page, 0)
    page.keyboard.press("3")
    eventually(lambda: seeded.state().labels[seeded.rows.ids.tolist().index(image)], lambda label: label == "third")
    settled(page)
    expect(chips).to_have_text(["first", "second", "third"])
    page.locator(".chip").nth(2).drag_to(page.locator(".chip").nth(0))
    expect(chips).to_have_text(["third", "first", "second"])
    settled(page)
    page.reload()
    page.locator(f"{LIST} .cell img.here").first.wait_for(timeout=LONG)
    expect(chips).to_have_text(["third", "first", "second"])
    image = pick(page, 1)
    page.get_by_role("button", name="Fill the cells (crop)").focus()  # anywhere in the gallery
    page.keyboard.press("1")
    eventually(lambda: seeded.state().labels[seeded.rows.ids.tolist().index(image)], lambda label: label == "third")


def test_the_folder_browser_closes_by_escape_wherever_the_focus_is(seeded, visit):
    page = visit(seeded.url)
    page.get_by_role("button", name="Another data set").click(timeout=LONG)
    page.get_by_role("button", name="Browse folders").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Up").click(timeout=LONG)
    settled(page)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible(timeout=LONG)


@pytest.mark.parametrize("screen", ["explore", "label"])
def test_a_link_and_a_reload_restore_run_cluster_filter_and_ask_for_nothing_that_is_not_there(seeded, visit, screen):
    missing = []
    page = opened(visit, f"{seeded.url}/{screen}?cluster=1&source=none")
    page.on("response", lambda answer: answer.status >= 400 and missing.append(answer.url))
    page.reload()
    page.locator(f"{LIST} .cell img.here").first.wait_for(timeout=LONG)
    settled(page)
    shown = set(view(page)["ids"])
    state = seeded.state()
    assert shown <= set(seeded.rows.ids[state.rows(1)].tolist())
    for part in ("data=", "run=", "embedding=", "cluster=1", "source=none"):
        assert part in page.url
    assert missing == []


def test_the_filter_of_the_clusters_survives_a_reload(seeded, visit):
    page = opened(visit, f"{seeded.url}/explore")
    field = page.get_by_placeholder("Filter by name")
    cards = page.get_by_role("listbox", name="Clusters").get_by_role("option")
    expect(cards).to_have_count(3)
    field.fill("Cluster 1")
    expect(cards).to_have_count(1)
    eventually(lambda: address(page), lambda url: "filter=Cluster" in url)
    page.reload()
    expect(field).to_have_value("Cluster 1", timeout=LONG)
    expect(cards).to_have_count(1)


# A button is pressed, of the page or of the workbench, and a moment later the workbench says something of its own.
PRESS = """(list, [words, wait]) => {
  const roots = [document, ...[...document.querySelectorAll("*")].map(one => one.shadowRoot).filter(Boolean)];
  const name = one => one.getAttribute("aria-label") ?? one.textContent;
  const button = roots.flatMap(root => [...root.querySelectorAll("button")])
    .find(one => name(one).includes(words) && !one.disabled && one.checkVisibility());
  if (!button) return false;
  button.click();
  setTimeout(() => {
    const cells = list.querySelectorAll(".cell");
    if (!cells.length) return;
    for (const type of ["pointerdown", "pointerup"])
      cells[wait % cells.length].dispatchEvent(new PointerEvent(type, { bubbles: true, composed: true }));
    list.getRootNode().querySelector('[aria-label="Who said the label"]').dispatchEvent(new Event("change"));
  }, wait);
  return true;
}"""
BUTTONS = {"Undo": "undo", "Redo": "redo", "Different": "apart", "Merge": "merge", " image": "move"}
ON_SELECTED = {"Confirm": "confirm", "Set aside": "reject"}
KEYS = {"1": "label", "2": "label", "3": "label", "x": "reject", "Control+z": "undo", "Control+Shift+z": "redo"}


class Pressed:
    """What was asked for so far, and so what the log must hold."""

    def __init__(self, seeded, page, rng) -> None:
        self.seeded, self.page, self.rng = seeded, page, rng
        self.kinds = seeded.kinds()
        self.done, self.undone = len(self.kinds), 0
        self.refused = 0
        self.images: dict[int, int] = {}  # place in the log to the image that was picked for it

    def can(self, kind) -> bool:
        return {"undo": self.done > 0, "redo": self.undone > 0}.get(kind, True)

    def note(self, kind, image=None) -> None:
        if image is not None and kind in ("label", "reject"):
            self.images[len(self.kinds)] = image
        self.kinds.append(kind)
        self.done += -1 if kind == "undo" else 1
        self.undone = self.undone + 1 if kind == "undo" else max(self.undone - 1, 0) if kind == "redo" else 0

    def wait(self) -> None:
        missing = lambda: self.kinds[len(self.seeded.kinds()) :]  # noqa: E731
        eventually(missing, lambda found: not found, seconds=60)

    def done_or_refused(self, kind, kept=lambda: False) -> None:
        """Wait for one press; a page that does not show the last change yet may offer what cannot be done any more."""
        refused = self.page.get_by_test_id("stToast").filter(has_text=re.compile("^(error|info)"))
        done = lambda: len(self.seeded.kinds()) > len(self.kinds)  # noqa: E731
        eventually(lambda: done() or refused.count() > 0 or kept(), bool, seconds=60)
        if done():
            self.note(kind)
            return
        self.refused += 1
        if refused.count():
            refused.first.wait_for(state="detached", timeout=LONG)

    def pick(self) -> int:
        """Click one of the pictures on the screen; returns its id."""
        return eventually(lambda: pick(self.page, self.rng.randrange(8)), lambda image: image is not None)

    def keys(self) -> None:
        """Press some keys faster than the page answers."""
        for _ in range(self.rng.randint(3, 8)):
            image = self.pick()
            key = self.rng.choice([key for key, kind in KEYS.items() if self.can(kind)])
            self.page.keyboard.press(key)
            self.note(KEYS[key], image)
            self.page.wait_for_timeout(self.rng.choice((0, 0, 20, 120)))

    def button(self) -> None:
        """Press a button while the gallery has something to say."""
        self.wait()
        words = self.rng.choice([words for words, kind in BUTTONS.items() if self.can(kind)])
        if self.page.locator(LIST).evaluate(PRESS, [words, self.rng.choice((0, 30, 100, 250))]):
            self.done_or_refused(BUTTONS[words])

    def on_selected(self) -> None:
        """Press a button of the selection bar."""
        self.wait()
        self.pick()
        settled(self.page)
        words = self.rng.choice(list(ON_SELECTED))
        if view(self.page)["selected"] and self.page.locator(LIST).evaluate(PRESS, [words, 40]):
            self.done_or_refused(ON_SELECTED[words])

    def name(self) -> None:
        """Name the cluster that is shown; a name typed before the last one is answered is the next cluster's."""
        self.wait()
        settled(self.page)
        field, text = self.page.get_by_role("combobox", name="Name"), f"name {len(self.kinds)}"
        field.fill(text)
        self.page.keyboard.press("Enter")
        self.done_or_refused("rename", kept=lambda: field.input_value() == text)  # kept where no cluster comes next


def test_of_two_hundred_random_actions_none_is_lost_and_none_is_done_twice(seeded, visit):
    for name in ("first", "second", "third"):
        with_label(seeded, name, 1)
    page = opened(visit, f"{seeded.url}/label?cluster=0")
    pressed = Pressed(seeded, page, random.Random(14))
    steps = [pressed.keys] * 5 + [pressed.button] * 5 + [pressed.on_selected, pressed.name]
    while len(pressed.kinds) < 203:
        pressed.rng.choice(steps)()
        if pressed.rng.random() < 0.3:
            scroll(page, pressed.rng.randrange(800))
    pressed.wait()
    settled(page)
    page.wait_for_timeout(3000)
    assert seeded.kinds() == pressed.kinds
    assert pressed.refused < 20
    content = dict(zip(seeded.rows.ids.tolist(), seeded.rows.contents.tolist(), strict=True))
    events = seeded.history.events()
    for place, image in pressed.images.items():
        assert events[place].contents.tolist() == [content[image]], f"action {place}"
