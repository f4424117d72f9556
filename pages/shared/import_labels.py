"""Labels on their way in: a file or folder, what it would change, and the button that takes it in as one step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.core.files import replace_file
from engine.images.datasets import Dataset
from engine.labels.importing.settings import ImportSettings
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.job_view import job_view
from pages.shared.state import Current, escape, show_error
from pages.shared.tasks import newest, start_job

_OPEN = "importing_labels"
_TYPES = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet"]
_LISTS = {
    "unmatched": "Not found",
    "ambiguous": "Fit several images",
    "contradictory": "Say different labels",
    "unusable": "Say no label that can be used",
}


def import_button(now: Current, dataset: Dataset) -> None:
    """Draw the button that opens the dialog, and the dialog while it is open."""
    if pressed("Import labels", key="import_labels", icon=":material/upload_file:", type="tertiary"):
        st.session_state[_OPEN] = True
    if st.session_state.get(_OPEN):
        _dialog(now, dataset)


def _close() -> None:
    st.session_state[_OPEN] = False


@st.dialog("Import labels", width="large", on_dismiss=_close)
def _dialog(now: Current, dataset: Dataset) -> None:
    st.markdown(
        ":gray[A list (CSV, JSON, Parquet), class folders, COCO or Label Studio, or anything that Kindred exported. "
        "Images are found by path, by a name that only one has, or by content. Nothing is changed before you see "
        "what would be.]"
    )
    uploaded = st.file_uploader("A file", type=_TYPES, key="import_file")
    typed = st.text_input(
        "Or a file or folder on this machine", key="import_path", placeholder="/home/me/labels.csv"
    ).strip()
    try:
        settings = forms.draw(ImportSettings, key="import", columns=3)
        path = Path(typed).expanduser() if typed else _kept(now, uploaded)
    except KindredError as error:
        show_error(error)
        return
    if path is None:
        return
    asked: dict[str, Any] = {"labels": str(path), "settings": settings.model_dump(mode="json", exclude_defaults=True)}
    done = newest(now.workspace, "import-labels", dataset, dry_run=False, **asked)
    if job_view(done):
        return
    if done is not None and done.state == "done":
        st.success(f"{escape(done.result['event'])}. Undo on Label takes it back.", icon=":material/check:")
    looked = newest(now.workspace, "import-labels", dataset, dry_run=True, **asked)
    if job_view(looked):
        return
    with st.container(horizontal=True):
        if pressed("Look at what it would change", key="import_look", icon=":material/visibility:"):
            start_job(now.workspace, "import-labels", f"Looking at {path.name}", dataset, dry_run=True, **asked)
            st.rerun()
        ready = looked is not None and looked.state == "done" and bool(looked.result["images"])
        if looked is not None and done is not None and done.state == "done":
            ready = ready and looked.created > done.created
        if pressed("Import", key="import_go", type="primary", icon=":material/label:", disabled=not ready):
            start_job(now.workspace, "import-labels", f"Importing {path.name}", dataset, dry_run=False, **asked)
            st.rerun()
    if looked is not None and looked.state == "done":
        _preview(looked.result)


def _kept(now: Current, uploaded: Any) -> Path | None:  # noqa: ANN401 - Streamlit's uploaded file
    """Return where an uploaded file is kept, under its own name."""
    if uploaded is None:
        return None
    data = uploaded.getvalue()
    mark = hashlib.blake2b(data, digest_size=8).hexdigest()
    path = now.workspace.cache / "imports" / mark / Path(str(uploaded.name)).name
    if not path.is_file():
        replace_file(path, lambda file: file.write(data))
    return path


def _preview(found: dict[str, Any]) -> None:
    for sentence in found["sentences"]:
        st.markdown(f"- {escape(sentence)}")
    if found["classes"]:
        with st.expander("Labels by class"):
            classes = sorted(found["classes"].items(), key=lambda item: -item[1])
            st.dataframe(pd.DataFrame(classes, columns=["label", "images"]), hide_index=True, width="stretch")
    for kind, title in _LISTS.items():
        if found[kind]:
            with st.expander(f"{title} ({found['counts'][kind]:,})"):
                st.dataframe(pd.DataFrame(found[kind], columns=["line", "reason"]), hide_index=True, width="stretch")
