"""Audit all labels of a run: `audit RUN` lists images to look at, `audit RUN --answers LIST` says what they prove."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.jobs.tasks.audits import AuditRequest, audit_labels


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run, how many checks, and where the answers are."""
    add_run_arguments(parser, AuditRequest)


def main(arguments: argparse.Namespace) -> int:
    """Draw or judge, print what there is to do or what is proven, then the list."""
    progress = ConsoleProgress()
    found = audit_labels(Workspace.open(arguments.workspace), read_run_request(arguments, AuditRequest), progress)
    if found.sentence:
        progress.say(f"{found.sentence}.")
    else:
        progress.say(
            f"{found.checks:,} images from {found.parts:,} parts. Write right or wrong into the column `answer`, then: "
            f"audit {arguments.run} --answers {found.path}"
        )
    return finish(found.path)
