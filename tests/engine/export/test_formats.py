"""Other tools' formats, read back as those tools read them."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.export.folders import write_plan
from engine.export.formats import find_format
from engine.export.settings import ExportSettings
from engine.images.datasets import find_dataset

LABEL = 'say "<cat>" & /=1, قط'


@pytest.fixture
def table(scene):
    scene.history.rename(scene.state(), 1, LABEL)
    scene.history.confirm(scene.state(), np.array([0]))
    return scene.table()


@pytest.fixture
def splits(table):
    return [("train", "val", "test")[at % 3] for at in range(len(table))]


def write(scene, table, name, target, splits=None):
    plan = find_format(name).writer(table, splits, ExportSettings(format=name))
    write_plan(plan, table, find_dataset(scene.workspace, scene.dataset).source(), target)
    return plan


def expected(table):
    return {table.contents[line]: label for line, label in enumerate(table.label) if label is not None}


@pytest.mark.parametrize("splitting", [False, True])
def test_torchvision_reads_the_class_folders(scene, table, splits, tmp_path, splitting):
    from torchvision.datasets import ImageFolder

    from engine.core.files import content_id

    write(scene, table, "yolo" if splitting else "folders", tmp_path / "out", splits if splitting else None)
    names = {label: safe for label, safe in zip(("cat", LABEL), ("cat", None), strict=True)}
    found = {}
    for root in [tmp_path / "out" / part for part in ("train", "val", "test")] if splitting else [tmp_path / "out"]:
        data = ImageFolder(str(root))
        for path, index in data.samples:
            with open(path, "rb") as file:
                found[content_id(file.read())] = "cat" if data.classes[index] == names["cat"] else LABEL
    assert {key: found[key.ljust(16, b"\0")] for key in expected(table)} == expected(table)


@pytest.mark.parametrize("splitting", [False, True])
def test_hugging_face_metadata_names_every_file(scene, table, splits, tmp_path, splitting):
    write(scene, table, "huggingface", tmp_path / "out", splits if splitting else None)
    found = {}
    for metadata in (tmp_path / "out" / "data").glob("*/metadata.jsonl"):
        assert metadata.parent.name in ("train", "validation", "test")
        for line in metadata.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            assert (metadata.parent / row["file_name"]).is_file()
            found[np.array([bytes.fromhex(row["content_id"])], "S16")[0]] = row["label"]
            assert row["label_source"] in ("by you", "cluster name")
            assert "confidence" not in row
    assert found == expected(table)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert "by the name of their cluster, not looked at" in card
    assert card.count("- split:") == (3 if splitting else 1)


def test_fiftyone_indexes_its_classes_by_file_stem(scene, table, tmp_path):
    plan = write(scene, table, "fiftyone", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "labels.json").read_text(encoding="utf-8"))
    assert found["classes"] == sorted({"cat", LABEL})
    stems = {path.stem for path in (tmp_path / "out" / "data").iterdir()}
    assert found["labels"].keys() == stems
    for line, place in plan.places.items():
        assert found["classes"][found["labels"][PurePosixPath(place).stem]] == table.label[line]


def test_coco_links_images_annotations_and_categories(scene, table, splits, tmp_path):
    write(scene, table, "coco", tmp_path / "out", splits)
    seen = []
    for part in ("train", "val", "test"):
        found = json.loads((tmp_path / "out" / "annotations" / f"{part}.json").read_text(encoding="utf-8"))
        names = {category["id"]: category["name"] for category in found["categories"]}
        images = {image["id"]: image for image in found["images"]}
        for annotation in found["annotations"]:
            line = annotation["image_id"] - 1
            assert names[annotation["category_id"]] == table.label[line]
            assert "score" not in annotation, "the method's confidence says nothing of the label"
            assert annotation["label_source"] == table.source[line]
            assert annotation["cluster_confidence"] == pytest.approx(float(table.cluster_confidence[line]), abs=1e-6)
            assert annotation["label_probability"] is None
            image = images[annotation["image_id"]]
            assert (image["width"], image["height"]) == (8, 6)
            assert (tmp_path / "out" / "images" / image["file_name"]).is_file()
            assert splits[line] == part
            seen.append(line)
    assert len(seen) == len(expected(table)) + 1, "the duplicate is a file of its own"


def test_label_studio_tasks_and_interface(scene, table, tmp_path):
    write(scene, table, "labelstudio", tmp_path / "out")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text(encoding="utf-8"))
    root = ElementTree.parse(tmp_path / "out" / "interface.xml").getroot()
    assert {choice.get("value") for choice in root.iter("Choice")} == {"cat", LABEL}
    for task in tasks:
        line = task["id"] - 1
        assert (tmp_path / "out" / unquote(task["data"]["image"].split("?d=", 1)[1])).is_file()
        sure = table.source[line] == "by you"
        assert task["data"]["label_source"] == table.source[line]
        assert ("annotations" in task, "predictions" in task) == (sure, not sure)
        (found,) = task["annotations" if sure else "predictions"]
        assert found["result"][0]["value"]["choices"] == [table.label[line]]
        assert "score" not in found, "none of these labels is a guess"
    assert any("annotations" in task for task in tasks)


def test_an_unknown_format_is_told():
    with pytest.raises(InputError, match="no export format 'tar'"):
        find_format("tar")
