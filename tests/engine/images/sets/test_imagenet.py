"""ImageNet and Tiny ImageNet from the archives and folders that people have, with their classes in words."""

from __future__ import annotations

import shutil
import zipfile

import pytest

from engine.core.errors import InputError
from engine.images.sets.registry import open_benchmark
from engine.images.sources import FolderSource, ReadError
from engine.images.wordnet import class_words
from tests.engine.images.pictures import encoded, noise
from tests.engine.images.sets import files


@pytest.fixture
def fresh(workspace):
    """A workspace of its own, and no set that an earlier test left open."""
    open_benchmark.cache_clear()
    return workspace


def test_tiny_imagenet_as_its_zip_is_unpacked_once(fresh, tmp_path):
    files.tiny_imagenet_folder(tmp_path / "made")
    shutil.make_archive(str(tmp_path / "tiny-imagenet-200"), "zip", tmp_path / "made", "tiny-imagenet-200")
    source = open_benchmark("tiny-imagenet", str(tmp_path / "tiny-imagenet-200.zip"))
    source.prepare()
    found = [(entry.truth, entry.split) for entry in source.entries()]
    assert found == [("Egyptian cat", "train"), ("reel", "train"), ("reel", "test")]
    (tmp_path / "tiny-imagenet-200.zip").write_bytes(b"no zip any more")
    source.prepare()  # the folder is there


def test_a_zip_that_is_damaged_or_would_escape_is_told_or_kept_inside(fresh, tmp_path):
    with zipfile.ZipFile(tmp_path / "tiny-imagenet-200.zip", "w") as bad:
        bad.writestr("tiny-imagenet-200/../../escaped.txt", "x")
        bad.writestr("tiny-imagenet-200/wnids.txt", "n02124075")
    open_benchmark("tiny-imagenet", str(tmp_path)).prepare()
    assert not (tmp_path.parent / "escaped.txt").exists() and not (tmp_path / "escaped.txt").exists()
    shutil.rmtree(tmp_path / "tiny-imagenet-200")
    (tmp_path / "tiny-imagenet-200.zip").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="damaged"):
        open_benchmark("tiny-imagenet", str(tmp_path)).prepare()


IMAGENET = [("tench", "train"), ("crane (1)", "train"), ("crane (2)", "train")]
IMAGENET += [(words, "test") for words, _ in IMAGENET]


@pytest.mark.parametrize("form", ["folders", "in a folder", "kaggle", "archives"])
def test_imagenet_in_every_form_that_lies_on_disk(fresh, tmp_path, form):
    if form == "folders":
        files.imagenet_folders(tmp_path)
    elif form == "in a folder":
        files.imagenet_folders(tmp_path / "ILSVRC2012")
    elif form == "kaggle":
        files.kaggle(tmp_path)
    else:
        files.imagenet_archives(tmp_path)
    source = open_benchmark("imagenet-1k", str(tmp_path))
    source.prepare()
    entries = sorted(source.entries(), key=lambda entry: entry.name)
    assert [(entry.truth, entry.split) for entry in entries] == IMAGENET
    wanted = [encoded(noise(at), "JPEG") for at in (0, 1, 2, 10, 11, 12)]
    assert [source.read(entry.name) for entry in entries] == wanted
    assert [entry.size for entry in entries] == [len(data) for data in wanted]
    for wrong in (b"train/n01440764/no.JPEG", b"no/n01440764/n01440764_0.JPEG"):
        with pytest.raises(ReadError):
            source.read(wrong)


def test_an_archive_of_imagenet_is_listed_once(fresh, tmp_path, monkeypatch):
    files.imagenet_archives(tmp_path)
    open_benchmark("imagenet-1k", str(tmp_path)).prepare()
    open_benchmark.cache_clear()
    monkeypatch.setattr("engine.images.sets.tars._members", lambda *_: pytest.fail("it was listed again"))
    assert len(list(open_benchmark("imagenet-1k", str(tmp_path)).entries())) == 6


def test_validation_images_without_their_classes_say_what_to_put_beside_them(fresh, tmp_path):
    files.imagenet_folders(tmp_path, flat=True)
    with pytest.raises(InputError, match="do not say their classes") as caught:
        list(open_benchmark("imagenet-1k", str(tmp_path)).entries())
    assert "LOC_val_solution.csv or ILSVRC2012_devkit_t12.tar.gz" in caught.value.hint
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(b"no tar")
    shutil.rmtree(tmp_path / "train")
    shutil.rmtree(tmp_path / "val")
    open_benchmark.cache_clear()
    with pytest.raises(InputError, match="cannot be listed"):
        open_benchmark("imagenet-1k", str(tmp_path)).prepare()


def test_class_folders_named_by_wordnet_ids_are_shown_in_words(tmp_path):
    files.imagenet_folders(tmp_path)
    truth = {entry.truth for entry in FolderSource(tmp_path, truth_from_folders=True).entries()}
    assert truth == {"tench", "crane (1)", "crane (2)"}
    assert class_words(["n01440764", "own name", "n99999999"]) == ["tench", "own name", "n99999999"]
