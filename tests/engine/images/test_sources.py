"""A folder is walked whole, never left, and every name a file system allows survives."""

from __future__ import annotations

import os

import pytest

from engine.core.errors import InputError
from engine.images.datasets import open_source
from engine.images.sources import FolderSource, ReadError, folder_truth, shown
from tests.engine.images.pictures import quarters, write

HOSTILE = [
    b"=1+1.png",
    b"caf\xe9.png",
    "\U0001f408 cat.png".encode(),
    b"two\nlines.png",
    b"-rf.png",
    b"a b'\"$(x).png",
    b"..png.png",
    b"%s%n.png",
    "\u202egnp.png".encode(),
]


def names(source) -> list[bytes]:
    return [entry.name for entry in source.entries()]


def test_walks_into_folders_in_a_fixed_order_and_takes_only_images(tmp_path):
    for name in (
        "b/2.JPG",
        "b/1.jpeg",
        "a/deep/er/3.webp",
        "top.tif",
        "notes.txt",
        ".hidden.png",
        ".cache/4.png",
        "b/._1.jpg",
    ):
        write(tmp_path / name, b"bytes")
    assert names(FolderSource(tmp_path)) == [b"top.tif", b"a/deep/er/3.webp", b"b/1.jpeg", b"b/2.JPG"]


def test_entries_tell_size_and_time(tmp_path):
    path = write(tmp_path / "x.png", b"12345")
    os.utime(path, ns=(7, 1_234_567_890))
    (entry,) = FolderSource(tmp_path).entries()
    assert (entry.size, entry.mtime_ns, entry.truth, entry.split) == (5, 1_234_567_890, None, "")


def test_hostile_names_are_listed_and_read(tmp_path):
    for at, name in enumerate(HOSTILE):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"%d" % at)
    source = FolderSource(tmp_path)
    found = names(source)
    listed = [name for name in HOSTILE if not name.startswith(b".")]
    assert sorted(found) == sorted(listed)
    for name in listed:
        assert source.read(name) == b"%d" % HOSTILE.index(name)
        assert "\n" not in shown(name)
        shown(name).encode("utf-8")


def test_links_never_lead_out(tmp_path):
    outside = write(tmp_path / "outside" / "secret.png", b"secret")
    root = tmp_path / "root"
    write(root / "in.png", b"inside")
    (root / "loop").symlink_to(root)
    (root / "linked.png").symlink_to(root / "in.png")
    (root / "leak.png").symlink_to(outside)
    (root / "dead.png").symlink_to(root / "nothing.png")
    (root / "self.png").symlink_to(root / "self.png")
    (root / "folder").symlink_to(outside.parent)
    source = FolderSource(root)
    assert names(source) == [b"in.png", b"linked.png"]
    problems = dict(source.problems)
    assert set(problems) == {b"loop/", b"leak.png", b"dead.png", b"self.png", b"folder/"}
    assert "out of the folder" in problems[b"leak.png"]
    assert source.read(b"linked.png") == b"inside"
    for name in (b"leak.png", b"folder/secret.png", b"../outside/secret.png", os.fsencode(outside), b"in.png\0"):
        with pytest.raises(ReadError):
            source.read(name)


def test_a_root_that_is_itself_a_link_works(tmp_path):
    write(tmp_path / "real" / "x.png", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    source = FolderSource(tmp_path / "link")
    assert names(source) == [b"x.png"]
    assert source.read(b"x.png") == b"x"


def test_a_pipe_named_like_an_image_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    source = FolderSource(tmp_path)
    assert names(source) == []
    assert source.problems == [(b"pipe.png", "Not a regular file.")]
    with pytest.raises(ReadError, match="regular"):
        source.read(b"pipe.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_a_problem_not_an_end(tmp_path):
    write(tmp_path / "closed" / "x.png", b"x")
    write(tmp_path / "open" / "y.png", b"y")
    (tmp_path / "closed").chmod(0)
    try:
        source = FolderSource(tmp_path)
        assert names(source) == [b"open/y.png"]
        assert source.problems == [(b"closed/", "The folder cannot be read: no permission.")]
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_unlistable_folder_is_a_problem_whoever_runs(tmp_path, monkeypatch):
    write(tmp_path / "closed" / "x.png", b"x")
    write(tmp_path / "open" / "y.png", b"y")
    real = os.scandir

    def scandir(path):
        if os.fsencode(path).endswith(b"closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    source = FolderSource(tmp_path)
    assert names(source) == [b"open/y.png"]
    assert source.problems == [(b"closed/", "The folder cannot be read: no permission.")]


def test_a_file_that_went_away_is_told(tmp_path):
    path = write(tmp_path / "x.png", b"x")
    source = FolderSource(tmp_path)
    assert names(source) == [b"x.png"]
    path.unlink()
    with pytest.raises(ReadError, match="it is gone"):
        source.read(b"x.png")


def test_no_folder_and_no_kind(tmp_path):
    with pytest.raises(InputError, match="cannot be found"):
        FolderSource(tmp_path / "nothing")
    with pytest.raises(InputError, match="not a folder"):
        FolderSource(write(tmp_path / "file.png", quarters()))
    with pytest.raises(InputError, match="vectors only"):
        open_source("vectors", b"x", {})


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["cat/1.png", "dog/2.png", "3.png"], [("cat", ""), ("dog", ""), (None, "")]),
        (["Dataset/cat/1.png", "Dataset/dog/2.png"], [("cat", ""), ("dog", "")]),
        (
            ["train/cat/1.png", "val/cat/2.png", "test/dog/x/3.png"],
            [("cat", "train"), ("cat", "test"), ("dog", "test")],
        ),
        (["set/Train/cat/1.png", "set/Test/dog/2.png"], [("cat", "train"), ("dog", "test")]),
        (["cat/1.png", "cat/2.png"], [("cat", ""), ("cat", "")]),
        (["train/1.png", "test/2.png"], [("train", ""), ("test", "")]),
        (["cat/a/1.png", "dog/b/2.png"], [("cat", ""), ("dog", "")]),
        (["1.png"], [(None, "")]),
        ([], []),
    ],
)
def test_class_folders(paths, expected):
    assert folder_truth([path.encode() for path in paths]) == expected


def test_truth_only_when_asked(tmp_path):
    write(tmp_path / "cat" / "1.png", b"1")
    write(tmp_path / "d\u00f6g" / "2.png", b"2")
    assert [entry.truth for entry in FolderSource(tmp_path).entries()] == [None, None]
    assert [entry.truth for entry in FolderSource(tmp_path, truth_from_folders=True).entries()] == ["cat", "d\u00f6g"]
