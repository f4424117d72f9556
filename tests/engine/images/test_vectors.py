"""A vector file is checked whole; what is wrong with it is one sentence that names the place."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.core.errors import InputError
from engine.core.files import content_id
from engine.images.vectors import read_features, read_vectors

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_the_three_formats_agree(tmp_path):
    ids, labels = ["a", "b", "c", "d"], ["x", "", "y", "x"]
    np.save(tmp_path / "v.npy", X.astype(np.float64))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3)
    files = [
        npz(tmp_path / "v.npz", vectors=X.astype(np.float16), ids=ids, labels=labels),
        parquet(tmp_path / "v.parquet", id=ids, embedding=[row.tolist() for row in X], label=["x", None, "y", "x"]),
        parquet(tmp_path / "f.parquet", vectors=fixed, ids=ids, labels=labels),
    ]
    for file in files:
        found = read_vectors(file)
        assert found.vectors.dtype == np.float32
        assert np.array_equal(found.vectors, X)
        assert found.ids == ids
        assert found.labels == ["x", None, "y", "x"]
        assert found.contents[0] == content_id(b"a")
        assert found.paths == [b"a", b"b", b"c", b"d"]
    plain = read_vectors(tmp_path / "v.npy")
    assert (plain.ids, plain.labels) == (None, None)
    assert np.array_equal(plain.vectors, X)


def test_without_ids_a_row_is_known_by_its_bytes(tmp_path):
    np.save(tmp_path / "v.npy", X)
    np.save(tmp_path / "w.npy", X[::-1].astype(np.float64))
    first, second = read_vectors(tmp_path / "v.npy"), read_vectors(tmp_path / "w.npy")
    assert first.contents.tolist() == second.contents[::-1].tolist()
    assert first.contents[1] == content_id(X[1].tobytes())
    assert len(set(first.paths)) == 4


def test_integer_ids_and_labels(tmp_path):
    found = read_vectors(npz(tmp_path / "v.npz", vectors=X, ids=np.array([7, 8, 9, 10]), labels=np.array([0, 1, 0, 1])))
    assert found.ids == ["7", "8", "9", "10"]
    assert found.labels == ["0", "1", "0", "1"]


def bad(array, at, value):
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"vectors": bad(X, (2, 1), np.nan)}, "1 of 4 vectors hold NaN or infinity, the first in row 2"),
        ({"vectors": bad(X, (0, 0), np.inf)}, "NaN or infinity"),
        ({"vectors": np.full((2, 2), 1e300)}, "NaN or infinity"),
        ({"vectors": np.full((2, 2), 1e30)}, "2 of 2 vectors are too long to be compared"),
        ({"vectors": X, "ids": ["a", "b", "a", "c"]}, "the id 'a' occurs more than once"),
        ({"vectors": X, "ids": ["a", "b", "", "c"]}, "1 of 4 ids are empty"),
        ({"vectors": X, "ids": ["a", "b"]}, r"`ids` has shape \(2,\), but there are 4 vectors"),
        ({"vectors": X, "labels": np.zeros((4, 2))}, "`labels` has shape"),
        ({"vectors": X[0]}, r"shape \(n, d\)"),
        ({"vectors": X[:0]}, "no vectors"),
        ({"vectors": np.array([["a", "b"]])}, "must be numbers"),
        ({"features": X}, "no array called `vectors`"),
        ({"vectors": np.array([[{}]], dtype=object)}, "Python objects"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, arrays, sentence):
    with pytest.raises(InputError, match=sentence):
        read_vectors(npz(tmp_path / "v.npz", **arrays))


def test_other_and_damaged_files(tmp_path):
    whole = npz(tmp_path / "v.npz", vectors=X).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "text.parquet").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("cut.npz", "text.npy", "text.parquet", "empty.npz"):
        with pytest.raises(InputError, match=name):
            read_vectors(tmp_path / name)
    with pytest.raises(InputError, match="no vector file"):
        read_vectors(tmp_path / "v.csv")
    with pytest.raises(InputError, match="cannot be found"):
        read_vectors(tmp_path / "none.npz")


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0]], [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]], [[1.0], None]])
def test_ragged_parquet_rows(tmp_path, rows):
    with pytest.raises(InputError, match="differ in length|no vector"):
        read_vectors(parquet(tmp_path / "v.parquet", vectors=rows))


@pytest.mark.parametrize("rows", [[1.0, 2.0], ["a", "b"]])
def test_parquet_columns_that_hold_no_lists(tmp_path, rows):
    with pytest.raises(InputError, match="not lists of numbers"):
        read_vectors(parquet(tmp_path / "v.parquet", vectors=rows))


def test_null_numbers_in_parquet(tmp_path):
    with pytest.raises(InputError, match="NaN"):
        read_vectors(parquet(tmp_path / "v.parquet", vectors=[[1.0, None], [2.0, 3.0]]))


def test_features_of_torch_are_read_and_nothing_in_them_is_executed(tmp_path):
    import torch

    torch.save({"features": torch.from_numpy(X), "labels": torch.tensor([1, 0, 1, 0])}, tmp_path / "v.pt")
    torch.save(torch.from_numpy(X), tmp_path / "alone.pt")
    torch.save({"features": Thing()}, tmp_path / "code.pt")
    found = read_vectors(tmp_path / "v.pt")
    assert found.labels == ["1", "0", "1", "0"]
    np.testing.assert_array_equal(found.vectors, X)
    np.testing.assert_array_equal(read_vectors(tmp_path / "alone.pt").vectors, X)
    with pytest.raises(InputError, match="other than tensors"):
        read_vectors(tmp_path / "code.pt")


class Thing:
    """What a features file does not hold."""


@pytest.mark.parametrize("kind", ["npy", "pt", "prefix", "run"])
def test_features_are_found_where_programs_leave_them(tmp_path, kind):
    import torch

    folder = tmp_path / "features"
    folder.mkdir()
    for name, rows, labels in (("train", X[:3], [1, 0, 1]), ("test", X[3:], [0])):
        if kind == "npy":
            np.save(folder / f"{name}_features.npy", rows)
            np.save(folder / f"{name}_labels.npy", np.array(labels))
        else:
            file = tmp_path / f"clip_{name}.pt" if kind == "prefix" else folder / f"{name}_features.pt"
            torch.save({"features": torch.from_numpy(rows), "labels": torch.tensor(labels)}, file)
    found = read_features({"prefix": tmp_path / "clip", "run": tmp_path}.get(kind, folder))
    np.testing.assert_array_equal(found.vectors, X)
    assert found.labels == ["1", "0", "1", "0"] and found.ids is None
    with pytest.raises(InputError, match="no features"):
        read_features(tmp_path / "nowhere")


def test_equal_rows_without_ids_stay_apart_and_distinct_ones_keep_the_id_they_had(workspace, tmp_path, rng):
    from engine.core.files import content_id
    from engine.images.datasets import add_vectors
    from engine.images.tables import load_images

    few = rng.normal(size=(5, 8)).astype(np.float32)
    many = few[rng.integers(0, 5, 300)]
    np.save(tmp_path / "many.npy", many)
    table = load_images(workspace, add_vectors(workspace, tmp_path / "many.npy").id)
    assert len(table) == 300
    assert content_id(many[0].tobytes()) == table.contents[0].ljust(16, b"\0")
    np.save(tmp_path / "few.npy", few)
    kept = read_vectors(tmp_path / "few.npy").contents
    assert kept.tolist() == [content_id(row.tobytes()).rstrip(b"\0") for row in few]
