"""Labels are read from what other programs write, and every label is the text that stands there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.importing.documents import local_path, read_value
from engine.labels.importing.read import read_labels
from engine.labels.importing.settings import ImportSettings

TRIPPING = [
    "007",
    "NA",
    "null",
    "1e5",
    "=1+1",
    "a/b",
    "CON",
    "con",
    "Con",
    "true",
    "None",
    "א" * 200,
    "a, b",
    'say "hi"',
]
PLAIN = ImportSettings()


def pairs(found):
    return list(zip([path.decode() for path in found.paths], found.labels, strict=True))


def text_of(rows, delimiter=",", end="\r\n"):
    def cell(value):
        return '"' + value.replace('"', '""') + '"' if any(letter in value for letter in ',;\t|"\n') else value

    return end.join(delimiter.join(cell(value) for value in row) for row in rows) + end


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_dialect_of_csv_is_read_and_labels_stay_text(tmp_path, delimiter, encoding, end):
    rows = [["file", "notes", "Class Name"], *([f"d/{at}.jpg", "", label] for at, label in enumerate(TRIPPING))]
    data = text_of(rows, delimiter, end).encode(encoding)
    (tmp_path / "labels.txt").write_bytes((b"\xff\xfe" if encoding == "utf-16-le" else b"") + data)
    found = read_labels(tmp_path / "labels.txt", PLAIN)
    assert pairs(found) == [(f"d/{at}.jpg", label) for at, label in enumerate(TRIPPING)]


def test_another_encoding_is_guessed_and_said_or_named(tmp_path):
    (tmp_path / "a.csv").write_bytes("name;label\na.jpg;café\n".encode("cp1252"))
    found = read_labels(tmp_path / "a.csv", PLAIN)
    assert found.labels == ["café"] and "Windows-1252" in found.notes[0]
    (tmp_path / "b.csv").write_bytes("name;label\na.jpg;кот\n".encode("cp1251"))
    assert read_labels(tmp_path / "b.csv", ImportSettings(encoding="cp1251")).labels == ["кот"]
    with pytest.raises(InputError, match="is not utf-16 text"):
        read_labels(tmp_path / "b.csv", ImportSettings(encoding="utf-16"))
    with pytest.raises(InputError, match="no encoding 'latin99'"):
        read_labels(tmp_path / "b.csv", ImportSettings(encoding="latin99"))


def test_columns_are_named_where_they_have_other_names(tmp_path):
    (tmp_path / "a.csv").write_text("bild,art,wie sicher\na.jpg,hund,87%\nb.jpg,katze,0.5\nc.jpg,,\n")
    with pytest.raises(InputError, match="its columns are 'bild', 'art', 'wie sicher'") as refused:
        read_labels(tmp_path / "a.csv", PLAIN)
    assert refused.value.hint == "Name it: --label-column NAME."
    with pytest.raises(InputError, match="no column 'arten'"):
        read_labels(tmp_path / "a.csv", ImportSettings(label_column="arten"))
    named = ImportSettings(path_column="bild", label_column="art", confidence_column="wie sicher")
    found = read_labels(tmp_path / "a.csv", named)
    assert pairs(found) == [("a.jpg", "hund"), ("b.jpg", "katze"), ("c.jpg", None)]
    np.testing.assert_allclose(found.probability, [0.87, 0.5, np.nan], rtol=1e-6)


def test_a_file_without_column_names_is_read_by_its_file_names(tmp_path):
    (tmp_path / "a.csv").write_text("photos/a.jpg,dog\nphotos/b.jpg,cat\n")
    found = read_labels(tmp_path / "a.csv", PLAIN)
    assert pairs(found) == [("photos/a.jpg", "dog"), ("photos/b.jpg", "cat")]
    assert found.notes == ["The file has no line of column names."]


def test_windows_paths_and_quoted_line_breaks(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'path,label\n.\\d\\a.jpg,"two\nlines"\n\n"d/b, c.jpg",x\n')
    assert pairs(read_labels(tmp_path / "a.csv", PLAIN)) == [("d/a.jpg", "two\nlines"), ("d/b, c.jpg", "x")]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"one\ntwo\n", "no column called label"),
        ("a.xlsx", b"PK", "is a spreadsheet"),
        ("a.zip", b"PK", "is packed"),
        ("a.parquet", b"no parquet", "no readable Parquet"),
        ("a.json", b"{broken", "is no JSON"),
        ("a.json", b"3", "holds no labels"),
        ("a.json", b"[]", "holds no labels"),
        ("a.json", b"\xff\xfe\x00", "not UTF-8"),
        ("a.jsonl", b'{"path": "a"}\n', "no column called label"),
    ],
)
def test_what_holds_no_labels_is_told_in_one_sentence(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=told):
        read_labels(tmp_path / name, PLAIN)
    with pytest.raises(InputError, match="no file or folder"):
        read_labels(tmp_path / "absent.csv", PLAIN)


@pytest.mark.parametrize(
    "value",
    [
        [{"path": "a.jpg", "label": "007"}, {"path": "b.jpg", "label": None}],
        {"a.jpg": "007", "b.jpg": None},
        {"path": ["a.jpg", "b.jpg"], "label": ["007", None]},
        {"path": {"0": "a.jpg", "1": "b.jpg"}, "label": {"0": "007", "1": None}},
        [{"image": "a.jpg", "label": {"choices": ["007"]}}, {"image": "b.jpg", "label": []}],
        {"images": [{"file_name": "a.jpg", "label": "007"}, {"file_name": "b.jpg"}]},
    ],
)
def test_json_of_any_shape(tmp_path, value):
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert pairs(read_labels(tmp_path / "a.json", PLAIN)) == [("a.jpg", "007"), ("b.jpg", None)]


def test_numbers_in_json_stay_as_they_were_written(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"path": "a", "label": 1e5}\n{"path": "b", "label": 7}\n{"path": "c", "label": true}\n'
    )
    assert read_labels(tmp_path / "a.jsonl", PLAIN).labels == ["1e5", "7", "true"]


def test_parquet_keeps_text_and_leaves_vectors_alone(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {"path": ["a", "b"], "label": pa.array(["NA", "cat"]).dictionary_encode(), "vectors": [[1.0], [2.0]]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert pairs(read_labels(tmp_path / "a.parquet", PLAIN)) == [("a", "NA"), ("b", "cat")]


def coco(**more):
    return {
        "images": [{"id": at, "file_name": f"{at}.jpg"} for at in range(4)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "007"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1},
            {"id": 2, "image_id": 1, "category_id": 2},
            {"id": 3, "image_id": 1, "category_id": 2},
            {"id": 4, "image_id": 2, "category_id": 1},
            {"id": 5, "image_id": 2, "category_id": 2},
        ],
    } | more


def test_coco_gives_the_category_where_there_is_one(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(coco()))
    (tmp_path / "annotations" / "val.json").write_text(
        json.dumps(coco(images=[{"id": 0, "file_name": "9.jpg"}], annotations=coco()["annotations"][:1]))
    )
    found = read_labels(tmp_path, PLAIN)
    assert pairs(found) == [("0.jpg", "cat"), ("1.jpg", "007"), ("2.jpg", None), ("3.jpg", None), ("9.jpg", "cat")]
    assert found.problems == [("2.jpg", "It has 2 labels (cat, 007); Kindred keeps one for an image.")]


def annotation(*choices, **more):
    return {"id": 1, "completed_by": 2, "result": [{"type": "choices", "value": {"choices": list(choices)}}]} | more


def task(image, *annotations, predictions=()):
    return {"id": 1, "data": {"image": image}, "annotations": list(annotations), "predictions": list(predictions)}


TASKS = [
    task("/data/local-files/?d=photos%2Fa%20b.jpg", annotation("cat")),
    task("/data/upload/3/0a1b2c3d-c.jpg", annotation("cat"), annotation("dog"), annotation("cat")),
    task("s3://bucket/d.jpg", annotation("cat"), annotation("dog")),
    task("http://host/e.jpg?x=1", annotation("cat", "dog")),
    task("f.jpg", annotation("cat", was_cancelled=True)),
    task("g.jpg", predictions=[{"score": 0.75, "result": annotation("owl")["result"]}]),
    task("h.jpg", annotation(), annotation("owl")),
]


def test_label_studio_with_several_annotators():
    found = read_value(TASKS, PLAIN, name="tasks.json")
    assert pairs(found) == [
        ("photos/a b.jpg", "cat"),
        ("c.jpg", "cat"),
        ("d.jpg", None),
        ("e.jpg", None),
        ("f.jpg", None),
        ("g.jpg", None),
        ("h.jpg", "owl"),
    ]
    assert [reason for _, reason in found.problems] == [
        "Its annotators disagree: cat, dog.",
        "It has 2 labels (cat, dog); Kindred keeps one for an image.",
    ]
    assert found.notes == [
        "Of 1 task not all annotators chose the label taken.",
        "Predictions alone: 1. Import as suggestions to take these.",
    ]
    suggested = read_value(TASKS, ImportSettings(how="suggestions"), name="tasks.json")
    assert suggested.labels[5] == "owl" and suggested.probability[5] == 0.75


def test_label_studio_in_its_smaller_forms(tmp_path):
    small = [
        {"image": "/data/upload/1/0a1b2c3d-a.jpg", "annotator": 1, "label": "cat"},
        {"image": "/data/upload/1/0a1b2c3d-a.jpg", "annotator": 2, "label": "cat"},
        {"image": "/data/upload/1/11111111-b.jpg", "annotator": 1, "label": {"choices": ["cat", "dog"]}},
    ]
    (tmp_path / "min.json").write_text(json.dumps(small))
    rows = [
        ["image", "id", "label", "annotator"],
        *(
            [
                r["image"],
                "1",
                json.dumps(r["label"]) if isinstance(r["label"], dict) else r["label"],
                str(r["annotator"]),
            ]
            for r in small
        ),
    ]
    (tmp_path / "min.csv").write_text(text_of(rows))
    for name in ("min.json", "min.csv"):
        found = read_labels(tmp_path / name, PLAIN)
        assert pairs(found) == [("a.jpg", "cat"), ("b.jpg", None)]
        assert "It has 2 labels" in found.problems[0][1]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/data/local-files/?d=x/%E7%8C%AB.jpg", "x/猫.jpg"),
        ("gs://bucket/x/y.jpg", "x/y.jpg"),
        ("https://host/x%20y.jpg?token=1", "x y.jpg"),
        ("a%20b.jpg", "a%20b.jpg"),
        ("C:/photos/a.jpg", "C:/photos/a.jpg"),
        ("50% off #1?.jpg", "50% off #1?.jpg"),
    ],
)
def test_the_path_inside_an_address(address, path):
    assert local_path(address) == path


def images(folder, *places):
    for at, place in enumerate(places):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(bytes([at]))


def test_class_folders_with_and_without_parts(tmp_path):
    images(tmp_path / "a", "cat/1.jpg", "cat/deep/2.png", "dog/1.jpg", "dog/.hidden.jpg", "dog/notes.txt", "top.jpg")
    found = read_labels(tmp_path / "a", PLAIN)
    assert pairs(found) == [("cat/1.jpg", "cat"), ("cat/deep/2.png", "cat"), ("dog/1.jpg", "dog")]
    assert len(set(found.contents)) == 3
    images(tmp_path / "b", "train/cat/1.jpg", "val/cat/2.jpg", "test/dog/3.jpg")
    assert read_labels(tmp_path / "b", PLAIN).labels == ["dog", "cat", "cat"]
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match="holds no labels"):
        read_labels(tmp_path / "c", PLAIN)


def test_fiftyone_and_hugging_face_folders_know_their_images_by_their_bytes(tmp_path):
    images(tmp_path / "f", "data/a.jpg", "data/b.png")
    (tmp_path / "f" / "labels.json").write_text(json.dumps({"classes": ["x", "7"], "labels": {"a": 1, "b": 0}}))
    found = read_labels(tmp_path / "f", PLAIN)
    assert pairs(found) == [("a.jpg", "7"), ("b.png", "x")] and all(found.contents)
    images(tmp_path / "h", "train/a.jpg", "test/b.jpg")
    for part, name in (("train", "a.jpg"), ("test", "b.jpg")):
        (tmp_path / "h" / part / "metadata.jsonl").write_text(json.dumps({"file_name": name, "label": part}) + "\n")
    found = read_labels(tmp_path / "h", PLAIN)
    assert pairs(found) == [("test/b.jpg", "test"), ("train/a.jpg", "train")] and all(found.contents)
