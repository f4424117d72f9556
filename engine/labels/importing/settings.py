"""How labels are imported."""

from __future__ import annotations

from typing import Literal

from engine.core.settings import Settings, setting


class ImportSettings(Settings):
    """How labels are imported."""

    how: Literal["labels", "suggestions"] = setting(
        "labels",
        "As labels that count as confirmed, or as suggestions that wait for review.",
        label="Import as",
        aliases=("as",),
    )
    existing: Literal["keep", "replace"] = setting(
        "keep", "Images that have another label of their own keep it, or get the imported one."
    )
    keep_sources: bool = setting(
        True,
        "Labels that Kindred exported keep who gave them, such as 'by you'; else every label counts as imported.",
        label="Keep who said it",
    )
    path_column: str = setting("", "The column with the file's path or name; found by itself when empty.")
    label_column: str = setting("", "The column with the label; found by itself when empty.")
    id_column: str = setting("", "The column with Kindred's content id; found by itself when empty.", advanced=True)
    confidence_column: str = setting(
        "", "The column with the label's probability, from 0 to 1; found by itself when empty.", advanced=True
    )
    delimiter: str = setting("", "What stands between cells; found by itself when empty.", advanced=True)
    encoding: str = setting("", "The text's encoding; found by itself when empty.", advanced=True)
