"""Propose a name for each cluster of a run, from words; its images must be embedded by an encoder that reads words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.jobs.tasks.labels import NamesRequest, propose_names


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the words."""
    add_run_arguments(parser, NamesRequest, skip={"words"})
    parser.add_argument("--words", type=Path, help="a text file of words to choose from, one a line")


def main(arguments: argparse.Namespace) -> int:
    """Propose names, print them, then the file."""
    progress = ConsoleProgress()
    words = ""
    if arguments.words is not None:
        try:
            words = arguments.words.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The file of words {arguments.words} cannot be read.", "Check the path.") from error
    request = read_run_request(arguments, NamesRequest, words=words)
    for item in propose_names(Workspace.open(arguments.workspace), request, progress):
        progress.say(f"cluster {item.cluster}: {item.word}" + ("" if item.reliable else " (no better than chance)"))
    return finish(Path(request.folder or arguments.run) / "names.json")
