"""Do the work that a job's folder describes; the app starts these as processes of their own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the folder, or --wait for the warm worker."""
    parser.add_argument("folder", nargs="?", type=Path, help="the job's folder")
    parser.add_argument("--wait", action="store_true", help="import what jobs need, then read the folder from stdin")


def main(arguments: argparse.Namespace) -> int:
    """Run the job; how it ended stands in its folder, and why it failed also on stderr."""
    from engine.core.errors import InputError
    from engine.jobs import job as jobs
    from engine.jobs.runner import run_job, wait_for_job

    if arguments.wait:
        return wait_for_job()
    if arguments.folder is None:
        raise InputError("Name the job's folder.")
    jobs.status(arguments.folder)
    status = run_job(arguments.folder)
    if status:
        ended = jobs.status(arguments.folder)
        print(ended.sentence, ended.hint, file=sys.stderr)
    return status
