"""What people met in exports of similar tools: rare classes, clusters without names, labels that other programs trip
over. The input stands here; what went in must be found again in what was written.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.core.csv import path_bytes, read_csv
from engine.export.export import export, prepare
from engine.export.folders import LABELS, README
from engine.export.formats import FORMATS
from engine.export.layout import CLASSES
from engine.export.settings import ExportSettings
from engine.images.datasets import add_folder, find_dataset
from engine.images.scan import scan
from engine.images.tables import load_images
from engine.labels.events import LabelHistory
from engine.labels.table import label_table

from .conftest import png

LABELS_THAT_TRIP = [
    *("007", "10", "2", "cats/dogs", "猫", "قطة", "Cat", "cat", "trailing ", "a, b", 'say "hi"', "=SUM(A1)", "=1+1"),
    *("NaN", "None", "NA", "null", "1e5", "true", "caf\u00e9", "cafe\u0301", "con", "CON", "Con", "..", "\U0001f431"),
    *("v1.0", "v1.1", "labels", "labels.csv", "classes.csv", "README.txt", "_unlabelled", "a\\b", "'quoted"),
    *("dot.", "dot", "ends in space .", "-dash", "nul.txt", "א" * 200),
]
FOLDERS = [pytest.param(entry, id=name) for name, entry in FORMATS.items() if not entry.is_table]


class Pictures:
    """A scanned folder with one image a label, three times over, in one cluster each."""

    def __init__(self, workspace, folder: Path, labels: list[str | None], clusters: list[int]) -> None:
        folder.mkdir()
        for at in range(len(labels)):
            (folder / f"{at:03}.png").write_bytes(png((at % 256, at // 256, 7)))
        self.dataset = add_folder(workspace, folder)
        scan(workspace, self.dataset.id)
        self.contents = load_images(workspace, self.dataset.id).contents
        self.clusters = np.array(clusters, np.int32)
        self.history = LabelHistory(workspace, self.dataset.id)
        if any(labels):
            state = self.history.state(self.contents, self.clusters)
            rows = np.array([at for at, label in enumerate(labels) if label is not None])
            self.history.label(state, rows, [label for label in labels if label is not None])
        self.workspace = workspace

    def table(self):
        state = self.history.state(self.contents, self.clusters)
        return label_table(self.workspace, self.dataset.id, self.contents, self.clusters, state=state)

    def write(self, target: Path, **settings):
        prepared = prepare(self.table(), ExportSettings(**settings))
        return export(prepared, target, source=find_dataset(self.workspace, self.dataset.id).source())


@pytest.fixture
def rare(workspace, tmp_path):
    names = ["ant"] * 3 + ["bee"] * 8 + ["cat"] * 60 + ["dog"] * 60 + ["eel"] * 60 + ["fox"] * 2
    return Pictures(workspace, tmp_path / "photos", names, [0] * len(names))


def class_folders(target: Path) -> dict[str, set[str]]:
    return {part.name: {inner.name for inner in part.iterdir()} for part in target.iterdir() if part.is_dir()}


@pytest.mark.parametrize("name", ["yolo", "folders"])
def test_each_part_has_each_class_that_can_be_in_each(rare, tmp_path, name):
    report = rare.write(tmp_path / "out", format=name, split=True)
    found = class_folders(tmp_path / "out")
    common = {"ant", "bee", "cat", "dog", "eel"}
    assert found == {"train": common | {"fox"}, "val": common, "test": common}
    (note,) = report.notes
    assert "'fox' (val and test)" in note
    classes = read_csv(tmp_path / "out" / CLASSES)
    assert classes["label"] == classes["folder"] == sorted(common | {"fox"})
    assert [int(count) for count in classes["train"]][-1] == 2 and classes["val"][-1] == "0"
    assert "'fox'" in " ".join((tmp_path / "out" / README).read_text(encoding="utf-8").split())


def test_near_duplicates_of_a_rare_class_stay_together_and_are_told(rare):
    table = rare.table()
    groups = np.arange(len(table))
    groups[[0, 1]] = 0  # two of the three ants look alike, so there are two groups for three parts
    groups[[3, 4, 5]] = 3  # the bees have six groups left
    prepared = prepare(table, ExportSettings(format="yolo", split=True), groups=groups)
    where = {
        name: {part for part, own in zip(prepared.table.split, table.label, strict=True) if own == name}
        for name in ("ant", "bee", "fox")
    }
    assert where == {"ant": {"train"}, "bee": {"train", "val", "test"}, "fox": {"train"}}
    assert "'ant' (val and test), 'fox' (val and test)" in prepared.notes[0]


@pytest.mark.parametrize("entry", FOLDERS)
def test_clusters_without_names_are_the_classes_and_no_label_is_invented(workspace, tmp_path, entry):
    pictures = Pictures(workspace, tmp_path / "photos", [None] * 9, [0, 0, 0, 0, 0, 1, 1, 1, -1])
    split = {"split": True} if entry.needs_split else {}
    report = pictures.write(tmp_path / "out", format=entry.name, **split)
    assert report.written == 8, "noise is in no cluster"
    assert report.notes[0].startswith("No image has a label yet, so each cluster is a class")
    assert read_csv(tmp_path / "out" / CLASSES)["label"] == ["cluster 0", "cluster 1"]
    labels = read_csv(tmp_path / "out" / LABELS)
    assert set(labels["label"]) == {""} and set(labels["label_source"]) == {"none"}
    assert labels["cluster"] == ["0"] * 5 + ["1"] * 3
    if entry.kind == "folder":
        assert {Path(place).parent.name for place in labels["file"]} == {"cluster 0", "cluster 1"}


def test_clusters_stand_in_where_some_images_have_no_label_if_asked_for(workspace, tmp_path):
    pictures = Pictures(workspace, tmp_path / "photos", ["cluster 1", None, None], [0, 0, 1])
    pictures.write(tmp_path / "some", format="folders")
    assert read_csv(tmp_path / "some" / CLASSES)["label"] == ["cluster 1"]
    pictures.write(tmp_path / "all", format="folders", classes="cluster")
    assert read_csv(tmp_path / "all" / CLASSES)["label"] == ["cluster 0", "cluster 1", "cluster 1 (no label)"]
    assert not prepare(pictures.table(), ExportSettings(format="folders", classes="cluster")).notes


@pytest.fixture
def tripping(workspace, tmp_path):
    return Pictures(workspace, tmp_path / "photos", LABELS_THAT_TRIP * 3, [0] * 3 * len(LABELS_THAT_TRIP))


@pytest.mark.parametrize("entry", FOLDERS)
def test_every_label_comes_back_from_the_list_beside_the_images(tripping, tmp_path, entry):
    split = {"split": True} if entry.needs_split else {}
    tripping.write(tmp_path / "out", format=entry.name, **split)
    table, told = tripping.table(), read_csv(tmp_path / "out" / LABELS)
    given = dict(zip(table.paths, table.label, strict=True))
    assert {path_bytes(path): label for path, label in zip(told["path"], told["label"], strict=True)} == given
    assert sorted(read_csv(tmp_path / "out" / CLASSES)["label"]) == sorted(set(table.label))
    assert (tmp_path / "out" / README).read_text(encoding="utf-8").count("keep_default_na=False") == 1
    places = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")]
    assert len({place.casefold() for place in places}) == len(places), "no two differ by their case alone"
    for place in places:
        for part in place.split("/"):
            assert part == part.strip().rstrip(".") and len(part.encode()) <= 130
            assert part.split(".")[0].casefold() not in ("con", "nul", "prn", "aux")


def test_the_list_of_classes_says_which_folder_is_which_label(tripping, tmp_path):
    tripping.write(tmp_path / "out", format="folders")
    told = read_csv(tmp_path / "out" / CLASSES)
    folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert told["folder"] == folders
    assert told["number"] == [str(at) for at in range(len(told["label"]))]
    folder = dict(zip(told["label"], told["folder"], strict=True))
    assert folder["v1.0"] == "v1.0" and folder["v1.1"] == "v1.1", "a dot in a folder's name begins no suffix"
    labels = read_csv(tmp_path / "out" / LABELS)
    for place, label in zip(labels["file"], labels["label"], strict=True):
        assert Path(place).parent.name == folder[label]


def test_pandas_reads_every_label_as_the_read_me_says(tripping, tmp_path):
    pandas = pytest.importorskip("pandas")
    tripping.write(tmp_path / "labels.csv", format="csv")
    found = pandas.read_csv(tmp_path / "labels.csv", dtype=str, keep_default_na=False)
    plain = [label for label in tripping.table().label if not label.startswith(("=", "-", "'", "+", "@"))]
    assert set(plain) <= set(found["label"])


def test_a_table_for_excel_begins_with_its_mark_and_is_read_back(tripping, tmp_path):
    tripping.write(tmp_path / "plain.csv", format="csv")
    tripping.write(tmp_path / "excel.csv", format="csv", bom=True)
    marked = (tmp_path / "excel.csv").read_bytes()
    assert marked == b"\xef\xbb\xbf" + (tmp_path / "plain.csv").read_bytes()
    assert read_csv(tmp_path / "excel.csv") == read_csv(tmp_path / "plain.csv")


def test_coco_has_what_its_readers_ask_of_every_annotation(tripping, tmp_path):
    tripping.write(tmp_path / "out", format="coco")
    found = json.loads((tmp_path / "out" / "annotations" / "all.json").read_text(encoding="utf-8"))
    for annotation in found["annotations"]:
        assert (annotation["area"], annotation["iscrowd"], annotation["bbox"]) == (48, 0, [0, 0, 8, 6])
    names = {category["id"]: category["name"] for category in found["categories"]}
    told = read_csv(tmp_path / "out" / CLASSES)
    assert {int(at): label for at, label in zip(told["number"], told["label"], strict=True)} == names


def test_the_card_types_the_columns_so_that_the_label_is_a_class(tripping, tmp_path):
    yaml = pytest.importorskip("yaml")
    tripping.write(tmp_path / "out", format="huggingface", split=True)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    (config,) = yaml.safe_load(card)["configs"]
    columns = {column["name"]: column["dtype"] for column in config["features"]}
    names = columns["label"]["class_label"]["names"]
    assert [names[str(at)] for at in range(len(names))] == read_csv(tmp_path / "out" / CLASSES)["label"]
    for part in config["data_files"]:
        folder = tmp_path / "out" / part["path"].removesuffix("/**")
        rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
        assert {"image", *rows[0]} - {"file_name"} == columns.keys()
