"""The steps one by one, search, sweep and export: each prints its result last and leaves the promised files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.commands.console import ConsoleProgress
from engine.commands.parser import peek
from engine.commands.registry import COMMANDS
from tests.engine.commands.conftest import blobs


@pytest.fixture
def finished(engine, vectors, tmp_path):
    """The folder of a finished run on labelled vectors."""
    ended = engine("run", "--vectors", vectors, "--results-dir", tmp_path / "runs")
    assert ended.status == 0, ended.err
    return Path(ended.last)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(engine, capsys, name):
    with pytest.raises(SystemExit) as ended:
        engine(name, "--help")
    assert ended.value.code == 0
    assert f"python -m engine {name}" in capsys.readouterr().out


def test_the_value_of_a_flag_is_seen_before_the_parser_is_complete():
    assert peek(["--a", "1", "--method=temi", "x"], "--method") == "temi"
    assert peek(["--a", "1"], "--method") is None
    assert peek(["--method"], "--method") is None  # the complete parser tells that the value is missing


def test_preprocessing_makes_a_configuration_of_its_own_and_force_the_same_one_anew(engine, workspace, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.linear_gradient("L").resize((60, 20)).save(tmp_path / "photos" / "a.png")
    words = ("embed", "--folder", tmp_path / "photos")
    first, cropped = engine(*words), engine(*words, "--preprocess-mode", "center_crop")
    assert first.last != cropped.last
    kept = json.loads((Path(cropped.last) / "config.json").read_text())
    assert kept["preprocess"] == {"mode": "center_crop", "fill": "#7c7468"}
    made = json.loads((Path(first.last) / "config.json").read_text())["made"]
    again = engine(*words, "--force")
    assert again.last == first.last
    assert json.loads((Path(first.last) / "config.json").read_text())["made"] > made


def test_a_log_is_not_flooded_while_the_number_of_images_is_unknown(capsys):
    progress = ConsoleProgress()
    for count in range(1000, 50_000, 1000):
        progress.update(count, 0, phase="Looking for images", unit="images")
    assert capsys.readouterr().err.split() == ["Looking", "for", "images", "1,000", "images"]


def test_scan_tells_counts_and_prints_the_data_set(engine, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 20), (9, 9, 9)).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG nothing")
    ended = engine("scan", "--folder", tmp_path / "photos")
    assert ended.status == 0
    assert ended.last.startswith("photos-")
    assert "3 files, 2 readable, 1 of them distinct, 1 broken" in ended.err


def test_embed_then_project_embed_once(engine, vectors, tmp_path, workspace):
    embedded = engine("embed", "--vectors", vectors)
    assert Path(embedded.last).parent == workspace.cache / "embeddings"
    assert "120 images, 16 numbers each" in embedded.err
    mapped = engine("project", "--vectors", vectors, "--kind", "pca", "--output", tmp_path / "xy.csv")
    assert mapped.status == 0, mapped.err
    with (tmp_path / "xy.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    assert rows[3]["path"] == "item 003"
    assert np.isfinite([[float(row["x"]), float(row["y"])] for row in rows]).all()


def test_cluster_is_run(engine, vectors, tmp_path):
    ended = engine("cluster", "--vectors", vectors, "--results-dir", tmp_path / "out")
    assert (Path(ended.last) / "results.json").exists()


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_export_writes_one_line_per_file(engine, finished, tmp_path, kind):
    ended = engine("export", finished, "--format", kind, "--output", tmp_path / f"labels.{kind}")
    assert (ended.status, ended.last) == (0, str(tmp_path / f"labels.{kind}")), ended.err
    if kind == "parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(ended.last).to_pylist()
    elif kind == "json":
        rows = json.loads(Path(ended.last).read_text())["images"]
    else:
        with Path(ended.last).open() as file:
            rows = list(csv.DictReader(file))
    with np.load(finished / "predictions.npz") as arrays:
        assert [int(row["cluster"]) for row in rows] == arrays["assignments"].tolist()
        assert [row["path"] for row in rows] == arrays["ids"].tolist()
        assert [row["content_id"] for row in rows] == arrays["contents"].tolist()


def test_export_of_a_named_cluster_makes_class_folders(engine, tmp_path, workspace):
    from engine.labels.events import LabelHistory
    from engine.runs.run import open_run

    (tmp_path / "photos").mkdir()
    for at in range(4):
        Image.new("RGB", (20, 20), (40 * at, 9, 9)).save(tmp_path / "photos" / f"{at}.png")
    run = open_run(Path(engine("run", "--folder", tmp_path / "photos", "--num-clusters", 1).last))
    history = LabelHistory(workspace, run.dataset)
    state = history.state(run.contents, run.assignments, run=run.folder.name)
    history.rename(state, int(run.assignments[0]), "red things")
    ended = engine("export", run.folder, "--format", "folders", "--output", tmp_path / "labelled")
    assert ended.status == 0, ended.err
    assert sorted(file.name for file in (tmp_path / "labelled" / "red things").iterdir()) == [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
    ]
    assert len(list((tmp_path / "photos").iterdir())) == 4  # originals stay


def test_export_refuses_what_cannot_be(refused, finished, tmp_path):
    (tmp_path / "photos").mkdir()
    assert "no images" in refused("export", finished, "--format", "folders", "--output", tmp_path / "out")
    assert "--format" in refused("export", finished, "--format", "xml")
    assert "folder" in refused("export", finished, "--output", tmp_path / "photos")


def test_search_writes_the_best_and_goes_on_where_it_was(engine, vectors, tmp_path):
    words = ("search", "--method", "kmeans", "--vectors", vectors, "--search-seed", 1, "--results-dir", tmp_path / "s")
    ended = engine(*words, "--search-trials", 2)
    assert (ended.status, ended.last) == (0, str(tmp_path / "s" / "best_hyperparameters.json")), ended.err
    best = json.loads(Path(ended.last).read_text())
    assert (best["method"], best["metric"]) == ("kmeans", "accuracy")
    assert set(best["best_params"]) <= set(best["settings"])
    assert list((tmp_path / "s" / "hyperparam_search").glob("kmeans_search_final_*.json"))
    again = engine(*words, "--search-trials", 3)
    assert "Resumed a search of 2 finished trials" in again.err
    assert json.loads(Path(again.last).read_text())["best_score"] >= best["best_score"]


def test_search_tries_the_space_that_is_given_and_keeps_the_rest_fixed(engine, refused, vectors, tmp_path):
    words = (
        "search",
        "--vectors",
        vectors,
        "--results-dir",
        tmp_path / "s",
        "--max-iter",
        9,
        "--search-method",
        "grid",
    )
    ended = engine(*words, "--search-trials", 3, "--search-space", "n-clusters=2..5", "n_init=1,2")
    assert ended.status == 0, ended.err
    assert "The grid has 8 combinations; 3 of them, drawn at random, are tried and 5 are left out." in ended.err
    kept = json.loads((tmp_path / "s" / "trials.json").read_text())
    assert kept["combinations"] == 8 and set(kept["best_params"]) == {"n_clusters", "n_init"}
    assert kept["best_settings"]["max_iter"] == 9
    study = json.loads((tmp_path / "s" / "hyperparam_search" / "optuna_study.json").read_text())
    assert len(study["trials"]) == 3
    assert "SETTING=VALUES" in refused(*words, "--search-space", "n_clusters")
    assert "'x' is not a whole number" in refused(*words, "--search-space", "n_clusters=x")


def test_search_gives_hadis_the_images(engine, tmp_path, monkeypatch):
    from engine.clustering.deep.hadis.estimator import HaDis
    from tests.seed import coloured_pictures

    given, whole = [], HaDis.fit

    def fit(self, images, *rest, **options):
        given.append(images.shape)
        return whole(self, images, *rest, **options)

    monkeypatch.setattr(HaDis, "fit", fit)
    small = "--backbone resnet_small --projector-width 16 --image-size 8 --batch-size 30 --num-clusters 3 --device cpu"
    words = ("search", "--method", "hadis", "--folder", coloured_pictures(tmp_path / "pictures"), *small.split())
    ended = engine(*words, "--search-trials", 2, "--search-epochs", 1, "--results-dir", tmp_path / "s")
    assert ended.status == 0, ended.err
    assert given == [(30, 8, 8, 3)] * 2
    kept = json.loads((tmp_path / "s" / "trials.json").read_text())
    assert [trial["state"] for trial in kept["trials"]] == ["complete"] * 2 and kept["metric"] == "silhouette"


def test_search_without_truth_takes_the_silhouette_and_refuses_accuracy(engine, refused, tmp_path):
    np.save(tmp_path / "v.npy", blobs(60)[0])
    words = ("search", "--vectors", tmp_path / "v.npy", "--search-trials", 1, "--results-dir", tmp_path / "s")
    assert json.loads(Path(engine(*words).last).read_text())["metric"] == "silhouette"
    assert "labels" in refused(*words[:-1], tmp_path / "other", "--search-metric", "accuracy")
    assert "at least one" in refused(*words, "--search-trials", 0)


SMALL = (
    "--algorithms",
    "kmeans",
    "--max-combinations",
    2,
    "--target-cluster-size",
    20,
    "--no-stability",
    "--n-jobs",
    1,
)


@pytest.fixture
def exported(tmp_path):
    """embeddings.npy and image_paths.json as other tools write them."""
    rows, _ = blobs(80)
    np.save(tmp_path / "embeddings.npy", rows)
    names = [f"shots/{at:03d}.jpg" for at in range(80)]
    (tmp_path / "image_paths.json").write_text(json.dumps(names))
    return tmp_path / "embeddings.npy", tmp_path / "image_paths.json", names


def test_sweep_of_two_files_ranks_and_answers_for_the_target(engine, exported, tmp_path):
    embeddings, paths, names = exported
    (tmp_path / "pairs.csv").write_text("a,b\n000.jpg,004.jpg\n001.jpg,005.jpg\n")
    ended = engine(
        "sweep",
        embeddings,
        paths,
        "--mode",
        "fast",
        "--output-dir",
        tmp_path / "OUT",
        *SMALL,
        "--target-image",
        "002.jpg",
        "--validation-pairs",
        tmp_path / "pairs.csv",
    )
    assert (ended.status, ended.last) == (0, str(tmp_path / "OUT")), ended.err
    summary = json.loads((tmp_path / "OUT" / "clustering_summary.json").read_text())
    first = summary["ranked"][0]
    assert {
        "algorithm",
        "parameters",
        "composite",
        "silhouette",
        "balance",
        "noise_share",
        "n_clusters",
        "largest_share",
        "seconds",
    } <= set(first)
    assert first["pairs_together"] == 1.0
    assert first["target"][0]["row"] == 2
    with (tmp_path / "OUT" / "rank_01_kmeans" / "assignments.csv").open() as file:
        assert [row["image"] for row in csv.DictReader(file)] == names


class Seen(Exception):
    """Carries what the sweep was given; the sweep itself has tests of its own."""


@pytest.fixture
def given(monkeypatch, engine):
    """Run the sweep command up to the sweep and return what that is given."""
    from engine.jobs.tasks import selection

    def stop(self, vectors, **options):
        raise Seen(vectors, options)

    def run(*words):
        monkeypatch.setattr(selection.Sweep, "run", stop)
        with pytest.raises(Seen) as seen:
            engine("sweep", *words)
        return seen.value.args

    return run


def test_sweep_samples_by_name_and_keeps_what_it_is_asked_about(given, exported, tmp_path):
    embeddings, paths, names = exported
    words = (embeddings, paths, "--output-dir", tmp_path / "OUT", "--target-image", "shots/002.jpg", "--seed", 3)
    half, options = given(*words, "--dataset-sample", 50)
    assert 20 < len(half) < 60
    assert options["paths"][options["target"][0]] == "shots/002.jpg"
    rows = [names.index(name) for name in options["paths"]]
    assert np.array_equal(half, np.load(embeddings)[rows])
    _, more = given(*words, "--dataset-sample", 80)
    assert set(options["paths"]) < set(more["paths"])  # samples nest
    few, _ = given(*words, "--sample-count", 12)
    assert len(few) in (12, 13)  # the target may come on top


def test_sweep_says_what_is_wrong_with_a_sample(refused, engine, vectors, tmp_path):
    words = ("sweep", "--vectors", vectors, "--output-dir", tmp_path / "OUT")
    assert "do not hold every image" in refused(*words, "--skip-embeddings")
    assert engine("embed", "--vectors", vectors).status == 0
    assert "larger sample" in refused(*words, "--skip-embeddings", "--sample-count", 5)


def test_sweep_of_vectors_then_of_whatever_is_embedded(given, engine, vectors, tmp_path):
    rows, options = given("--vectors", vectors, "--output-dir", tmp_path / "OUT")
    assert options["graph"].indices.shape[0] == len(rows) == 120
    sample = json.loads((tmp_path / "OUT" / "sample.json").read_text())
    assert sample["size"] == sample["total"] == 120
    again, _ = given()
    assert np.array_equal(rows, again)


def test_sweep_reads_names_that_pairs_give(given, vectors, tmp_path):
    (tmp_path / "pairs.json").write_text(json.dumps([["item 001", "item 005"], ["item 002", "nobody"]]))
    _, options = given("--vectors", vectors, "--validation-pairs", tmp_path / "pairs.json")
    assert options["validation_pairs"].tolist() == [[1, 5]]


def test_sweep_refuses_what_cannot_be(refused, exported, vectors, tmp_path):
    embeddings, paths, names = exported
    assert "embed" in refused("sweep").lower()
    assert "once" in refused("sweep", embeddings, paths, "--vectors", vectors)
    (tmp_path / "few.json").write_text(json.dumps(names[:5]))
    assert "5 paths for 80" in refused("sweep", embeddings, tmp_path / "few.json")
    (tmp_path / "dict.json").write_text("{}")
    assert "list of paths" in refused("sweep", embeddings, tmp_path / "dict.json")
    assert "--mode" in refused("sweep", embeddings, paths, "--mode", "quick")
    assert "algorithms" in refused("sweep", embeddings, paths, "--algorithms", "magic")
    assert "pairs" in refused("sweep", embeddings, paths, "--validation-pairs", tmp_path / "none.csv")
    np.save(tmp_path / "nine.npy", blobs(9)[0])
    assert "10 images" in refused("sweep", tmp_path / "nine.npy", "--output-dir", tmp_path / "nine")
