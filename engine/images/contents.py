"""The bytes of an image by its content: from its own file where that is unchanged, else from any copy of it."""

from __future__ import annotations

import json

from engine.core.catalog import open_catalog
from engine.core.errors import InputError
from engine.core.files import content_id
from engine.core.workspace import Workspace
from engine.images.datasets import Dataset, open_source
from engine.images.sources import ReadError, Source


def read_image(workspace: Workspace, dataset: Dataset, source: Source, path: bytes, content: bytes) -> bytes:
    """Return the bytes of one image of a data set; where its file is gone or has changed, those of a copy elsewhere.

    Parameters
    ----------
    source : Source
        The data set's own, opened once.
    path, content : bytes
        The image by its name inside the source and by its content id.

    Raises
    ------
    ReadError
        No file with this content is left.
    """
    try:
        data = source.read(path)
        if dataset.kind == "folder" and not _is(workspace, dataset.id, path, content_id(data), content):
            raise ReadError("The file has changed since the scan; scan again.")
        return data
    except ReadError as error:
        try:
            return read_content(workspace, content, dataset.id)
        except InputError:
            raise error from None


def _is(workspace: Workspace, dataset: str, path: bytes, data_id: bytes, content: bytes) -> bool:
    """Whether bytes are those of an image: its own, or those that a scan has found in its file since."""
    if data_id == content:
        return True
    with open_catalog(workspace.catalog) as db:
        query = "SELECT 1 FROM image WHERE dataset = ? AND path = ? AND content = ? AND bytes = ?"
        return db.execute(query, (dataset, path, content, data_id)).fetchone() is not None


def read_content(workspace: Workspace, content: bytes, dataset: str | None = None) -> bytes:
    """Return the bytes of an image wherever a file with this content still lies, checked against the id.

    Parameters
    ----------
    content : bytes
        Its content id, or the id of the bytes that its file has now.
    dataset : str, optional
        The data set that it is asked for: only there a file with other bytes of now is the same image.

    Raises
    ------
    ReadError
        Every file with this content is gone or has changed.
    """
    with open_catalog(workspace.catalog) as db:
        found = db.execute(
            "SELECT d.kind, d.location, d.options, i.path, coalesce(i.bytes, i.content) AS now FROM image i"
            " JOIN dataset d ON d.id = i.dataset WHERE d.kind <> 'vectors' AND i.id IN ("
            " SELECT id FROM image WHERE content = ?1 AND (bytes IS NULL OR dataset = ?2)"
            " UNION SELECT id FROM image WHERE bytes = ?1) ORDER BY now = ?1 DESC",
            (content, dataset),
        ).fetchall()
    reason = ReadError("There is no image with this content.")
    for row in found:
        try:
            data = open_source(row["kind"], row["location"], json.loads(row["options"])).read(row["path"])
        except InputError as error:
            reason = ReadError(error.sentence)
            continue
        if content_id(data) == row["now"]:
            return data
        reason = ReadError("The file has changed since the scan.")
    raise reason
