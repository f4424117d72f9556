"""What to export and how; which of these a format uses stands in its entry."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from engine.core.settings import Settings, setting
from engine.export.formats import FORMATS, find_format

Mode = Literal["copy", "hardlink", "symlink"]
Classes = Literal["label", "cluster"]
OPTIONS = (
    "mode",
    "classes",
    "include_unlabelled",
    "labelled_only",
    "vectors",
    "bom",
)  # the fields that only some formats use


class ExportSettings(Settings):
    """What to export and how."""

    format: str = setting(
        "csv", "What to write: a table, or folders of images in another tool's format.", choices=FORMATS
    )
    mode: Mode = setting("copy", "How images get into folders: copied, or linked to the originals.")
    classes: Classes = setting(
        "label",
        "What a class is: the label, or 'cluster 7' for an image without one; clusters where nothing is labelled.",
    )
    include_unlabelled: bool = setting(False, "Class folders: images without a label into a folder of their own.")
    labelled_only: bool = setting(False, "Tables: leave out the files without a label.")
    vectors: bool = setting(False, "Parquet: with the embeddings, one line per distinct image.")
    bom: bool = setting(
        False, "CSV: begin with a byte-order mark, by which Excel knows UTF-8.", label="For Excel", aliases=("excel",)
    )
    split: bool = setting(False, "Divide into train, val and test; near-duplicates stay together.")
    train: float = setting(0.8, "Share of the training part.", ge=0.0, le=1.0, step=0.05)
    val: float = setting(0.1, "Share of the validation part.", ge=0.0, le=1.0, step=0.05)
    test: float = setting(0.1, "Share of the test part.", ge=0.0, le=1.0, step=0.05)
    near_duplicate: float = setting(
        0.98, "Images at least so similar count as near-duplicates.", ge=0.5, le=1.0, step=0.01, advanced=True
    )
    random_state: int = setting(0, "Seed of the split.", ge=0, le=2**31 - 1, advanced=True)

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.split and abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError("the shares of train, validation and test must add up to 1")
        return self

    @property
    def is_file(self) -> bool:
        """Whether one file is written rather than a folder."""
        return find_format(self.format).is_table
