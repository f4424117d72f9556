"""Fetching one file of the hub so that it outlives a broken line: only what has not arrived yet is asked for.

The hub's client deletes an unfinished file when its process ends, and weights of hundreds of megabytes come over lines
that break. So their bytes go into a part file in the client's own cache, are compared with the hash that the hub names,
and only then become the client's file, which the client finds there as if it had fetched it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.core.errors import StorageError, WeightsError
from engine.core.progress import SILENT, Progress

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(model: str, name: str, progress: Progress = SILENT) -> Path:
    """Return a file of a model on the hub, downloaded where the cache lacks it.

    Parameters
    ----------
    model : str
        A repository, "org/name".
    name : str
        The file within it.
    progress : Progress
        Told in bytes.

    Raises
    ------
    WeightsError
        What arrived has another hash than the hub names.
    StorageError
        The disk is full.
    Exception
        What the hub's client raises; `weights` turns it into sentences.
    """
    from huggingface_hub import hf_hub_download

    bar = _listening(f"downloading {name}", progress)
    if name.endswith(_WEIGHTS):
        _complete(model, name, bar)
    return Path(hf_hub_download(model, name, tqdm_class=bar))


def _complete(model: str, name: str, bar: type[Any]) -> None:
    """Bring a large file into the cache's blobs, going on where an earlier try was cut off."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, not in __all__

    url = hf_hub_url(model, name)
    described = get_hf_file_metadata(url)
    if not described.etag or not described.size:
        return  # nothing to check a part against: the client fetches such a file by itself
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model") / "blobs"
    whole, part = folder / described.etag, folder / f"{described.etag}.part"
    if whole.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{described.etag}.part.lock"), part.open("ab") as file:
        if whole.exists():  # another process brought it meanwhile
            return
        if file.tell() > described.size:
            file.truncate(0)
            file.seek(0)
        have = file.tell()
        with _told_when_full(f"{name} of {model}", described.size - have, folder):
            http_get(
                url,
                file,
                resume_size=have,
                headers=build_hf_headers(),
                expected_size=described.size,
                displayed_filename=name,
                tqdm_class=bar,
            )
            file.flush()
        _check(model, name, part, described.etag)
        os.replace(part, whole)


def _check(model: str, name: str, part: Path, etag: str) -> None:
    """Compare a large file with the SHA-256 that the hub names it by; a damaged one is deleted."""
    if not _SHA256.fullmatch(etag):
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != etag:
        part.unlink()
        raise WeightsError(
            f"{name} of {model} arrived damaged: its SHA-256 is not the one that the hub names.",
            "Try again; the file is fetched anew.",
        )


@contextmanager
def _told_when_full(what: str, needed: int, folder: Path) -> Iterator[None]:
    """Refuse before the disk is full, and say so in the same words where it fills up meanwhile."""

    def full() -> StorageError:
        free = shutil.disk_usage(folder).free
        return StorageError(
            f"The disk is full: {what} needs {needed / 1e6:,.0f} MB more in {folder.parents[1]}, and "
            f"{free / 1e6:,.0f} MB are free.",
            "Free some space, or name a folder on another disk in HF_HOME; what has arrived is kept.",
        )

    if shutil.disk_usage(folder).free < needed:
        raise full()
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full() from error
        raise


def _listening(phase: str, progress: Progress) -> type[Any]:
    """Return a progress bar that draws nothing and tells `progress` instead."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg, misc]
        def __init__(self, *given: Any, **options: Any) -> None:  # noqa: ANN401 - tqdm's own
            options.pop("name", None)
            options["disable"] = False
            super().__init__(*given, **(options | {"file": _Nowhere()}))

        def display(self, *given: Any, **options: Any) -> None:  # noqa: ANN401 - tqdm's own
            if self.total:
                progress.update(float(self.n), float(self.total), phase=phase, unit="bytes")

        def close(self) -> None:
            self.display()
            super().close()

    return Bar


class _Nowhere:
    """A file that forgets what is written."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None
