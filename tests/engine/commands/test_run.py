"""`run`: one command from data to a run folder; its files are exactly what the README promises."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.engine.commands.conftest import blobs

METRICS = [
    "accuracy",
    "nmi",
    "ari",
    "random_accuracy",
    "silhouette",
    "balance",
    "composite",
    "n_clusters",
    "largest_share",
    "noise_share",
]


def table(folder):
    with (Path(folder) / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def results(folder):
    return json.loads((Path(folder) / "results.json").read_text())


def picture(kind, rng):
    """Return red broad stripes or blue fine checks, with noise."""
    pixels = np.full((40, 48, 3), (220, 30, 30) if kind else (20, 40, 200), np.uint8)
    if kind:
        pixels[:, (np.arange(48) // 12) % 2 == 0] //= 3
    else:
        pixels[::2, ::2] //= 3
    return Image.fromarray(pixels + rng.integers(0, 20, pixels.shape, dtype=np.uint8))


@pytest.fixture
def photos(tmp_path):
    """Two kinds of pictures under hostile names, an exact duplicate, a text file named .jpg and an empty file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    names = [
        b"=cmd|calc.png",
        b"new\nline.png",
        "smile \U0001f600.png".encode(),
        b"not utf8 \xff.png",
        b"a,b.png",
        b'q".png',
        b"plain1.png",
        b"plain2.png",
        b"plain3.png",
        b"-flag.png",
        b"+plus.png",
        b"@at.png",
    ]
    rng = np.random.default_rng(0)
    for at, name in enumerate(names):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            picture(at % 2, rng).save(file, "PNG")
    (folder / "sub").mkdir()
    (folder / "sub" / "copy.png").write_bytes((folder / "plain1.png").read_bytes())
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "empty.png").touch()
    return folder, names


def test_digits_end_with_the_run_folder_and_its_files(engine, tmp_path):
    ended = engine(
        "run",
        "--dataset",
        "digits",
        "--encoder",
        "descriptor",
        "--method",
        "kmeans",
        "--num-clusters",
        10,
        "--seed",
        0,
        "--results-dir",
        tmp_path / "out",
    )
    assert ended.status == 0
    folder = Path(ended.last)
    assert folder.parent == tmp_path / "out"
    assert ended.out == f"{folder}\n"  # stdout is the result; progress goes to stderr
    assert {"config.json", "results.json", "predictions.npz", "labels.csv"} <= {file.name for file in folder.iterdir()}
    found = results(folder)
    assert list(found["train"]) == METRICS
    assert found["test"] is None
    assert set(found["seconds"]) == {"scan", "embed", "cluster", "score", "judge"}
    assert found["train"]["n_clusters"] == 10
    assert found["train"]["accuracy"] > 0.8
    with np.load(folder / "predictions.npz") as arrays:
        assert {"ids", "assignments", "labels", "confidence"} <= set(arrays.files)
        assert len(set(arrays["ids"].tolist())) == len(arrays["assignments"]) == 1797
        assert set(arrays["labels"].tolist()) == set("0123456789")
        assert 0 <= arrays["confidence"].min() <= arrays["confidence"].max() <= 1
    rows = table(folder)
    assert len(rows) == 1797
    assert set(rows[0]) >= {"path", "content_id", "cluster", "label", "label_source", "cluster_confidence", "truth"}
    config = json.loads((folder / "config.json").read_text())
    assert (config["method"], config["settings"]["random_state"]) == ("kmeans", 0)


def test_a_folder_of_hostile_names_lists_every_readable_file_and_names_the_broken_ones(engine, photos, tmp_path):
    folder, names = photos
    ended = engine("run", "--folder", folder, "--num-clusters", 2, "--results-dir", tmp_path / "out")
    assert ended.status == 0, ended.err
    assert ended.out.count("\n") == 1
    assert "text.jpg" in ended.err
    assert "empty.png" in ended.err
    rows = table(ended.last)
    assert len(rows) == len(names) + 1  # every readable file, the duplicate included
    by_path = {row["path"]: row for row in rows}
    assert by_path["plain1.png"]["cluster"] == by_path["sub/copy.png"]["cluster"]
    assert by_path["plain1.png"]["content_id"] == by_path["sub/copy.png"]["content_id"]
    assert "'=cmd|calc.png" in by_path  # no spreadsheet runs it
    assert "new\nline.png" in by_path
    assert "not utf8 \\xff.png" in by_path
    with np.load(Path(ended.last) / "predictions.npz") as arrays:
        assert len(arrays["ids"]) == len(names)  # duplicates are one row
        assert "labels" not in arrays.files
    train = results(ended.last)["train"]
    assert train["accuracy"] is train["nmi"] is train["ari"] is train["random_accuracy"] is None
    assert train["silhouette"] > 0


def test_the_last_line_is_the_very_path_in_any_locale(workspace, vectors, tmp_path):
    out = os.fsencode(tmp_path) + b"/results \xff \xf0\x9f\x98\x80"
    done = subprocess.run(
        [sys.executable, "-m", "engine", "run", "--vectors", vectors, "--results-dir", out],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert os.path.dirname(done.stdout.rstrip(b"\n")) == out
    assert os.path.isfile(done.stdout.rstrip(b"\n") + b"/results.json")


def test_class_folders_are_truth_only_when_the_person_says_so(engine, tmp_path, rng):
    for kind, name in enumerate(("blue", "red")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for at in range(4):
            picture(kind, rng).save(tmp_path / "photos" / name / f"{at}.png")
    words = ("run", "--folder", tmp_path / "photos", "--results-dir", tmp_path / "out")
    assert results(engine(*words, "--num-clusters", 2).last)["train"]["accuracy"] is None
    found = engine(*words, "--truth-from-folders")
    assert results(found.last)["train"]["accuracy"] == 1.0
    assert results(found.last)["train"]["n_clusters"] == 2  # as many as there are classes


def test_vectors_with_labels_need_no_number_of_clusters(engine, vectors, tmp_path):
    ended = engine("run", "--vectors", vectors, "--method", "kmeans", "--results-dir", tmp_path)
    assert ended.status == 0, ended.err
    found = results(ended.last)["train"]
    assert (found["n_clusters"], found["accuracy"]) == (4, 1.0)
    assert found["largest_share"] == 0.25
    rows = table(ended.last)
    assert [row["path"] for row in rows] == [f"item {at:03d}" for at in range(120)]
    with np.load(Path(ended.last) / "predictions.npz") as arrays:
        assert arrays["ids"].tolist() == [f"item {at:03d}" for at in range(120)]  # those of the file
        assert arrays["labels"].tolist() == [f"c{at % 4}" for at in range(120)]
        assert [int(row["cluster"]) for row in rows] == arrays["assignments"].tolist()


def test_predictions_of_vectors_stand_in_the_order_of_their_file(engine, tmp_path):
    rows, truth = blobs()
    ids = [str(at) for at in range(len(rows))]  # "10" sorts before "2"
    np.savez(tmp_path / "v.npz", vectors=rows, ids=ids, labels=truth)
    ended = engine("run", "--vectors", tmp_path / "v.npz", "--save-features", "--results-dir", tmp_path / "out")
    with np.load(Path(ended.last) / "predictions.npz") as arrays:
        assert arrays["ids"].tolist() == ids
        assert arrays["labels"].tolist() == [str(label) for label in truth]
    assert [row["path"] for row in table(ended.last)] == ids
    with np.load(Path(ended.last) / "features" / "train_features.npz") as arrays:
        assert arrays["ids"].tolist() == ids


def test_an_npy_table_alone_is_enough(engine, tmp_path):
    np.save(tmp_path / "table.npy", blobs()[0])
    ended = engine("run", "--vectors", tmp_path / "table.npy", "--num-clusters", 4, "--results-dir", tmp_path / "out")
    assert ended.status == 0, ended.err
    assert results(ended.last)["train"]["accuracy"] is None


def test_a_number_of_clusters_that_nobody_gave_is_told(engine, tmp_path):
    np.save(tmp_path / "table.npy", blobs()[0])
    words = ("run", "--vectors", tmp_path / "table.npy", "--results-dir", tmp_path / "out")
    assert "No number of clusters was given and no truth tells it: 10 are made." in engine(*words).err
    assert "No number of clusters" not in engine(*words, "--num-clusters", 10).err


def test_the_same_seed_gives_the_same_run_and_the_second_embeds_nothing(engine, photos, tmp_path):
    words = ("run", "--folder", photos[0], "--num-clusters", 3, "--seed", 5, "--results-dir", tmp_path / "out")
    first, second = engine(*words), engine(*words)
    assert first.last != second.last  # a run is never overwritten
    assert table(first.last) == table(second.last)
    assert "embedding" in first.err
    assert "embedding" not in second.err


def test_a_test_fraction_is_stratified_and_kept_apart(engine, vectors, tmp_path):
    ended = engine("run", "--vectors", vectors, "--test-fraction", 0.2, "--results-dir", tmp_path / "out")
    assert ended.status == 0, ended.err
    found = results(ended.last)
    assert list(found["test"]) == list(found["train"]) == METRICS
    with np.load(Path(ended.last) / "predictions.npz") as arrays:
        held = arrays["split"] == "test"
        assert {
            name: int((arrays["labels"][held] == name).sum()) for name in ("c0", "c1", "c2", "c3")
        } == dict.fromkeys(("c0", "c1", "c2", "c3"), 6)
        assert (arrays["assignments"][held] >= 0).all()
        assert arrays["confidence"][held].max() < 1  # measured, not assumed
    again = engine("run", "--vectors", vectors, "--test-fraction", 0.2, "--results-dir", tmp_path / "out")
    with np.load(Path(again.last) / "predictions.npz") as arrays:
        assert (held == (arrays["split"] == "test")).all()
    exported = engine("export", ended.last)
    for folder_of_labels in (Path(ended.last) / "labels.csv", Path(exported.last)):
        with folder_of_labels.open(encoding="utf-8") as file:
            assert [row["split"] == "test" for row in csv.DictReader(file)] == held.tolist()
    analysed = engine("analyze", ended.last)
    assert analysed.status == 0, analysed.err
    analysis = json.loads((Path(ended.last) / "analysis.json").read_text())
    assert analysis["test"]["accuracy"] == found["test"]["accuracy"]
    assert analysis["test"]["silhouette"] == pytest.approx(found["test"]["silhouette"])


def test_saved_features_are_vectors_again(engine, vectors, tmp_path):
    first = engine("run", "--vectors", vectors, "--save-features", "--results-dir", tmp_path / "out")
    features = Path(first.last) / "features" / "train_features.npz"
    again = engine("run", "--load-features", features, "--results-dir", tmp_path / "again")
    assert again.status == 0, again.err
    assert results(again.last)["train"]["accuracy"] == results(first.last)["train"]["accuracy"]


def test_pseudo_labels_and_figures_on_request(engine, vectors, tmp_path):
    ended = engine(
        "run",
        "--vectors",
        vectors,
        "--generate-pseudo-labels",
        "--k-samples",
        5,
        "--plot",
        "--viz-method",
        "pca",
        "--experiment-name",
        "First try",
        "--results-dir",
        tmp_path / "out",
    )
    assert ended.status == 0, ended.err
    folder = Path(ended.last)
    assert (folder / "pseudo_labels" / "pseudo_labels_k5.json").exists()
    assert Image.open(folder / "figures" / "map_pca.png").size[0] > 600
    assert (folder / "figures" / "sizes.html").stat().st_size > 1000
    assert json.loads((folder / "config.json").read_text())["title"] == "First try"


def test_turtle_reads_several_embeddings_at_once_and_labels_the_test_part_by_all(engine, refused, tmp_path):
    rng = np.random.default_rng(0)
    for at in range(40):
        path = tmp_path / "photos" / f"{at:02d}.png"
        path.parent.mkdir(exist_ok=True)
        picture(at % 2, rng).save(path, "PNG")
    data = ("--folder", tmp_path / "photos", "--encoder", "descriptor")
    assert engine("embed", *data, "--preprocess-mode", "center_crop").status == 0
    words = ("run", *data, "--method", "turtle", "--num-clusters", 2, "--num-epochs", 100, "--test-fraction", 0.25)
    said = refused(*words, "--also-embedding", "nothing")
    _, key = re.findall(r"([0-9a-f]{8}) \(descriptor\)", said)  # the newest first
    assert "no encoder" in said
    ended = engine(*words, "--also-embedding", "descriptor", "--results-dir", tmp_path / "one")
    assert ended.status == 2 and "twice" in ended.err
    ended = engine(*words, "--also-embedding", key, "--results-dir", tmp_path / "two")
    assert ended.status == 0, ended.err
    assert "40 of 40 images have all 2 embeddings." in results(ended.last)["notes"]
    assert json.loads((Path(ended.last) / "config.json").read_text())["also"][0].startswith(key)
    rows = table(ended.last)
    with np.load(Path(ended.last) / "predictions.npz") as kept:
        assert set(kept["split"].tolist()) == {"train", "test"} and set(kept["assignments"].tolist()) == {0, 1}
    again = engine("run", "--resume-from", ended.last)
    assert again.status == 0 and table(again.last) == rows
    assert "several" in refused("run", *data, "--method", "temi", "--also-embedding", key)
