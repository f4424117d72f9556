"""Duplicates of a folder: what is found, which is kept, what is set aside, and that one undo brings all back."""

import csv

import numpy as np
import pytest
from PIL import Image

from benchmarks.made_photographs import KINDS, _photograph
from engine.__main__ import main
from engine.core.errors import InputError
from engine.core.ids import positions
from engine.embeddings.encoders.registry import find_encoder
from engine.geometry.duplicates import IDENTICAL, SAME
from engine.images.datasets import add_folder
from engine.images.keeping import keep_order
from engine.images.scan import scan
from engine.images.tables import load_images, load_quality
from engine.jobs.tasks.duplicates import DuplicatesRequest, Found, duplicates, open_groups
from engine.labels.aside import labels_of_images, set_aside
from engine.labels.events import LabelHistory
from engine.runs.rows import embed_dataset


@pytest.fixture
def folder(tmp_path):
    """Twelve photographs, of which some have copies: re-encoded, halved, cut, turned into PNG, the same bytes."""
    where = tmp_path / "photos"
    (where / "best").mkdir(parents=True)
    for number, kind in enumerate(KINDS):
        for version in range(2):
            _photograph(kind, version).save(where / f"{number}{version}.png")
    first = _photograph(KINDS[0], 0)
    first.save(where / "00-q40.jpg", quality=40)
    first.resize((160, 120)).save(where / "best" / "00-half.jpg", quality=90)
    first.crop((8, 6, 312, 234)).save(where / "00-cut.jpg", quality=90)
    first.save(where / "00-again.png", compress_level=1)
    return where


@pytest.fixture
def scanned(workspace, folder):
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    return workspace, dataset


def names(table, found):
    at = positions(table.contents, found.contents)
    return [table.paths[row].decode() for row in at.tolist()]


def test_the_same_picture_is_found_in_other_files_and_other_photographs_are_not(scanned):
    workspace, dataset = scanned
    rows = embed_dataset(workspace, dataset.id, "photo", find_encoder("photo").settings_class())
    found = duplicates(workspace, DuplicatesRequest(dataset=dataset.id, config_key=rows.embedding.config_key))
    table = load_images(workspace, dataset.id)
    assert found.groups == 1 and found.unembedded == 0 and found.images == len(table)
    assert set(names(table, found)) == {"00.png", "00-q40.jpg", "best/00-half.jpg", "00-cut.jpg", "00-again.png"}
    how = dict(zip(names(table, found), found.level.tolist(), strict=True))
    assert {how[name] for name in ("00.png", "00-again.png")} == {-1, IDENTICAL}, "equal pixels, other bytes"
    assert {how[name] for name in ("00-q40.jpg", "best/00-half.jpg", "00-cut.jpg")} == {SAME}


def test_without_embeddings_copies_are_found_by_their_hashes(scanned):
    workspace, dataset = scanned
    found = duplicates(workspace, DuplicatesRequest(dataset=dataset.id))
    known = set(names(load_images(workspace, dataset.id), found))
    assert {"00.png", "00-q40.jpg", "best/00-half.jpg", "00-again.png"} <= known
    only = duplicates(workspace, DuplicatesRequest(dataset=dataset.id, level="identical"))
    assert set(names(load_images(workspace, dataset.id), only)) == {"00.png", "00-again.png"}
    with pytest.raises(InputError, match="by their embeddings"):
        duplicates(workspace, DuplicatesRequest(dataset=dataset.id, level="similar"))


def test_the_preferred_folder_decides_before_the_size(scanned):
    workspace, dataset = scanned
    table, sharp = load_images(workspace, dataset.id), load_quality(workspace, dataset.id)["sharpness"]
    first = [table.paths[row] for row in np.argsort(keep_order(table, sharp, folder="best"))]
    assert first[0] == b"best/00-half.jpg"
    assert np.argmin(keep_order(table, sharp)) != table.paths.index(b"best/00-half.jpg")
    with pytest.raises(InputError, match="No image lies in the folder"):
        keep_order(table, sharp, folder="worst")
    with pytest.raises(InputError, match="largest or the sharpest"):
        keep_order(table, sharp, rule="newest")
    found = duplicates(workspace, DuplicatesRequest(dataset=dataset.id, prefer="best"))
    assert names(table, found)[0] == "best/00-half.jpg"


def test_set_aside_is_one_event_that_undo_takes_back_and_touches_no_file(scanned, folder):
    workspace, dataset = scanned
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = duplicates(workspace, DuplicatesRequest(dataset=dataset.id))
    history, table = LabelHistory(workspace, dataset.id), load_images(workspace, dataset.id)

    def look(base=None):
        base = np.full(len(table), -1) if base is None else base
        return history.state(table.contents, base, run="images" if base[0] < 0 else "a run")

    at = positions(table.contents, found.contents)
    beside = at[found.level >= 0]
    clusters = np.zeros(len(table), int)
    assert len(open_groups(found, table.contents, look().status)) == 1
    event = set_aside(history, labels_of_images(history, table.contents), beside)
    assert event.sentence.startswith(f"{len(beside)} images -> unsorted")
    assert sorted(np.flatnonzero([s == "rejected" for s in look(clusters).statuses])) == sorted(beside.tolist())
    assert (look(clusters).cluster[beside] == -1).all() and open_groups(found, table.contents, look().status) == []
    with pytest.raises(InputError, match="aside already"):
        set_aside(history, look(), beside)
    history.undo()
    assert "rejected" not in look(clusters).statuses and (look(clusters).cluster == 0).all()
    assert len(open_groups(found, table.contents, look().status)) == 1
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_person_labelled_is_not_set_aside_and_groups_of_several_labels_are_said(scanned, capsys):
    workspace, dataset = scanned
    history, table = LabelHistory(workspace, dataset.id), load_images(workspace, dataset.id)
    state = labels_of_images(history, table.contents)
    labelled = table.paths.index(b"00-q40.jpg")
    history.label(state, np.array([labelled, table.paths.index(b"00.png")]), ["brick", "wall"])
    folder = workspace.root.parent / "photos"
    words = ("duplicates", "--folder", folder, "--set-aside", "--encoder", "descriptor")
    assert main([str(word) for word in words]) == 0
    told = capsys.readouterr()
    assert "1 of 1 groups hold images with different labels." in told.err
    assert "labelled by you keep" in told.err
    with open(told.out.splitlines()[-1], newline="") as file:
        lines = {line["path"]: line for line in csv.DictReader(file)}
    assert lines["00-q40.jpg"]["label"] == "brick" and lines["00.png"]["label"] == "wall"
    state = labels_of_images(history, table.contents)
    assert state.label_of(labelled) == "brick" and state.statuses[labelled] == "confirmed"
    assert "rejected" in state.statuses


def test_one_image_has_no_duplicate(workspace, tmp_path):
    (tmp_path / "one").mkdir()
    Image.linear_gradient("L").save(tmp_path / "one" / "a.png")
    dataset = add_folder(workspace, tmp_path / "one")
    scan(workspace, dataset.id)
    found = duplicates(workspace, DuplicatesRequest(dataset=dataset.id))
    assert found.groups == 0 and found.images == 1
    kept = Found.read(workspace.cache / "duplicates" / dataset.id / "duplicates.npz")
    assert len(kept.contents) == 0 and kept.images == 1
