"""A file is replaced whole or not at all: full disks, kills and errors leave the old content and no debris."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.core.errors import StorageError
from engine.core.files import (
    content_id,
    load_array,
    plain,
    read_json,
    replace_file,
    save_array,
    save_arrays,
    write_json,
    write_text,
)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"old": True})
    return path


def alone(path):
    """Whether nothing but the file itself lies in its folder."""
    return [item.name for item in path.parent.iterdir()] == [path.name]


def test_content_id_is_blake2b_of_16_bytes():
    assert content_id(b"").hex() == "cae66941d9efbd404e4d88758ea67670"
    assert content_id(memoryview(b"abc")) == content_id(b"abc")


@pytest.mark.parametrize("when", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_content_and_says_so(old, monkeypatch, when):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if when != "write":
        monkeypatch.setattr(os, when, full)
    with pytest.raises(StorageError, match="disk is full") as told:
        replace_file(old, full if when == "write" else lambda file: file.write(b"new"))
    assert old.name in told.value.sentence
    monkeypatch.undo()
    assert read_json(old) == {"old": True}
    assert alone(old)


def test_no_permission_is_told(old, monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", denied)
    with pytest.raises(StorageError, match="No permission"):
        write_text(old, "new")


def test_another_error_goes_through_and_leaves_the_old_content(old):
    def wrong(file):
        file.write(b"half")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        replace_file(old, wrong)
    assert read_json(old) == {"old": True}
    assert alone(old)


def test_a_kill_in_the_middle_of_writing_leaves_the_old_content(old):
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom engine.core.files import replace_file\n"
        "def write(file):\n    file.write(b'x' * 100000)\n    file.flush()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "replace_file(Path(sys.argv[1]), write)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(old)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_json(old) == {"old": True}


def test_a_missing_folder_is_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "text\udcff")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == b"text\xff"


def test_json_of_numpy_paths_and_nan_is_plain(tmp_path):
    value = {
        1: np.float32(0.5),
        "n": np.int64(3),
        "nan": float("nan"),
        "inf": np.inf,
        "array": np.arange(3),
        "path": Path("a"),
        "set": {7},
        "nested": [{"x": np.nan}],
        "none": None,
        "flag": np.True_,
        "text": "ü",
    }
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == {
        "1": 0.5,
        "n": 3,
        "nan": None,
        "inf": None,
        "array": [0, 1, 2],
        "path": "a",
        "set": [7],
        "nested": [{"x": None}],
        "none": None,
        "flag": True,
        "text": "ü",
    }
    assert plain((1, 2)) == [1, 2]


def test_json_that_is_none_is_told_by_name(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        read_json(tmp_path / "gone.json")
    (tmp_path / "torn.json").write_text('{"a": ')
    with pytest.raises(StorageError, match=r"torn\.json is not valid JSON"):
        read_json(tmp_path / "torn.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(StorageError, match=r"bytes\.json"):
        read_json(tmp_path / "bytes.json")


def test_arrays_round_trip_and_are_mapped_read_only(tmp_path):
    array = np.arange(12, dtype=np.float16).reshape(3, 4)
    save_array(tmp_path / "a.npy", array)
    mapped = load_array(tmp_path / "a.npy")
    assert isinstance(mapped, np.memmap)
    assert (mapped == array).all()
    with pytest.raises(ValueError):
        mapped[0, 0] = 1
    assert not isinstance(load_array(tmp_path / "a.npy", mapped=False), np.memmap)
    save_arrays(tmp_path / "b.npz", one=array, two=array[0])
    with np.load(tmp_path / "b.npz") as found:
        assert (found["two"] == array[0]).all()


def test_damaged_arrays_and_pickles_are_refused(tmp_path):
    save_array(tmp_path / "a.npy", np.arange(1000))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:500])
    np.save(tmp_path / "b.npy", np.array([{}]), allow_pickle=True)
    for name in ("a.npy", "b.npy"):
        with pytest.raises(StorageError, match=name):
            load_array(tmp_path / name, mapped=False)
    with pytest.raises(StorageError, match="does not exist"):
        load_array(tmp_path / "gone.npy")
