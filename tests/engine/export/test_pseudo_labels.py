"""The files of pseudo-labelling: names, columns and what they say."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageColor

from engine.core.csv import read_csv
from engine.core.errors import InputError
from engine.core.ids import to_hex
from engine.export.mapping_picture import GREEN, GREY, RED
from engine.export.pseudo_labels import read_pseudo_labels, write_pseudo_labels
from engine.labels.pseudo_labels import PseudoLabelSettings

from ..labels.conftest import make_contents

SAMPLES = [
    "sample_idx",
    "cluster_id",
    "pseudo_label",
    "true_label",
    "confidence_score",
    "pseudo_label_name",
    "true_label_name",
    "is_correct",
    "image_path",
    "content_hash",
]
MAPPING = ["cluster_id", "pseudo_label", "cluster_size", "cluster_accuracy", "confidence", "pseudo_label_name"]


@pytest.fixture
def run(rng):
    """Three blobs and one empty cluster, 60 images, the last 15 for testing, some noise."""
    truth = np.arange(60) % 3
    names = np.array(["=cat", 'dog, "big"', "new\nline"])
    centers = np.eye(4, 8, dtype=np.float32)
    assignments = truth.copy()
    assignments[[0, 50]] = -1
    assignments[1] = 2
    return {
        "embeddings": centers[assignments] + 0.1 * rng.normal(size=(60, 8)).astype(np.float32),
        "assignments": assignments,
        "centers": centers,
        "contents": make_contents(60),
        "paths": [b"\xff%d.jpg" % at for at in range(60)],
        "split": ["train"] * 45 + ["test"] * 15,
        "truth": [str(name) for name in names[truth]],
    }


def picture(row):
    data = io.BytesIO()
    Image.new("RGB", (30, 20), (row * 4, 90, 200)).save(data, "PNG")
    return data.getvalue()


def test_the_files_and_their_columns(run, tmp_path):
    written = write_pseudo_labels(tmp_path, **run, picture=picture)
    assert {path.name for path in (tmp_path / "pseudo_labels").iterdir()} == {
        "pseudo_labels_k10.json",
        "train_pseudo_labels_k10.csv",
        "test_pseudo_labels_k10.csv",
        "cluster_mapping_k10.csv",
        "cluster_mapping_k10.png",
    }
    assert sorted(written.files) == sorted((tmp_path / "pseudo_labels").iterdir())
    for split, rows in (("train", range(45)), ("test", range(45, 60))):
        path = tmp_path / "pseudo_labels" / f"{split}_pseudo_labels_k10.csv"
        with path.open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == SAMPLES
        columns = read_csv(path)
        assert columns["sample_idx"] == [str(at) for at in range(len(rows))]
        assert columns["cluster_id"] == [str(run["assignments"][row]) for row in rows]
        assert columns["true_label_name"] == [run["truth"][row] for row in rows]
        assert columns["content_hash"] == to_hex(run["contents"][list(rows)])
        for at, row in enumerate(rows):
            noise = run["assignments"][row] < 0
            assert columns["is_correct"][at] == ("" if noise else str(int(row != 1)))
            assert (columns["pseudo_label"][at] == "") == noise
            assert float(columns["confidence_score"][at]) <= 1
    assert written.splits["test"].accuracy == 1
    assert written.splits["train"].accuracy == pytest.approx(43 / 44)


def test_the_mapping_lists_empty_clusters_too(run, tmp_path):
    write_pseudo_labels(tmp_path, **run, settings=PseudoLabelSettings(k_samples=5))
    columns = read_csv(tmp_path / "pseudo_labels" / "cluster_mapping_k5.csv")
    assert list(columns) == MAPPING
    assert columns["cluster_id"] == ["0", "1", "2", "3"]
    assert columns["cluster_size"] == ["14", "14", "16", "0"]
    assert columns["pseudo_label_name"] == ["=cat", 'dog, "big"', "new\nline", ""]
    assert columns["cluster_accuracy"] == ["1.0", "1.0", "0.9375", ""]
    assert columns["confidence"][3] == columns["pseudo_label"][3] == ""
    assert not (tmp_path / "pseudo_labels" / "cluster_mapping_k5.png").exists(), "no pictures were given"


def test_the_json_names_everything_and_is_read_back(run, tmp_path):
    write_pseudo_labels(tmp_path, **run)
    found = read_pseudo_labels(tmp_path / "pseudo_labels" / "pseudo_labels_k10.json")
    assert found["labels_from"] == "truth"
    assert found["empty_clusters"] == [3]
    assert found["cluster_to_name"] == {"0": "=cat", "1": 'dog, "big"', "2": "new\nline", "3": None}
    assert [found["label_names"][found["cluster_to_label"][str(at)]] for at in range(3)] == run_names(found)
    voters = found["clusters"][0]["voters"]
    assert len(voters) == 10
    assert set(voters) <= set(to_hex(run["contents"][:45]))


def run_names(found):
    return [row["pseudo_label_name"] for row in found["clusters"][:3]]


def test_without_truth_the_truth_columns_are_empty_and_a_person_votes(run, tmp_path):
    given = [None] * 60
    given[3], given[4] = "owl", "fox"
    run |= {"truth": [], "given": given}
    written = write_pseudo_labels(tmp_path, **run, settings=PseudoLabelSettings(k_samples=50))
    columns = read_csv(tmp_path / "pseudo_labels" / "train_pseudo_labels_k50.csv")
    for name in ("true_label", "true_label_name", "is_correct"):
        assert set(columns[name]) == {""}
    assert columns["pseudo_label_name"][3] == "owl"
    assert columns["pseudo_label_name"][5] == "", "the third cluster has no label"
    assert written.result.unlabelled_clusters == [2]
    assert written.splits["train"].accuracy is None
    found = read_pseudo_labels(tmp_path / "pseudo_labels" / "pseudo_labels_k50.json")
    assert found["labels_from"] == "person"
    assert found["unlabelled_clusters"] == [2]
    assert found["accuracy"] == {"train": None, "test": None}


def test_a_persons_labels_vote_and_the_truth_judges(run, tmp_path):
    given = [name if row % 2 else None for row, name in enumerate(run["truth"])]
    written = write_pseudo_labels(tmp_path, **run, given=given)
    assert written.splits["test"].accuracy == 1
    assert (written.result.known_voters[:3] < 10).all()


def test_titles_are_green_where_right_red_where_wrong_grey_where_unknown(run, tmp_path):
    run["truth"][2] = None
    truth = list(run["truth"])
    write_pseudo_labels(
        tmp_path,
        **run,
        picture=lambda row: None if row == 5 else b"broken" if row == 8 else picture(row),
        settings=PseudoLabelSettings(k_samples=16, samples_per_cluster=16, max_clusters_viz=2),
    )
    with Image.open(tmp_path / "pseudo_labels" / "cluster_mapping_k16.png") as image:
        colours = {colour: count for count, colour in image.convert("RGB").getcolors(1 << 20)}
        assert image.height == 2 * (96 + 18 + 8) + 8
    assert truth[1] == 'dog, "big"', "image 1 lies in the cluster of new lines"
    assert all(colours.get(ImageColor.getrgb(colour), 0) > 100 for colour in (GREEN, RED, GREY))
    assert colours[ImageColor.getrgb(GREEN)] > colours[ImageColor.getrgb(RED)]


@pytest.mark.parametrize(
    "edit",
    [
        lambda found: found.pop("clusters"),
        lambda found: found.pop("label_names"),
        lambda found: found["clusters"][0].update(pseudo_label=99),
        lambda found: found["clusters"][0].update(pseudo_label="cat"),
        lambda found: found["clusters"][0].update(pseudo_label_name="other"),
        lambda found: found["clusters"][3].update(pseudo_label_name="other"),
        lambda found: found["clusters"][0].pop("cluster_size"),
        lambda found: found["clusters"].append("x"),
        lambda found: found.update(format=2),
    ],
)
def test_an_edited_file_is_refused_with_a_sentence(run, tmp_path, edit):
    write_pseudo_labels(tmp_path, **run)
    path = tmp_path / "pseudo_labels" / "pseudo_labels_k10.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    edit(found)
    path.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(InputError):
        read_pseudo_labels(path)


def test_no_label_at_all_and_wrong_lengths_are_refused(run, tmp_path):
    with pytest.raises(InputError, match="No image has a label"):
        write_pseudo_labels(tmp_path, **run | {"truth": [None] * 60})
    with pytest.raises(InputError, match="differ in number"):
        write_pseudo_labels(tmp_path, **run | {"split": ["train"]})
    assert not list(tmp_path.iterdir())
