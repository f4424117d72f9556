"""A run is a folder: what is saved is opened; damaged and newer folders are told."""

import json
import shutil

import numpy as np
import pytest

from engine.core.errors import InputError, StorageError
from engine.core.files import content_id
from engine.core.ids import pack, to_hex
from engine.runs import run as runs
from engine.runs.run import (
    drop_empty,
    find_run,
    folder_name,
    list_runs,
    make_parent,
    new_folder,
    open_run,
    save_run,
    update_config,
)

PATHS = [b"a.png", b"not utf8 \xff.png", "ü\n.png".encode()]
CONTENTS = pack(content_id(path) for path in PATHS)


def save(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "config": {"title": "One", "method": "kmeans", "created": 5.0, "dataset": {"id": "d"}},
        "results": {"train": {"silhouette": float("nan")}, "test": None, "seconds": {}},
        "contents": CONTENTS,
        "paths": PATHS,
        "assignments": np.array([0, -1, 1]),
        "confidence": np.array([0.5, 0.0, 1.0]),
        "truth": ["x", None, "y"],
        "split": ["train", "train", "test"],
        "extra": {"doubt": np.array([1.0, 2.0, 3.0])},
    }
    return save_run(folder, **values | changes)


def test_what_is_saved_is_what_is_opened(tmp_path):
    save(tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert (run.name, run.method, run.dataset, run.created, run.finished) == ("One", "kmeans", "d", 5.0, True)
    assert run.results == {"train": {"silhouette": None}, "test": None, "seconds": {}}
    assert (run.contents == CONTENTS).all()
    assert (run.assignments.dtype, run.assignments.tolist()) == (np.int32, [0, -1, 1])
    found = run.predictions
    assert found["ids"].tolist() == to_hex(CONTENTS)
    assert found["labels"].tolist() == ["x", "", "y"]
    assert found["paths"].tolist() == ["a.png", "not utf8 \\xff.png", "ü\n.png"]
    assert (found["confidence"].dtype, found["doubt"].tolist()) == (np.float32, [1.0, 2.0, 3.0])


def test_ids_of_others_stand_beside_the_content_ids(tmp_path):
    run = save(tmp_path / "run", ids=["x", "y", "z"])
    assert run.predictions["ids"].tolist() == ["x", "y", "z"]
    assert (run.contents == CONTENTS).all()
    assert "contents" not in save(tmp_path / "other", ids=to_hex(CONTENTS)).predictions


def test_without_truth_there_are_no_labels(tmp_path):
    assert "labels" not in save(tmp_path / "run", truth=[None] * 3).predictions


def test_the_results_are_written_last(tmp_path, monkeypatch):
    def full(path, **_):
        raise StorageError("The disk is full.")

    monkeypatch.setattr(runs, "save_arrays", full)
    with pytest.raises(StorageError):
        save(tmp_path / "run")
    assert not open_run(tmp_path / "run").finished


def test_folders_that_are_no_run_are_told(tmp_path):
    with pytest.raises(InputError, match=r"config\.json is missing"):
        open_run(tmp_path)
    save(tmp_path / "list")
    (tmp_path / "list" / "config.json").write_text("[]")
    with pytest.raises(StorageError, match="not a run's configuration"):
        open_run(tmp_path / "list")
    save(tmp_path / "new")
    (tmp_path / "new" / "config.json").write_text(json.dumps({"format": runs.FORMAT + 1}))
    with pytest.raises(InputError, match="newer Kindred"):
        open_run(tmp_path / "new")
    (tmp_path / "new" / "config.json").write_text(json.dumps({"format": "seven"}))
    with pytest.raises(StorageError, match=r"config\.json"):
        open_run(tmp_path / "new")


@pytest.mark.parametrize("edit", [{"dataset": "digits"}, {"embedding": None}, {"settings": []}, {"created": "today"}])
def test_a_hand_edited_configuration_is_told_by_its_field(tmp_path, edit):
    save(tmp_path / "run", config=edit)
    with pytest.raises(StorageError, match=next(iter(edit))):
        open_run(tmp_path / "run")


def test_an_older_run_without_format_opens(tmp_path):
    save(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "format"}))
    assert open_run(tmp_path / "run").method == "kmeans"


def test_damaged_files_of_a_run_are_told_by_name(tmp_path):
    run = save(tmp_path / "run")
    data = (run.folder / "predictions.npz").read_bytes()
    (run.folder / "predictions.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(StorageError, match=r"predictions\.npz cannot be read"):
        _ = open_run(run.folder).predictions
    np.savez(run.folder / "predictions.npz", ids=np.array(["a"]))
    with pytest.raises(StorageError, match="assignments"):
        _ = open_run(run.folder).predictions
    (run.folder / "predictions.npz").unlink()
    with pytest.raises(StorageError, match=r"predictions\.npz"):
        _ = open_run(run.folder).predictions
    (run.folder / "results.json").write_text("{")
    with pytest.raises(StorageError, match=r"results\.json"):
        _ = open_run(run.folder).results


@pytest.mark.parametrize("ids", [["zz" * 16] * 3, ["ab"] * 3, ["", "", ""]])
def test_ids_that_were_edited_are_told(tmp_path, ids):
    run = save(tmp_path / "run")
    np.savez(run.folder / "predictions.npz", ids=np.array(ids), assignments=np.zeros(3, np.int32))
    with pytest.raises(StorageError, match="ids"):
        _ = open_run(run.folder).contents


def test_arrays_of_different_lengths_are_told(tmp_path):
    run = save(tmp_path / "run")
    np.savez(run.folder / "predictions.npz", ids=np.array(to_hex(CONTENTS)), assignments=np.zeros(2, np.int32))
    with pytest.raises(StorageError, match="assignments"):
        _ = open_run(run.folder).assignments


def test_pickles_in_a_run_are_never_opened(tmp_path):
    run = save(tmp_path / "run")
    np.savez(run.folder / "predictions.npz", ids=np.array([{}], dtype=object), assignments=np.zeros(1))
    with pytest.raises(StorageError, match=r"predictions\.npz"):
        _ = open_run(run.folder).predictions


def test_names_of_folders_are_safe_and_never_taken_twice(tmp_path):
    name = folder_name("kmeans", "Ünsafe / name=*", 10)
    assert name.startswith("kmeans_nsafe-name_10clusters_")
    assert folder_name("hdbscan", "///", None).startswith("hdbscan_data_auto_")
    made = [new_folder(tmp_path / "runs", "one").name for _ in range(3)]
    assert made == ["one", "one_2", "one_3"]


def test_a_place_that_cannot_hold_runs_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="not a folder"):
            make_parent(place)
        with pytest.raises(InputError, match="not a folder"):
            new_folder(place, "run")


def test_only_finished_runs_are_listed_newest_first(workspace):
    for name, created, dataset in (("old", 1.0, "d"), ("new", 2.0, "d"), ("other", 3.0, "e"), ("half", 4.0, "d")):
        save(workspace.runs / name, config={"created": created, "dataset": {"id": dataset}})
    (workspace.runs / "half" / "results.json").unlink()
    save(workspace.runs / "edited")
    (workspace.runs / "edited" / "config.json").write_text("{")
    (workspace.runs / "stray.txt").touch()
    assert [run.folder.name for run in list_runs(workspace)] == ["other", "new", "old"]
    assert [run.folder.name for run in list_runs(workspace, "d")] == ["new", "old"]
    shutil.rmtree(workspace.runs)
    assert list_runs(workspace) == []


def test_a_run_is_found_by_its_name_inside_the_library_only(workspace, tmp_path):
    save(workspace.runs / "one")
    save(tmp_path / "elsewhere")
    assert find_run(workspace, "one").name == "One"
    for name in ("two", "../one", str(tmp_path / "elsewhere"), "", "."):
        with pytest.raises(InputError, match="no run"):
            find_run(workspace, name)


def test_renaming_keeps_everything_else(workspace):
    run = update_config(save(workspace.runs / "one"), title="Better", tags=["a"])
    again = open_run(workspace.runs / "one")
    assert (run.name, again.name, again.tags, again.method) == ("Better", "Better", ["a"], "kmeans")


def test_a_refused_run_leaves_no_folder_but_results_stay(tmp_path):
    (tmp_path / "a").mkdir()
    runs.save_config(tmp_path / "a", {})
    drop_empty(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    save(tmp_path / "b")
    drop_empty(tmp_path / "b")
    assert open_run(tmp_path / "b").finished


@pytest.mark.parametrize("text", ["[1, 2]", '{"train": 5}', '{"train": {}, "test": []}', '{"train": {}, "notes": 3}'])
def test_results_that_were_edited_are_told(tmp_path, text):
    run = save(tmp_path / "run")
    (run.folder / "results.json").write_text(text)
    with pytest.raises(StorageError, match="does not hold a run's results"):
        _ = open_run(run.folder).results
