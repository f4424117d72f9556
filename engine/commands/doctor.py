"""Check a workspace: shards against keys, catalog, label events, runs, leftovers.

The status is 0 when everything is whole and 1 when something is left. Without --mend everything is only listed; with it
the cache is mended. The library is never changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress
from engine.commands.data import some_path
from engine.commands.requests import add_request_flags, read_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.upkeep import Diagnosis, DoctorRequest, check_workspace
from engine.jobs.upkeep.findings import Finding


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the workspace and whether to mend."""
    parser.add_argument("--workspace", type=some_path, help="where cache/ and library/ live")
    add_request_flags(parser, DoctorRequest)


def main(arguments: argparse.Namespace) -> int:
    """Print what was found, one line each; say by the status whether anything is left."""
    workspace = Workspace.open(arguments.workspace)
    found = check_workspace(workspace, read_request(arguments, DoctorRequest), ConsoleProgress())
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    for line in lines_of(workspace, found):
        print(line)
    return 1 if found.left else 0


def lines_of(workspace: Workspace, found: Diagnosis) -> list[str]:
    """Return what is printed about a workspace, the counts first."""
    library = found.library
    lines = [
        f"{workspace.root}: {library.datasets:,} data sets, {library.images:,} files, {library.events:,} label events, "
        f"{library.runs:,} runs, {library.unfinished:,} unfinished."
    ]
    lines += [f"library  {_shown(workspace, one)}" for one in library.findings]
    lines += [f"note     {sentence}" for sentence in library.notes]
    lines += [f"mended   {_shown(workspace, one)} It {one.remedy}." for one in found.mended]
    lines += [f"cache    {_shown(workspace, one)} By --mend it {one.remedy}{_freed(one)}." for one in found.caches]
    lines += [f"refused  {sentence}" for sentence in found.refused]
    if not found.left:
        lines.append("Everything is whole.")
    if found.caches:
        lines.append("The cache can be mended: python -m engine doctor --mend")
    return lines


def _shown(workspace: Workspace, finding: Finding) -> str:
    place = finding.place
    inside = place.relative_to(workspace.root) if place.is_relative_to(workspace.root) else place
    return f"{str(inside)!r}: {finding.sentence}"


def _freed(finding: Finding) -> str:
    return f" ({finding.size / 2**20:,.1f} MB)" if finding.size else ""
