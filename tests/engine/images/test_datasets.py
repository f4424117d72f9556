"""Data sets are added once, found by id, moved without opening a file, and forgotten without touching one."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from engine.core.catalog import open_catalog
from engine.core.errors import InputError
from engine.core.files import content_id
from engine.images.contents import read_content
from engine.images.datasets import (
    add_benchmark,
    add_folder,
    add_vectors,
    find_dataset,
    list_datasets,
    remove_dataset,
    set_truth_from_folders,
)
from engine.images.moved import relocate
from engine.images.report import report
from engine.images.scan import scan
from engine.images.sources import ReadError
from engine.images.tables import count_images, files_of, load_images, load_quality
from engine.labels.log import EventLog
from tests.conftest import shared_data
from tests.engine.images.pictures import noise, write


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "My Photos \u00e9"
    for at in range(4):
        write(root / "cat dog".split()[at % 2] / f"{at}.png", noise(at))
    return root


def test_a_folder_is_added_once(workspace, folder):
    first = add_folder(workspace, folder)
    assert first.name == folder.name
    assert first.id.startswith("my-photos-")
    assert first.id.isascii()
    assert add_folder(workspace, str(folder) + "/../" + folder.name).id == first.id
    assert [one.id for one in list_datasets(workspace)] == [first.id]
    assert find_dataset(workspace, first.id) == first
    assert first.path == folder


def test_adding_again_with_truth_turns_it_on(workspace, folder):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    assert not any(load_images(workspace, dataset.id).truth)
    again = add_folder(workspace, folder, truth_from_folders=True)
    assert again.id == dataset.id
    assert load_images(workspace, dataset.id).truth == ["cat", "cat", "dog", "dog"]
    assert add_folder(workspace, folder).options["truth_from_folders"] is True
    set_truth_from_folders(workspace, dataset.id, False)
    assert not any(load_images(workspace, dataset.id).truth)
    scan(workspace, dataset.id)
    assert not any(load_images(workspace, dataset.id).truth)


def test_class_folders_of_any_level_are_the_truth(workspace, tmp_path):
    for name in ("animals/cat/1", "animals/dog/2", "plants/rose/3", "4"):
        write(tmp_path / "deep" / f"{name}.png", noise(int(name[-1])))
    dataset = add_folder(workspace, tmp_path / "deep", truth_from_folders=True, truth_level=2)
    found = scan(workspace, dataset.id)
    assert found.levels == [["animals", "plants"], ["cat", "dog", "rose"]]
    assert found.classes == {"cat": 1, "dog": 1, "rose": 1}
    add_folder(workspace, tmp_path / "deep", truth_from_folders=True)  # as it was
    assert report(workspace, dataset.id).classes == {"cat": 1, "dog": 1, "rose": 1}
    set_truth_from_folders(workspace, dataset.id, True, 1)
    assert scan(workspace, dataset.id).classes == {"animals": 2, "plants": 1}
    for level in (0, 3):
        with pytest.raises(InputError, match=f"no level {level} of class folders") as caught:
            set_truth_from_folders(workspace, dataset.id, True, level)
        assert "2 levels" in caught.value.hint


def test_bad_input_is_one_sentence(workspace, tmp_path):
    with pytest.raises(InputError, match="cannot be found"):
        add_folder(workspace, tmp_path / "nothing")
    with pytest.raises(InputError, match="no benchmark set 'mnist'") as caught:
        add_benchmark(workspace, "mnist")
    assert "digits" in caught.value.hint
    with pytest.raises(InputError, match="no data set 'x'"):
        find_dataset(workspace, "x")
    with pytest.raises(InputError, match="Only a folder"):
        set_truth_from_folders(workspace, add_benchmark(workspace, "digits").id, True)
    assert [one.kind for one in list_datasets(workspace)] == ["benchmark"]


def test_a_folder_with_a_name_of_any_bytes(workspace, tmp_path):
    root = os.fsencode(tmp_path) + b"/caf\xe9\n"
    os.mkdir(root)
    with open(root + b"/x.png", "wb") as file:
        file.write(b"")
    dataset = add_folder(workspace, os.fsdecode(root))
    assert dataset.location == root
    assert "\n" not in dataset.name
    assert scan(workspace, dataset.id).failed == [(b"x.png", "The file is empty.")]


def test_a_moved_folder_is_relocated_without_opening_a_file(workspace, folder, tmp_path):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    before = files_of(workspace, dataset.id)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be found"):
        scan(workspace, dataset.id)
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="None of the known images"):
        relocate(workspace, dataset.id, tmp_path / "other")
    moved = relocate(workspace, dataset.id, tmp_path / "elsewhere")
    assert moved.id == dataset.id
    assert scan(workspace, dataset.id).opened == 0
    assert files_of(workspace, dataset.id) == before


def test_relocating_never_makes_two_of_one_place(workspace, folder, tmp_path):
    dataset = add_folder(workspace, folder)
    other = tmp_path / "other"
    write(other / "1.png", noise(1))
    taken = add_folder(workspace, other)
    EventLog(workspace, taken.id).append("label", {"labels": []})
    with pytest.raises(InputError, match="already the data set"):
        relocate(workspace, dataset.id, other)
    remove_dataset(workspace, taken.id)
    add_folder(workspace, other)  # without labels it gives way
    relocate(workspace, dataset.id, other)
    again = add_folder(workspace, folder)
    assert again.id != dataset.id
    assert {one.path for one in list_datasets(workspace)} == {folder, other}


def test_removing_forgets_rows_and_keeps_files(workspace, folder):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    remove_dataset(workspace, dataset.id)
    assert list_datasets(workspace) == []
    with open_catalog(workspace.catalog) as db:
        assert db.execute("SELECT count(*) FROM image").fetchone()[0] == 0
    assert len(list(folder.rglob("*.png"))) == 4
    with pytest.raises(InputError):
        remove_dataset(workspace, dataset.id)


def test_reading_by_content_finds_any_copy_and_checks_it(workspace, folder):
    write(folder / "copy.png", noise(0))
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    content = files_of(workspace, dataset.id)[0].content
    (folder / "cat" / "0.png").unlink()
    assert content_id(read_content(workspace, content)) == content
    write(folder / "copy.png", noise(99))
    with pytest.raises(ReadError, match="changed since the scan|gone"):
        read_content(workspace, content)
    write(folder / "cat" / "0.png", noise(98))
    with pytest.raises(ReadError, match="changed since the scan"):
        read_content(workspace, content)
    with pytest.raises(ReadError, match="no image with this content"):
        read_content(workspace, b"\0" * 16)


def test_rows_are_distinct_contents_in_order_of_first_path(workspace, tmp_path):
    root = tmp_path / "set"
    for name, seed in {"z/a.png": 1, "b.png": 2, "a/x.png": 1, "c.png": 3}.items():
        write(root / name, noise(seed))
    write(root / "bad.png", b"")
    dataset = add_folder(workspace, root)
    scan(workspace, dataset.id)
    table = load_images(workspace, dataset.id)
    assert table.paths == [b"a/x.png", b"b.png", b"c.png"]
    assert table.contents.dtype == np.dtype("S16")
    assert len(files_of(workspace, dataset.id)) == 5
    chosen = table.rows(np.array([False, True, True]))
    assert chosen.paths == [b"b.png", b"c.png"]
    assert chosen.ids.tolist() == table.ids[1:].tolist()


def test_splits_are_kept_apart(workspace, tmp_path):
    root = tmp_path / "set"
    for at, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        write(root / name / "1.png", noise(at))
    write(root / "train" / "cat" / "leak.png", noise(2))
    dataset = add_folder(workspace, root, truth_from_folders=True)
    scan(workspace, dataset.id)
    assert load_images(workspace, dataset.id, split="train").paths == [b"train/cat/1.png", b"train/dog/1.png"]
    test = load_images(workspace, dataset.id, split="test")
    assert test.truth == ["cat", "dog"]
    assert len(load_images(workspace, dataset.id, split="")) == 0
    assert len(load_images(workspace, dataset.id)) == 4  # a copy across splits is one row, in one split


def test_an_unscanned_set_is_an_empty_table(workspace, folder):
    table = load_images(workspace, add_folder(workspace, folder).id)
    assert len(table) == 0
    assert table.contents.shape == (0,)
    assert table.rows([]).paths == []


def test_vectors_become_rows(workspace, tmp_path, rng):
    path = tmp_path / "v.npz"
    vectors = rng.normal(size=(3, 4)).astype(np.float32)
    np.savez(path, vectors=vectors, ids=["b", "a", "\u00e9,=x"], labels=[1, 2, 1])
    dataset = add_vectors(workspace, path)
    table = load_images(workspace, dataset.id)
    assert table.paths == [b"b", b"a", "\u00e9,=x".encode()]  # the file's own order
    assert table.truth == ["1", "2", "1"]
    assert table.contents[0] == content_id(b"b")
    assert dataset.scanned is not None
    path.unlink()
    with pytest.raises(InputError, match="cannot be found"):
        add_vectors(workspace, path)
    with pytest.raises(InputError, match="vectors only"):
        dataset.source()


def test_a_changed_vector_file_gives_its_own_order_and_an_unchanged_one_keeps_its_rows(workspace, tmp_path, rng):
    path = tmp_path / "v.npz"
    vectors = rng.normal(size=(3, 4)).astype(np.float32)
    np.savez(path, vectors=vectors, ids=["b", "a", "c"])
    dataset = add_vectors(workspace, path)
    first = load_images(workspace, dataset.id)
    np.savez(path, vectors=vectors, ids=["b", "a", "c"], labels=[1, 2, 1])
    add_vectors(workspace, path)
    labelled = load_images(workspace, dataset.id)
    assert labelled.ids.tolist() == first.ids.tolist() and labelled.truth == ["1", "2", "1"]
    np.savez(path, vectors=vectors, ids=["d", "c", "b"])
    add_vectors(workspace, path)
    table = load_images(workspace, dataset.id)
    assert table.paths == [b"d", b"c", b"b"] == [item.path for item in files_of(workspace, dataset.id)]
    assert table.truth == [None] * 3


def test_a_moved_vector_file_is_relocated(workspace, tmp_path, rng):
    path = tmp_path / "v.npy"
    np.save(path, rng.normal(size=(3, 4)))
    dataset = add_vectors(workspace, path)
    before = load_images(workspace, dataset.id)
    moved = relocate(workspace, dataset.id, path.rename(tmp_path / "w.npy"))
    assert moved.path == tmp_path / "w.npy"
    assert load_images(workspace, dataset.id).ids.tolist() == before.ids.tolist()


def test_real_vectors(workspace):
    dataset = add_vectors(workspace, shared_data("clothing_341_mobilenetv2.npz"))
    table = load_images(workspace, dataset.id)
    assert len(table) == 341
    assert len(set(table.truth)) == 10


def test_tables_are_kept_until_something_changes(workspace, folder):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    first = load_images(workspace, dataset.id)
    assert load_images(workspace, dataset.id) is first
    assert count_images(workspace, dataset.id) == 4
    with pytest.raises(ValueError, match="read-only"):
        first.ids[0] = 0
    set_truth_from_folders(workspace, dataset.id, True)
    assert any(load_images(workspace, dataset.id).truth)
    write(folder / "new.png", noise(9))
    scan(workspace, dataset.id)
    assert count_images(workspace, dataset.id) == len(load_images(workspace, dataset.id)) == 5
    write(folder / "new.png", b"")
    scan(workspace, dataset.id)
    assert count_images(workspace, dataset.id) == len(load_images(workspace, dataset.id)) == 4
    assert len(load_images(workspace, dataset.id, split="test")) == 0
    remove_dataset(workspace, dataset.id)
    assert len(load_images(workspace, dataset.id)) == 0
    again = add_folder(workspace, folder)
    assert again.id == dataset.id
    assert count_images(workspace, again.id) == 0


def test_qualities_stand_in_the_order_of_the_rows(workspace, tmp_path):
    for at, level in enumerate((200, 0, 100)):
        write(tmp_path / "set" / f"{at}.png", Image.new("RGB", (8, 8), (level,) * 3))
    write(tmp_path / "set" / "3.png", b"")
    dataset = add_folder(workspace, tmp_path / "set")
    scan(workspace, dataset.id)
    found = load_quality(workspace, dataset.id)
    assert set(found) == {"brightness", "contrast", "sharpness", "entropy", "colourfulness", "letterbox bars"}
    assert found["brightness"].tolist() == pytest.approx([200 / 255, 0, 100 / 255], abs=1e-3)
    np.save(tmp_path / "v.npy", np.eye(3))
    assert load_quality(workspace, add_vectors(workspace, tmp_path / "v.npy").id) == {}
