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
        if dataset.kind == "folder" and content_id(data) != content:
            raise ReadError("The file has changed since the scan; scan again.")
        return data
    except ReadError as error:
        try:
            return read_content(workspace, content)
        except InputError:
            raise error from None


def read_content(workspace: Workspace, content: bytes) -> bytes:
    """Return the bytes of an image wherever a file with this content still lies, checked against the id.

    Raises
    ------
    ReadError
        Every file with this content is gone or has changed.
    """
    with open_catalog(workspace.catalog) as db:
        found = db.execute(
            "SELECT d.kind, d.location, d.options, i.path FROM image i JOIN dataset d ON d.id = i.dataset"
            " WHERE i.content = ? AND d.kind <> 'vectors'",
            (content,),
        ).fetchall()
    reason = ReadError("There is no image with this content.")
    for row in found:
        try:
            data = open_source(row["kind"], row["location"], json.loads(row["options"])).read(row["path"])
        except InputError as error:
            reason = ReadError(error.sentence)
            continue
        if content_id(data) == content:
            return data
        reason = ReadError("The file has changed since the scan.")
    raise reason
