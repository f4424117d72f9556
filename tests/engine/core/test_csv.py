"""The CSV writer: nothing runs as a formula, everything comes back."""

from __future__ import annotations

import csv
import errno
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.csv import path_bytes, path_text, read_csv, restore_cell, safe_cell, write_csv
from engine.core.errors import InputError, StorageError

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    "'=1",
    "''+x",
    "'",
    "'plain",
    "plain",
    "",
    "a,b",
    'say "x"',
    "two\nlines",
    "two\r\nlines",
    " =1",
    "قطة",
    "👩‍👩‍👧",
    "x" * 10_000,
    "-",
    "null",
]


def test_formulas_are_neutralised_and_everything_round_trips(tmp_path):
    path = tmp_path / "t.csv"
    write_csv(path, {"text": NASTY, "number": np.arange(len(NASTY)) - 5})
    raw = path.read_bytes()
    assert raw.startswith(b"text,number\r\n")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert not [row[0] for row in rows if row[0][:1] in tuple("=+-@\t\r＝")]
    assert [int(row[1]) for row in rows] == list(range(-5, len(NASTY) - 5)), "numbers stay numbers"
    found = read_csv(path)
    assert found["text"] == NASTY


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_safe_cell_is_undone_and_never_begins_like_a_formula(text):
    cell = safe_cell(text)
    assert restore_cell(cell) == text
    assert cell[:1] not in set("=+-@\t\r＝＋－＠")


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(), st.text(alphabet="\\x5cé41/", max_size=12).map(lambda text: text.encode())))
def test_any_path_comes_back_byte_for_byte(path):
    text = path_text(path)
    text.encode("utf-8")
    assert path_bytes(text) == path


def test_ordinary_paths_are_written_as_they_are():
    for name in ("a/b.jpg", "Zoë/猫.png", "back\\slash.jpg", "new\nline.jpg"):
        assert path_text(name.encode()) == name
    assert path_text(b"caf\xe9.jpg") == "caf\\xe9.jpg"


def test_every_kind_of_value(tmp_path):
    path = tmp_path / "t.csv"
    write_csv(
        path,
        {
            "float": np.array([0.1, np.nan, np.inf], np.float32),
            "mixed": [None, -2, 0.12345678],
            "bool": np.array([True, False, True]),
            "bytes": [b"\xff=", b"=x", b"a"],
            "text": np.array(["=a", "b", ""]),
        },
    )
    assert read_csv(path) == {
        "float": ["0.1", "", ""],
        "mixed": ["", "-2", "0.123457"],
        "bool": ["True", "False", "True"],
        "bytes": ["\\xff=", "=x", "a"],
        "text": ["=a", "b", ""],
    }


def test_an_empty_table_keeps_its_header(tmp_path):
    write_csv(tmp_path / "t.csv", {"a": [], "=b": []})
    assert read_csv(tmp_path / "t.csv") == {"a": [], "=b": []}


def test_a_spreadsheets_own_file_is_read(tmp_path):
    (tmp_path / "t.csv").write_bytes('\ufeffa,b\nx,"y\nz"\n\n'.encode())
    assert read_csv(tmp_path / "t.csv", required=("a",)) == {"a": ["x"], "b": ["y\nz"]}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "lacks the column"),
        (b"a,a\n1,2\n", "two columns"),
        (b"a,b\n1\n", "line 2: 1 cells instead of 2"),
        (b"a,b\n1,2,3\n", "line 2: 3 cells"),
        (b'a,b\n"1,2\n', "line 2"),
        (b"a\n\xff\n", "not UTF-8"),
        (b"b\n1\n", "lacks the column a"),
    ],
)
def test_damaged_files_are_told_with_the_line(tmp_path, data, told):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(InputError, match=told):
        read_csv(tmp_path / "t.csv", required=("a",))
    with pytest.raises(StorageError):
        read_csv(tmp_path / "absent.csv")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    write_csv(path, {"a": ["old"]})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_csv(path, {"a": ["new"]})
    monkeypatch.undo()
    assert read_csv(path) == {"a": ["old"]}
    assert list(tmp_path.iterdir()) == [path]


def test_columns_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(InputError, match="different lengths"):
        write_csv(tmp_path / "t.csv", {"a": ["x"], "b": []})
    assert not list(tmp_path.iterdir())
