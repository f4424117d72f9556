"""README.txt beside exported images: what lies here, how sure the labels are, and how each tool opens it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from engine.export.layout import encoded
from engine.labels.quality import LabelQuality

WIDTH = 100


def readme(
    title: str, opening: str, quality: LabelQuality, *, notes: Sequence[str] = (), class_numbers: bool = True
) -> bytes:
    """Return the text.

    Parameters
    ----------
    title : str
        The format's.
    opening : str
        How a tool opens it.
    quality : LabelQuality
        Of what is exported.
    notes : sequence of str
        What the person was told before it was written.
    class_numbers : bool
        Whether classes.csv lies beside it.
    """
    parts = [f"{title}, exported by Kindred", " ".join([*quality.sentences(), *notes])]
    if opening:
        parts.append(opening)
    if class_numbers:
        parts.append(
            "classes.csv: the number, label and count of each class, in the order in which this format numbers "
            "them, the same for every part."
        )
    parts += [
        "labels.csv: one line for each image. `file` is its place here and `path` its place in the original "
        "folder; `content_id` is a hash of its bytes. `label` is empty where nobody gave one; `label_source` says "
        "who did: by you (a person who looked at the image), cluster name, accepted guess (with "
        "`label_probability`) or imported. `cluster`, `cluster_name` and `cluster_confidence` are the "
        "clustering's; `audit_bound` is the share of right labels that an audit proves "
        "for all images it covers together.",
        "Labels such as NA, null or 1e5 are text. In pandas: pd.read_csv('labels.csv', dtype=str, "
        "keep_default_na=False). In Excel: Data, From Text/CSV, UTF-8, every column as text. A cell that a "
        "spreadsheet would take for a formula begins with an apostrophe, which is not part of the label.",
        "Kindred reads this folder again: python -m engine import-labels FOLDER --folder ORIGINALS.",
    ]
    return encoded("\n\n".join(textwrap.fill(part, WIDTH, break_long_words=False) for part in parts) + "\n")
