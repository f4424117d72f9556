"""Images: choose a folder or a benchmark set, see what is in it, what is broken and what is double."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from engine.core.errors import InputError, KindredError
from engine.images.datasets import (
    Dataset,
    add_folder,
    add_vectors,
    remove_dataset,
    set_truth_from_folders,
)
from engine.images.kinds import NAMED
from engine.images.moved import relocate
from engine.images.reading import existing
from engine.images.report import ScanReport, report
from engine.images.sources import FolderSource, shown
from engine.images.tables import ids_of_paths
from pages.images.all_images import all_images
from pages.images.duplicates import duplicates_panel
from pages.images.first import first_screen
from pages.images.known_elsewhere import offers
from pages.images.newcomers import newcomers_panel
from pages.images.reading_panel import reading_panel
from pages.images.wall import growing_wall
from pages.shared.actions import pressed
from pages.shared.changed import changed_panel
from pages.shared.frame import heading, next_step
from pages.shared.import_labels import import_button
from pages.shared.job_view import job_view
from pages.shared.pictures import strip
from pages.shared.state import Current, choose, current, escape, show_error
from pages.shared.tasks import newest, start_scan
from pages.shared.words import count, size

_DOUBLES, _COPIES = 40, 4  # groups of duplicates that are shown, and pictures of each


def _add(now: Current, dataset: Dataset) -> None:
    choose(data=dataset.id)
    if dataset.scanned is None:
        start_scan(now.workspace, dataset)
    st.session_state["adding"] = False
    st.rerun()


def _holds_images(folder: Path) -> bool:
    """Whether a folder holds a file that looks like an image, or one that could not be looked at."""
    source = FolderSource(folder)
    return next(iter(source.entries()), None) is not None or bool(source.problems)


def _add_path(now: Current, text: str, name: str = "") -> None:
    path = existing(Path(text).expanduser())
    try:
        if path.is_file():
            _add(now, add_vectors(now.workspace, path))
        if path.is_dir() and not _holds_images(path):
            raise InputError(
                f"There is no image in {path}.",
                f"Kindred reads {NAMED}, also in folders inside.",
            )
        if offers(now, path, name):
            st.rerun()
        _add(now, add_folder(now.workspace, path, name=name or None))
    except KindredError as error:
        show_error(error)


def _facts(dataset: Dataset, found: ScanReport) -> str:
    """Return what is in the data set as one line of Markdown."""
    what = "vector" if dataset.kind == "vectors" else "image"
    facts = [f"**{count(found.readable, what)}**"]
    if found.distinct != found.readable:
        facts.append(f"{found.distinct:,} distinct")
    if found.failed:
        facts.append(f":orange[{len(found.failed):,} could not be read]")
    if taken := found.sizes.get("bytes", 0):  # the pictures of a sample set are made as they are read
        facts.append(f"{size(taken)} on disk")
    if found.formats and dataset.kind != "vectors":
        facts.append(", ".join(escape(name) for name in list(found.formats)[:4]))
    if found.classes:
        known = dataset.kind != "folder" or dataset.options.get("truth_from_folders")
        facts.append(count(len(found.classes), *(("class", "classes") if known else ("class folder",))))
    return " :gray[·] ".join(facts)


def _folded(what: str, title: str, icon: str, draw: Callable[[], None]) -> None:
    """Fold something away that is drawn when it is opened: the browser reads the code of tables only then."""
    box = st.expander(title, icon=icon, key=f"images_{what}", on_change="rerun")
    if box.open:
        with box:
            draw()


def _table(columns: dict[str, Sequence[Any]]) -> None:
    import pandas as pd

    st.dataframe(pd.DataFrame(columns), hide_index=True, width="stretch")


def _details(now: Current, dataset: Dataset, found: ScanReport) -> None:
    if found.formats and dataset.kind != "vectors":
        title = f"Formats and sizes: {', '.join(found.formats)}"
        _folded("formats", title, ":material/straighten:", lambda: _formats(found))
    if found.depths:
        with st.expander(found.depth_sentence, icon=":material/exposure:"):
            st.caption(
                "Black and white are the 0.1 and the 99.9 percentile of the pixels, the same for all images of a kind. "
                "They stay as they are when images come."
            )
            if pressed("Measure again", help="Embeddings made until now are then out of date"):
                start_scan(now.workspace, dataset, measure_again=True)
                st.rerun()
    if found.notes:
        title = f"{count(len(found.notes), 'image')} with a note"
        _folded("notes", title, ":material/info:", lambda: _files(found.notes, "note"))
    if found.failed:
        title = f"{count(len(found.failed), 'image')} could not be read"
        _folded("failed", title, ":material/broken_image:", lambda: _files(found.failed, "reason"))
    if found.duplicates:
        copies = sum(len(group) - 1 for group in found.duplicates)
        title = count(copies, "exact duplicate")
        _folded("duplicates", title, ":material/content_copy:", lambda: _duplicates(now, dataset, found))
    if found.classes and (dataset.kind != "folder" or dataset.options.get("truth_from_folders")):
        title = count(len(found.classes), "class", "classes")
        columns: dict[str, Sequence[Any]] = {
            "class": list(found.classes),
            "images": list(found.classes.values()),
        }
        _folded("classes", title, ":material/category:", lambda: _table(columns))


def _formats(found: ScanReport) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        _table({"format": list(found.formats), "images": list(found.formats.values())})
    names = [name for name in ("smallest", "median", "largest") if name in found.sizes]
    shapes = [found.sizes[name] for name in names]  # type: ignore[literal-required]
    with right:
        _table(
            {"pixels": names, "width": [shape[0] for shape in shapes], "height": [shape[1] for shape in shapes]},
        )


def _files(said: Sequence[tuple[bytes, str]], what: str) -> None:
    _table({"file": [shown(path) for path, _ in said], what: [sentence for _, sentence in said]})


def _duplicates(now: Current, dataset: Dataset, found: ScanReport) -> None:
    """Show what is double side by side."""
    st.caption("The same bytes under several names. They are embedded once and share their label.")
    groups = found.duplicates[:_DOUBLES]
    ids = ids_of_paths(now.workspace, dataset.id, [path for group in groups for path in group[:_COPIES]])
    for group in groups:
        with st.container(horizontal=True, vertical_alignment="center"):
            strip([ids[path] for path in group[:_COPIES] if path in ids], size=72)
            st.markdown("  \n".join(f":gray[{escape(shown(path))}]" for path in group[:_COPIES]))
            if len(group) > _COPIES:
                st.caption(f"and {len(group) - _COPIES:,} more")
    if len(found.duplicates) > len(groups):
        st.caption(f"{len(found.duplicates) - len(groups):,} more groups are not shown.")


def _gone(now: Current, dataset: Dataset) -> None:
    """Ask for the new place of a folder that is not where it was."""
    where = Path(os.fsdecode(dataset.location))
    if not where.exists():
        st.warning(f"{escape(where)} is not there any more. If the folder moved, say where it is now.")
        new = st.text_input("Where it is now", key="relocate")
        if pressed("Use this folder", type="primary") and new:
            try:
                relocate(now.workspace, dataset.id, Path(new).expanduser())
                start_scan(now.workspace, dataset)
                st.rerun()
            except KindredError as error:
                show_error(error)


def _truth(now: Current, dataset: Dataset, found: ScanReport) -> None:
    """Let the person say that the class folders are the truth, and of which level where there are several."""
    if len(found.levels) > 1:
        _truth_level(now, dataset, found.levels)
        return
    if len(found.classes) > 1:
        on = bool(dataset.options.get("truth_from_folders"))
        names = ", ".join(list(found.classes)[:6]) + (", ..." if len(found.classes) > 6 else "")
        chosen = st.toggle(
            f"The {count(len(found.classes), 'class folder')} ({escape(names)}) are the truth",
            value=on,
            help="Used to score clusterings and to colour the map; clustering itself never sees them",
        )
        if chosen != on:
            set_truth_from_folders(now.workspace, dataset.id, chosen)
            st.rerun()


def _truth_level(now: Current, dataset: Dataset, levels: list[list[str]]) -> None:
    """Draw the choice between no truth and each level of folders."""

    def words(level: int) -> str:
        if not level:
            return "none"
        names = levels[level - 1]
        few = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        return f"{count(len(names), 'folder')} of level {level}: {few}"

    now_at = int(dataset.options.get("truth_level", 1)) if dataset.options.get("truth_from_folders") else 0
    chosen = st.selectbox(
        "Truth",
        range(len(levels) + 1),
        index=min(now_at, len(levels)),
        format_func=words,
        help="Used to score clusterings and to colour the map; clustering itself never sees it",
    )
    if chosen != now_at:
        set_truth_from_folders(now.workspace, dataset.id, chosen > 0, max(1, chosen))
        st.rerun()


def _actions(now: Current, dataset: Dataset, found: ScanReport) -> None:
    """Draw the way on, and what is done with the data set as a whole."""
    if found.readable:
        next_step(now, "pages/embed/page.py", "Embed these images")
    if pressed("Read again", icon=":material/refresh:", help="New and changed files are found; the rest is not opened"):
        start_scan(now.workspace, dataset)
        st.rerun()
    if found.readable:
        import_button(now, dataset)
    if pressed("Another data set", icon=":material/add:"):
        st.session_state["adding"] = True
        st.rerun()
    with st.popover("Forget this data set", icon=":material/delete:"):
        st.markdown("Its list of images and its label history leave Kindred. The image files stay as they are.")
        if pressed("Forget it", type="primary"):
            remove_dataset(now.workspace, dataset.id)
            choose(data=None)
            st.rerun()


def page() -> None:
    """Draw the screen."""
    now = current()
    if now.dataset is None or st.session_state.get("adding"):
        heading("Images", "Choose what you want to look at. Everything stays on this machine.")
        first_screen(now, _add, _add_path)
        if now.dataset is not None and pressed("Back", icon=":material/arrow_back:", type="tertiary"):
            st.session_state["adding"] = False
            st.rerun()
        return
    dataset = now.dataset
    heading(escape(dataset.name), escape(os.fsdecode(dataset.location)))
    found = report(now.workspace, dataset.id)
    with st.container(key="facts", horizontal=True, vertical_alignment="center"):
        st.markdown(_facts(dataset, found))
        _actions(now, dataset, found)
    running = job_view(newest(now.workspace, "scan", dataset))
    if found.readable == 0 and not running:
        st.info("There is no readable image here yet. Read the folder again, or choose another one.")
    changed_panel(now)
    if not running:
        newcomers_panel(now)
    if dataset.kind == "folder":
        _gone(now, dataset)
    if running and dataset.kind != "vectors":
        growing_wall(now.workspace, dataset)
    elif found.readable and dataset.kind != "vectors":
        all_images(now, dataset)
    if dataset.kind == "folder":
        _truth(now, dataset, found)
        reading_panel(now, dataset, found)
    if found.distinct > 1 and dataset.kind != "vectors":
        duplicates_panel(now, dataset)
    _details(now, dataset, found)


page()
