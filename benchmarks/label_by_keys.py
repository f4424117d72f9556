"""Labels many images on Label with few presses: each cluster grows while its nearest images outside are right, then
each long run of images of one kind is selected at once and labelled; a part of the newcomer's way (newcomer.py)."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from playwright.sync_api import Position, TimeoutError

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from benchmarks.newcomer import Visit

CELLS = ".k-gallery .list .cell"
RUN = 10  # images of one kind in a row that are worth the presses of selecting and labelling them
CORNER: Position = {"x": 20, "y": 10}  # of a picture: the bar of the selection may lie over its middle
NEXT = 20_000  # milliseconds after which no further cluster comes


def label_by_keys(at: Visit, count: int) -> int:
    """Label images cluster by cluster: grow each, then label its long runs; returns the presses."""
    me, page = at.person, at.page
    clusters = at.clusters()
    at.by_hand, done = set(), {-1}
    with me.step(f"label {count} images by pages and growing") as step:
        at.open_label()
        at.to_first()
        for _ in range(len(clusters)):
            cluster = at.shown_cluster(clusters, set(clusters) - done)
            done.add(cluster)
            wanted = Counter(at.truth[path] for path in clusters[cluster]).most_common(1)[0][0]
            while near := _near(at):
                right = [at.truth[path] == wanted for path in near]
                if all(right):
                    events = at.events()
                    me.press("g")
                    if not at.acted(events):
                        break
                    me.idle()
                elif len(near) > 1 and all(right[: len(near) // 2]):
                    me.press("h")
                    page.wait_for_timeout(200)
                else:
                    break
            _label_runs(at)
            if len(at.by_hand) >= count:
                break
            address = page.evaluate("() => location.href")
            me.press("Alt+ArrowRight")
            with suppress(TimeoutError):
                page.wait_for_function("address => location.href !== address", arg=address, timeout=NEXT)
            if page.evaluate("() => location.href") == address:
                break  # that was the last one
            me.idle()
        step.name += f" ({len(at.by_hand)})"
    return step.clicks + step.keys


def _near(at: Visit) -> list[str]:
    """Return the names of the nearest images outside that the page shows, nearest first."""
    heading = at.page.get_by_role("heading", name="Grow")
    place = at.page.locator(".inspector section").filter(has=heading)
    found = place.locator("img").evaluate_all("all => all.map(one => +one.getAttribute('src').split('/').pop())")
    return [at.name_of[number] for number in found]


def _label_runs(at: Visit) -> None:
    """Label each long run of images of one kind; the odd images are first, so the longest runs are at the end."""
    me, page = at.person, at.page
    shown = _look_through(at)
    places = [place for place, number in shown.items() if at.name_of[number] not in at.by_hand]
    for kind, found in groupby(places, key=lambda place: at.truth[at.name_of[shown[place]]]):
        run = list(found)
        if len(run) < RUN or run[-1] - run[0] >= len(run):
            continue
        before = at.events()
        me.click(_cell(at, run[0], shown), wait=False, position=CORNER)
        if run[-1] == len(shown) - 1:
            me.press("Shift+End")
        else:
            me.click(_cell(at, run[-1], shown), wait=False, position=CORNER, modifiers=["Shift"])
        keys = page.locator(".k-gallery .chips .word").all_text_contents()
        if kind in keys:
            me.press(str(1 + keys.index(kind)))
        else:
            at.type_label(kind)
        if at.acted(before):
            at.by_hand |= {at.name_of[shown[place]] for place in run}
        me.idle()


def _cell(at: Visit, place: int, shown: dict[int, int]) -> Locator:
    """Scroll to the image at a place and return its cell."""
    gallery = at.page.locator(".k-gallery .list")
    pitch = gallery.evaluate("list => list.querySelector('.cell').offsetHeight + 2")
    columns = gallery.evaluate("list => Math.round(list.clientWidth / (list.querySelector('.cell').offsetWidth + 2))")
    gallery.evaluate("(list, top) => { list.scrollTop = top; }", max(0, place // columns - 1) * pitch)
    return at.page.locator(f"{CELLS}[data-id='{shown[place]}']")


def _look_through(at: Visit) -> dict[int, int]:
    """Scroll through the gallery; returns the catalog id of every image by its place."""
    gallery = at.page.locator(".k-gallery .list")
    shown: dict[int, int] = {}
    top = 0
    while True:
        gallery.evaluate("(list, top) => { list.scrollTop = top; }", top)
        at.page.wait_for_timeout(150)
        cells = at.page.locator(CELLS).evaluate_all("all => all.map(c => [+c.dataset.position, +c.dataset.id])")
        shown.update({int(place): int(number) for place, number in cells})
        tall, view = gallery.evaluate("list => [list.scrollHeight, list.clientHeight]")
        if top + view >= tall:
            return dict(sorted(shown.items()))
        top += int(0.8 * view)
