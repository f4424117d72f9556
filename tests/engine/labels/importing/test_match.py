"""Lines find their images by path, by a name that only one image has, and by bytes; what fits several finds none."""

from __future__ import annotations

import unicodedata

import numpy as np

from engine.core.ids import pack
from engine.labels.importing.file import LabelFile
from engine.labels.importing.match import WAYS, match

FILES = {b"a/1.jpg": 0, b"b/1.jpg": 1, b"a/2.jpg": 2, b"c/deep/3.jpg": 3, b"top.jpg": 4, b"copy/2.jpg": 2}
CONTENTS = pack([bytes([at]) * 16 for at in range(5)])


def found(paths, contents=(), files=FILES, root=b"/home/me/photos"):
    labels = LabelFile("CSV", list(paths), ["x"] * len(paths), list(contents))
    rows = np.array(list(files.values()))
    result = match(labels, list(files), rows, CONTENTS, root)
    return [(row, WAYS[way]) for row, way in zip(result.rows.tolist(), result.way.tolist(), strict=True)], result


def test_a_path_is_found_from_other_folders_too():
    paths = [b"a/1.jpg", b"/home/me/photos/b/1.jpg", b"photos/a/2.jpg", b"deep/3.jpg", b"/elsewhere/c/deep/3.jpg"]
    assert found(paths)[0] == [(0, "path"), (1, "path"), (2, "path"), (3, "path"), (3, "path")]


def test_a_name_counts_only_where_one_image_has_it():
    paths = [b"3.jpg", b"1.jpg", b"x/2.jpg", b"absent.jpg", b"", b"x/y/top.jpg"]
    assert found(paths)[0] == [
        (3, "name"),
        (-1, "several fit"),
        (2, "name"),  # two files of the same bytes are one image
        (-1, "not found"),
        (-1, "not found"),
        (4, "name"),
    ]


def test_two_files_of_one_name_find_no_image_by_it():
    assert found([b"cats/3.jpg", b"dogs/3.jpg"])[0] == [(-1, "several fit")] * 2
    assert found([b"x/3.jpg", b"x/3.jpg"])[0] == [(3, "name")] * 2, "the same file twice is no other file"


def test_bytes_decide_where_they_are_known_and_find_what_was_renamed():
    contents = [bytes([4]) * 16, bytes([1]) * 16, bytes([9]) * 16, None]
    told, result = found([b"gone.jpg", b"a/1.jpg", b"top.jpg", b"a/2.jpg"], contents)
    assert told == [(4, "content id"), (1, "content id"), (4, "path"), (2, "path")]
    assert result.other_bytes == 1, "top.jpg was changed since"
    assert result.counts() == {"path": 2, "name": 0, "content id": 2}


def test_forms_of_unicode_are_equal_only_where_nothing_else_fits():
    composed, apart = "d/caf\u00e9.jpg".encode(), unicodedata.normalize("NFD", "d/caf\u00e9.jpg").encode()
    both = {composed: 0, apart: 1}
    assert found([composed, apart], files=both)[0] == [(0, "path"), (1, "path")]
    assert found([apart], files={composed: 0})[0] == [(0, "path")]
    assert found([b"x/" + apart.split(b"/")[1]], files={composed: 0})[0] == [(0, "name")]


def test_case_alone_does_not_make_two_names_one():
    assert found([b"A/1.JPG"])[0] == [(-1, "not found")]


def test_a_stem_finds_its_file():
    assert found([b"3"])[0] == [(3, "name")]
    assert found([b"1"])[0] == [(-1, "several fit")]
