"""Labels come in as one event that can be undone, and a lost library is rebuilt from what was exported."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from engine.core.csv import write_csv
from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.export.export import export, prepare
from engine.export.formats import FORMATS
from engine.export.settings import ExportSettings
from engine.images.datasets import add_folder, find_dataset
from engine.images.scan import scan
from engine.images.tables import load_images
from engine.jobs.tasks.imports import ImportLabelsRequest, import_labels, import_labels_summary
from engine.labels.events import LabelHistory
from engine.labels.importing.settings import ImportSettings
from engine.labels.proposals import Proposals, open_suggestions, seeds
from engine.labels.state import LabelState
from engine.labels.table import label_table
from tests.engine.export.conftest import png
from tests.engine.export.test_hostile_labels import LABELS_THAT_TRIP

CLUSTERS = np.repeat([0, 1, 2, 3, -1], [30, 12, 12, 6, 4]).astype(np.int32)
NAMES = ["a/1.png", "b/1.png", *(f"{at:02}.png" for at in range(2, 63)), "copy.png", "caf\u00e9.png"]


@dataclass
class Library:
    """A scanned folder of 64 distinct images and a copy, with clusters."""

    workspace: Workspace
    folder: Path
    dataset: str

    def history(self) -> LabelHistory:
        return LabelHistory(self.workspace, self.dataset)

    def state(self, run: str = "a", clusters=CLUSTERS) -> LabelState:
        return self.history().state(load_images(self.workspace, self.dataset).contents, clusters, run=run)

    def table(self):
        contents = load_images(self.workspace, self.dataset).contents
        return label_table(self.workspace, self.dataset, contents, CLUSTERS, state=self.state())

    def write(self, target: Path, name: str, **settings) -> Path:
        entry = FORMATS[name]
        split = {"split": True} if entry.needs_split else {}
        prepared = prepare(self.table(), ExportSettings(format=name, **split, **settings))
        target = target.with_name(target.name + entry.files) if entry.is_table else target
        export(prepared, target, source=find_dataset(self.workspace, self.dataset).source())
        return target

    def take(self, labels: Path, *, dry_run: bool = False, **settings):
        request = ImportLabelsRequest(
            dataset=self.dataset, labels=str(labels), settings=ImportSettings(**settings), dry_run=dry_run
        )
        return import_labels(self.workspace, request)

    def lost(self) -> Library:
        """Return the same folder in a library that has just been lost: scanned, nothing labelled."""
        shutil.rmtree(self.workspace.root / "library")
        return scanned(Workspace.open(self.workspace.root), self.folder)


def scanned(workspace: Workspace, folder: Path) -> Library:
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    return Library(workspace, folder, dataset.id)


@pytest.fixture
def library(workspace, tmp_path) -> Library:
    folder = tmp_path / "photos"
    for at, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png((9, 9, 9) if name in ("02.png", "copy.png") else (at, 7, 7)))
    return scanned(workspace, folder)


@pytest.fixture
def worked_on(library) -> Library:
    """Every kind of label, status and name: by you, by name, guessed, audited, set aside, locked."""
    history = library.history()
    history.rename(library.state(), 0, "big cat")
    history.name(library.state(), {1: "=1+1", 2: "NA"})
    labels = [LABELS_THAT_TRIP[at % len(LABELS_THAT_TRIP)] for at in range(5)]
    history.label(library.state(), np.arange(5), labels)
    history.audit(library.state(), 1, shown=library.state().rows(1)[:8], wrong=library.state().rows(1)[:1])
    history.audit(library.state(), 2, shown=library.state().rows(2))
    state, chance = library.state(), np.array([0.75, 0.5], np.float32)
    guess = Proposals(
        np.array([60, 61]), ["cat", "א" * 200], chance, chance, "propagation", state.version, state.version
    )
    history.accept(state, guess)
    history.reject(library.state(), np.array([20, 21]))
    history.lock(library.state(), np.array([6, 22]))
    history.confirm(library.state(), np.array([7]))
    return library


def said(state: LabelState):
    """Return what a state says of each image and cluster, in the order of the images' ids."""
    order = np.argsort(state.contents)
    return (
        [(state.labels[at], state.sources[at], state.statuses[at]) for at in order],
        [round(float(number), 6) for number in np.nan_to_num(state.probability[order], nan=-1)],
        [round(float(number), 6) for number in np.nan_to_num(state.bound[order], nan=-1)],
        [(cluster.id, cluster.name, cluster.size) for cluster in state.clusters],
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_lost_library_is_rebuilt_from_any_export(worked_on, tmp_path, name):
    before = said(worked_on.state())
    sources = {source for _, source, _ in before[0]}
    assert sources == {"by you", "cluster name", "accepted guess", "none"}
    target = worked_on.write(tmp_path / "out", name)
    found = worked_on.lost()
    assert said(found.state()) != before
    report = found.take(target)
    after = said(found.state())
    if FORMATS[name].is_table:
        assert after == before, "with the images that have no label and are set aside"
    else:
        labelled = [at for at, (label, _, _) in enumerate(before[0]) if label is not None]
        assert [after[0][at] for at in labelled] == [before[0][at] for at in labelled]
        assert [after[1][at] for at in labelled] == [before[1][at] for at in labelled]
        names = {name for _, name, _ in before[3]}
        assert {name for _, name, _ in after[3]} == names
    assert not report.unmatched and not report.ambiguous and not report.unusable
    assert len(found.history().events()) == 1
    found.history().undo()
    assert found.state().source_counts["none"] == len(found.state())
    found.history().redo()
    assert said(found.state()) == after


@pytest.mark.parametrize(("name", "inner"), [("coco", "annotations/all.json"), ("labelstudio", "tasks.json")])
def test_the_file_inside_an_export_is_enough(worked_on, tmp_path, name, inner):
    before = worked_on.state()
    target = worked_on.write(tmp_path / "out", name)
    found = worked_on.lost()
    found.take(target / inner)
    after = found.state()
    labelled = [at for at, label in enumerate(before.labels) if label is not None]
    assert [after.labels[at] for at in labelled] == [before.labels[at] for at in labelled]
    assert [after.sources[at] for at in labelled] == [before.sources[at] for at in labelled]
    assert {one.name for one in after.clusters} == {one.name for one in before.clusters}


@pytest.mark.parametrize("name", ["folders", "yolo", "huggingface", "fiftyone"])
def test_an_export_without_its_list_of_labels_still_gives_the_labels(worked_on, tmp_path, name):
    before = worked_on.state()
    target = worked_on.write(tmp_path / "out", name)
    (target / "labels.csv").unlink()
    found = worked_on.lost()
    report = found.take(target)
    assert sum(report.by_way.values()) == report.labelled and report.by_way["content id"] + report.by_way["path"] > 0
    after = found.state().labels
    assert all(after[at] == label for at, label in enumerate(before.labels) if label is not None)


def test_a_colleagues_export_may_count_as_imported_alone(worked_on, tmp_path):
    target = worked_on.write(tmp_path / "out", "csv")
    found = worked_on.lost()
    report = found.take(target, keep_sources=False)
    assert report.by_source == {"imported": report.images}
    assert found.state().source_counts["by you"] == 0


def listed(library, tmp_path, rows, name="labels.csv"):
    path = tmp_path / name
    write_csv(path, {"path": [path for path, _ in rows], "label": [label for _, label in rows]})
    return path


def test_foreign_labels_are_imported_and_confirmed_and_never_by_you(library, tmp_path):
    path = listed(library, tmp_path, [("a/1.png", "cat"), ("05.png", "dog"), ("copy.png", "dog"), ("none.png", "x")])
    preview = library.take(path, dry_run=True)
    assert not library.history().events() and not preview.event
    report = library.take(path)
    assert report.event == "3 images: 2 labels imported from labels.csv"
    assert (preview.images, preview.classes) == (report.images, report.classes) == (3, {"cat": 1, "dog": 2})
    assert report.by_way == {"path": 3, "name": 0, "content id": 0}
    assert report.unmatched == [("none.png", "No image of this data set has this path, name or content.")]
    state = library.state()
    assert state.source_counts == {
        "by you": 0,
        "cluster name": 0,
        "accepted guess": 0,
        "imported": 3,
        "none": len(state) - 3,
    }
    assert state.statuses.count("confirmed") == 3
    assert (seeds(state) >= 0).sum() == 3, "imported labels spread like those by a person"
    history = library.history()
    told = history.rename(state, 0, "pet").sentence
    assert "2 labelled by you or imported keep their label" in told, "two of them lie in cluster 0"
    assert library.state().sources.count("imported") == 3
    history.confirm(library.state(), np.flatnonzero(np.array(library.state().sources) == "imported")[:1])
    assert library.state().source_counts["by you"] == 1


def test_suggestions_wait_for_review_and_change_no_label(library, tmp_path):
    (tmp_path / "s.csv").write_text("file,label,score\na/1.png,cat,0.9\n05.png,dog,\nb/1.png,owl,30%\n")
    library.history().label(library.state(), np.flatnonzero([p == b"b/1.png" for p in paths(library)]), "mine")
    report = library.take(tmp_path / "s.csv", how="suggestions")
    assert report.event == "2 images: 2 labels suggested by s.csv" and report.kept == 1
    state = library.state()
    assert state.source_counts["none"] == len(state) - 1
    waiting = open_suggestions(state)
    assert sorted(waiting.names) == ["cat", "dog"] and waiting.origin == "import"
    chance = dict(zip(waiting.names, waiting.probability.tolist(), strict=True))
    assert chance["cat"] == pytest.approx(0.9, abs=1e-3) and np.isnan(chance["dog"])
    library.history().accept(state, waiting, np.array([waiting.names.index("cat")]))
    library.history().accept(library.state(), open_suggestions(library.state()), looked_at=True)
    after = library.state()
    assert not len(open_suggestions(after))
    assert (after.source_counts["accepted guess"], after.source_counts["by you"]) == (1, 2)
    for _ in range(3):
        library.history().undo()
    assert not len(open_suggestions(library.state())), "undone, the import suggests nothing"


def paths(library):
    return load_images(library.workspace, library.dataset).paths


def test_labels_of_ones_own_stay_unless_they_are_to_be_replaced(library, tmp_path):
    own = np.flatnonzero([p in (b"05.png", b"06.png") for p in paths(library)])
    library.history().label(library.state(), own, "mine")
    library.history().lock(library.state(), own[1:])
    path = listed(library, tmp_path, [("05.png", "dog"), ("06.png", "dog"), ("07.png", "dog")])
    report = library.take(path, dry_run=True)
    assert (report.images, report.kept, report.locked) == (1, 1, 1)
    report = library.take(path, existing="replace")
    assert (report.images, report.kept, report.locked) == (2, 0, 1)
    assert [library.state().labels[at] for at in own] == ["dog", "mine"]
    with pytest.raises(InputError, match="Nothing of labels.csv changes a label"):
        library.take(path, existing="replace")


def test_what_lines_disagree_on_is_listed_and_left_alone(library, tmp_path):
    rows = [
        ("02.png", "dog"),
        ("copy.png", "cat"),
        ("1.png", "x"),
        ("05.png", "a" * 201),
        ("06.png", ""),
        ("07.png", "x"),
    ]
    report = library.take(listed(library, tmp_path, rows))
    assert report.images == 1
    assert [name for name, _ in report.contradictory] == ["02.png", "copy.png"], "the same bytes are one image"
    assert [name for name, _ in report.ambiguous] == ["1.png"]
    assert report.unusable[0][1] == "A label may have 200 characters; this one has 201."
    assert report.counts == {"unmatched": 0, "ambiguous": 1, "contradictory": 2, "unusable": 1}
    told = " ".join(report.sentences())
    assert "2 lines say different labels for the same image" in told
    assert "1 line fits several images, so none gets the label: 1.png." in told
    assert json.dumps(import_labels_summary(report))


def test_nothing_found_says_what_was_looked_for(library, tmp_path):
    path = listed(library, tmp_path, [("zebra.png", "x")])
    assert "No line names an image of this data set." in library.take(path, dry_run=True).sentences()
    with pytest.raises(InputError, match="changes a label") as refused:
        library.take(path)
    assert refused.value.hint == "No line names an image of this data set."


def test_an_import_survives_clustering_anew(worked_on, tmp_path):
    target = worked_on.write(tmp_path / "out", "csv")
    found = worked_on.lost()
    found.take(target)
    other = np.where(CLUSTERS < 0, -1, 3 - CLUSTERS).astype(np.int32)
    state = found.state("b", other)
    assert {cluster.id: cluster.name for cluster in state.clusters}[3] == "big cat"
    assert state.labels == found.state().labels
