"""Checking a workspace, and its library as one file and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.core.errors import KindredError, StorageError
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.jobs.tasks.requests import Request
from engine.jobs.upkeep.archive import Archived, read_archive, write_archive
from engine.jobs.upkeep.caches import check_caches
from engine.jobs.upkeep.findings import Finding
from engine.jobs.upkeep.library import LibraryCheck, check_library


class DoctorRequest(Request):
    """Check a workspace."""

    mend: bool = setting(False, "Mend what is cache; without it everything is only listed.", runtime=True)


@dataclass
class Diagnosis:
    """What the doctor found.

    Attributes
    ----------
    library : LibraryCheck
        Counts, and findings about what a person made.
    caches : list of Finding
        What is wrong in the cache and was not mended.
    mended : list of Finding
        What was.
    refused : list of str
        Why something could not be mended.
    """

    library: LibraryCheck
    caches: list[Finding]
    mended: list[Finding] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def left(self) -> list[Finding]:
        """Everything that is still not as it should be."""
        return [*self.library.findings, *self.caches]


def check_workspace(workspace: Workspace, request: DoctorRequest, progress: Progress = SILENT) -> Diagnosis:
    """Check shards against keys, catalog, label events, runs, caches and leftovers; mend the cache if asked.

    The library is never changed.
    """
    library = check_library(workspace, progress)
    caches = check_caches(workspace, library, progress)
    if not request.mend:
        return Diagnosis(library, caches)
    mended, refused = [], []
    for finding in caches:
        assert finding.mend is not None
        try:
            finding.mend()
            mended.append(finding)
        except KindredError as error:
            refused.append(f"{finding.place}: {error}")
        except OSError as error:
            refused.append(f"{finding.place}: {error.strerror}.")
    return Diagnosis(library, check_caches(workspace, library, progress), mended, refused)


class BackupRequest(Request):
    """Write the library into one file."""

    file: str = setting(..., "The file to write; it must not exist yet.")


def back_up(workspace: Workspace, request: BackupRequest, progress: Progress = SILENT) -> Archived:
    """Write what cannot be made again (data sets, label events, runs, settings) into one file.

    Raises
    ------
    InputError
        The file exists, lies in the library, or the library is empty.
    StorageError
        The disk is full, no permission, or the catalog cannot be read.
    """
    return write_archive(workspace, Path(request.file).expanduser().absolute(), progress)


class RestoreRequest(Request):
    """Make the library out of such a file."""

    file: str = setting(..., "The file that a backup wrote.")


def restore_library(workspace: Workspace, request: RestoreRequest, progress: Progress = SILENT) -> Archived:
    """Fill an empty workspace from a backup: all of it, or nothing.

    Raises
    ------
    InputError
        The workspace holds work already; the file is no whole backup, or would write outside the library.
    StorageError
        The disk is full, or no permission.
    """
    file = Path(request.file).expanduser().absolute()
    try:
        return read_archive(workspace, file, progress)
    except PermissionError as error:
        raise StorageError(f"No permission to read {file}.", "Change its permissions.") from error
