"""The registry of export formats: adding one is one file and one line in `FORMATS`.

A table is one file of labels; a folder or tool format plans where images and label files go, and
`engine.export.folders` carries the plan out. Nothing heavy is imported until a format is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from engine.core.errors import InputError


@dataclass(frozen=True)
class ExportFormat:
    """A format as pages, command line and tests see it.

    Attributes
    ----------
    name : str
        What stands in settings and flags.
    title, sentence : str
        What a person reads.
    kind : "table" | "folder" | "tool"
        One file of labels; images in class folders; images and label files as another tool reads them.
    files : str
        What is written; of a table the file's ending.
    module : str
        Where the writer is: `write(path, table, settings, vectors, progress)` for tables, else
        `plan(table, splits, settings) -> Plan`.
    options : tuple of str
        The fields of `ExportSettings` that mean something for this format, beside those of the split.
    needs_split : bool
        It cannot be without a training and a validation part.
    opening : str
        How other tools open it, for the README.txt beside the images.
    """

    name: str
    title: str
    sentence: str
    kind: Literal["table", "folder", "tool"]
    files: str
    module: str
    options: tuple[str, ...] = ("mode", "classes")
    needs_split: bool = False
    opening: str = ""

    @property
    def is_table(self) -> bool:
        """Whether one file is written rather than a folder with images."""
        return self.kind == "table"

    @property
    def writer(self) -> Any:  # noqa: ANN401 - two kinds of functions
        """Import and return the function that writes the table or plans the folder."""
        return getattr(import_module(self.module), "write" if self.is_table else "plan")


_TABLES, _TOOLS = "engine.export.tables", "engine.export.tools"
_ALL = (
    ExportFormat(
        "csv",
        "CSV",
        "One line per file, for spreadsheets and every other program.",
        "table",
        ".csv",
        f"{_TABLES}.csv",
        ("labelled_only", "bom"),
    ),
    ExportFormat(
        "parquet",
        "Parquet",
        "Typed columns for data frames, with the embeddings if wanted.",
        "table",
        ".parquet",
        f"{_TABLES}.parquet",
        ("labelled_only", "vectors"),
    ),
    ExportFormat(
        "json",
        "JSON",
        "One object per file, null where a value is missing.",
        "table",
        ".json",
        f"{_TABLES}.json",
        ("labelled_only",),
    ),
    ExportFormat(
        "folders",
        "Class folders (ImageFolder)",
        "One folder per label, for torchvision and most tools.",
        "folder",
        "label/image",
        f"{_TOOLS}.class_folders",
        ("mode", "classes", "include_unlabelled"),
        opening=(
            "torchvision: ImageFolder(this folder). It numbers the folders by their sorted names, as classes.csv "
            "does; where there are train, val and test, open each."
        ),
    ),
    ExportFormat(
        "yolo",
        "YOLO classification",
        "train, val and test, one folder per label in each.",
        "folder",
        "split/label/image",
        f"{_TOOLS}.yolo",
        needs_split=True,
        opening=(
            "Ultralytics: yolo classify train model=yolo11n-cls.pt data=this folder. It numbers the folders of "
            "each part by their sorted names, as classes.csv does."
        ),
    ),
    ExportFormat(
        "huggingface",
        "Hugging Face data set",
        "Images, metadata.jsonl and a card that makes label a ClassLabel.",
        "tool",
        "data/split/image, metadata.jsonl, README.md",
        f"{_TOOLS}.hugging_face",
        opening=(
            "datasets: load_dataset(this folder); `label` is a ClassLabel whose names stand in README.md and, in their "
            "order, in classes.csv. With load_dataset('imagefolder', data_dir=this folder) it is plain text."
        ),
    ),
    ExportFormat(
        "fiftyone",
        "FiftyOne",
        "Images and labels.json, for FiftyOneImageClassificationDataset.",
        "tool",
        "data/image, labels.json",
        f"{_TOOLS}.fiftyone",
        opening=(
            "FiftyOne: fo.Dataset.from_dir(this folder, dataset_type=fo.types.FiftyOneImageClassificationDataset), "
            "with splits one call for each of train, val and test; classes in the order of classes.csv."
        ),
    ),
    ExportFormat(
        "coco",
        "COCO classification",
        "Images and one annotation file per split; each box is the whole image.",
        "tool",
        "images/image, annotations/split.json",
        f"{_TOOLS}.coco",
        opening=(
            "pycocotools: COCO(annotations/all.json, or train, val, test); image files lie in images/. Category "
            "ids count from 1 in the order of classes.csv; the box of each annotation is the whole image."
        ),
    ),
    ExportFormat(
        "labelstudio",
        "Label Studio",
        "Images, tasks and the labelling interface; open labels are predictions.",
        "tool",
        "images/image, tasks.json, interface.xml",
        f"{_TOOLS}.label_studio",
        opening=(
            "Label Studio: set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to the full path of this folder before you start it; make a "
            "project with interface.xml as its labelling interface, add this folder's images/ as local storage (do "
            "not sync it), and import tasks.json."
        ),
    ),
)

FORMATS: dict[str, ExportFormat] = {entry.name: entry for entry in _ALL}


def find_format(name: str) -> ExportFormat:
    """Return the format called `name`.

    Raises
    ------
    InputError
        Unknown; the known ones are listed.
    """
    if name not in FORMATS:
        raise InputError(f"There is no export format {name!r}.", f"Known: {', '.join(FORMATS)}.")
    return FORMATS[name]
