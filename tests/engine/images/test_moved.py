"""A folder that lies elsewhere than before is told by what it holds, and keeps its labels."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.images.datasets import add_folder, list_datasets
from engine.images.identity import changed_images
from engine.images.moved import known_elsewhere, relocate
from engine.images.scan import scan
from engine.images.tables import load_images
from engine.jobs.tasks.data import RelocateRequest, ScanRequest, relocate_data, scan_images
from engine.labels.adopt import adopt_labels
from engine.labels.events import LabelHistory
from tests.engine.images.pictures import encoded, noise, write
from tests.engine.images.test_identity import captioned, label_all, labels


@pytest.fixture
def photos(workspace, tmp_path):
    root = tmp_path / "photos"
    for at in range(40):
        write(root / "ab"[at % 2] / f"{at}.jpg", encoded(noise(at), "JPEG"))
    dataset = add_folder(workspace, root)
    scan(workspace, dataset.id)
    label_all(workspace, dataset)
    return dataset, root


def test_a_moved_folder_is_offered_and_keeps_everything(workspace, photos, tmp_path):
    dataset, root = photos
    before = labels(workspace, dataset)
    moved = root.rename(tmp_path / "elsewhere")
    found = known_elsewhere(workspace, moved)
    assert (found.dataset.id, found.images, found.gone) == (dataset.id, 40, True)
    assert found.sentence == (
        f"These images are known as 'photos' (40 images), which was at {root} and is not there any more."
    )
    ((again,),) = (relocate_data(workspace, RelocateRequest(old=str(root), new=str(moved))),)
    assert again.id == dataset.id and again.path == moved
    assert scan(workspace, dataset.id).opened == 0
    assert labels(workspace, dataset) == before
    assert known_elsewhere(workspace, moved) is None  # it is a data set of its own now


def test_renamed_files_and_new_captions_are_known_by_pixels(workspace, photos, tmp_path):
    dataset, root = photos
    other = tmp_path / "sorted anew"
    for at, path in enumerate(sorted(root.rglob("*.jpg"))):
        write(other / f"IMG_{at:04d}.jpg", captioned(path.read_bytes()))
    shutil.rmtree(root)
    assert known_elsewhere(workspace, other).dataset.id == dataset.id
    relocate(workspace, dataset.id, other)
    scan(workspace, dataset.id)
    assert None not in labels(workspace, dataset).values()
    assert changed_images(workspace, dataset.id) == []


def test_other_images_are_not_offered(workspace, photos, tmp_path):
    dataset, root = photos
    for at in range(40):
        write(tmp_path / "other" / f"{at}.jpg", encoded(noise(at + (500 if at % 4 else 0)), "JPEG"))
    assert known_elsewhere(workspace, tmp_path / "other") is None  # a quarter is no folder
    assert known_elsewhere(workspace, root / "a") is None  # a part of a known folder was not moved
    (tmp_path / "empty").mkdir()
    assert known_elsewhere(workspace, tmp_path / "empty") is None


def test_a_copy_gets_the_labels_and_both_stay(workspace, photos, tmp_path):
    dataset, root = photos
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    for path in list(copy.rglob("*.jpg"))[:10]:
        path.write_bytes(captioned(path.read_bytes()))
    found = known_elsewhere(workspace, copy)
    assert not found.gone and found.sentence.endswith("and still there.")
    (other,) = relocate_data(workspace, RelocateRequest(old=dataset.id, new=str(copy), copy_labels=True))
    assert other.id != dataset.id
    assert labels(workspace, other) == labels(workspace, dataset)
    table = load_images(workspace, other.id)
    history = LabelHistory(workspace, other.id)
    history.label(history.state(table.contents, np.zeros(40, np.int32)), np.array([0]), "changed")
    assert labels(workspace, other) != labels(workspace, dataset)  # from here each goes its own way
    with pytest.raises(InputError, match="labels of its own"):
        adopt_labels(workspace, dataset.id, other.id)
    with pytest.raises(InputError, match="labels of its own"):
        relocate_data(workspace, RelocateRequest(old=dataset.id, new=str(copy)))


def test_everything_below_a_moved_folder_is_relocated(workspace, tmp_path):
    for name in ("one", "two"):
        write(tmp_path / "disk" / name / "a.png", noise(len(name) + ord(name[0])))
        scan(workspace, add_folder(workspace, tmp_path / "disk" / name).id)
    (tmp_path / "disk").rename(tmp_path / "mnt")
    moved = relocate_data(workspace, RelocateRequest(old=str(tmp_path / "disk"), new=str(tmp_path / "mnt")))
    assert {one.path for one in moved} == {tmp_path / "mnt" / "one", tmp_path / "mnt" / "two"}
    with pytest.raises(InputError, match="There is no data set at /nowhere"):
        relocate_data(workspace, RelocateRequest(old="/nowhere", new=str(tmp_path)))


def test_a_new_data_set_without_work_gives_way_and_one_with_runs_does_not(workspace, photos, tmp_path):
    from engine.runs.run import save_config

    dataset, root = photos
    moved = root.rename(tmp_path / "elsewhere")
    other = add_folder(workspace, moved)
    scan(workspace, other.id)
    run = workspace.runs / "kmeans"
    run.mkdir()
    save_config(run, {"dataset": {"id": other.id}})
    for name in ("results.json", "predictions.npz"):
        (run / name).touch()
    request = RelocateRequest(old=dataset.id, new=str(moved))
    with pytest.raises(InputError, match="runs of its own"):
        relocate_data(workspace, request)
    shutil.rmtree(run)
    relocate_data(workspace, request)
    assert [one.id for one in list_datasets(workspace)] == [dataset.id]


def test_the_scan_keeps_labels_of_changed_pixels_where_it_is_told_to(workspace, photos):
    dataset, root = photos
    before = labels(workspace, dataset)
    (root / "a" / "0.jpg").write_bytes(encoded(noise(77), "JPEG"))
    assert scan_images(workspace, ScanRequest(dataset=dataset.id)).changed_pixels == 1
    assert labels(workspace, dataset)["a/0.jpg"] is None
    assert scan_images(workspace, ScanRequest(dataset=dataset.id, keep_labels=True)).changed_pixels == 0
    assert labels(workspace, dataset) == before


def test_a_folder_inside_that_was_moved_and_a_change_of_case_keep_their_labels(workspace, photos):
    dataset, root = photos
    before = labels(workspace, dataset)
    (root / "deep").mkdir()
    (root / "a").rename(root / "deep" / "A")
    (root / "b" / "1.jpg").rename(root / "b" / "1.JPG")
    scan(workspace, dataset.id)
    after = labels(workspace, dataset)
    assert after.pop("b/1.JPG") == before.pop("b/1.jpg")
    assert {os.path.basename(path): label for path, label in after.items()} == {
        os.path.basename(path): label for path, label in before.items()
    }


def test_an_export_of_edited_files_is_imported_by_content_id(workspace, photos, tmp_path):
    from engine.core.csv import write_csv
    from engine.jobs.tasks.imports import ImportLabelsRequest, import_labels
    from engine.labels.table import label_table

    dataset, root = photos
    for path in root.rglob("*.jpg"):
        path.write_bytes(captioned(path.read_bytes()))
    scan(workspace, dataset.id)
    table = load_images(workspace, dataset.id)
    columns = label_table(workspace, dataset.id, table.contents, np.zeros(40, np.int32)).columns()
    assert set(columns["content_id"]).isdisjoint(content.hex() for content in table.contents.tolist())
    write_csv(tmp_path / "labels.csv", columns)
    request = ImportLabelsRequest(dataset=dataset.id, labels=str(tmp_path / "labels.csv"), dry_run=True)
    assert "other bytes" not in str(import_labels(workspace, request))
