"""Propose a name for each cluster of a run, from a vocabulary: the word that its images are nearest to.

The images must be embedded by an encoder that reads words, such as CLIP. The run's folder keeps names.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import some_path
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.jobs.tasks.labels import NamesRequest, propose_names
from engine.labels.naming import parse_vocabulary


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and the vocabulary."""
    add_run_arguments(parser, NamesRequest, skip={"words"})
    parser.add_argument(
        "--vocabulary", "--words", type=some_path, help="a text file of words, one a line (default: common nouns)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Propose names, print them, then the file."""
    progress = ConsoleProgress()
    words = ""
    if arguments.vocabulary is not None:
        try:
            words = arguments.vocabulary.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"The vocabulary {arguments.vocabulary} cannot be read.", "Name a text file in UTF-8, one word a line."
            ) from error
        parse_vocabulary(words)
    request = read_run_request(arguments, NamesRequest, words=words)
    workspace = Workspace.open(arguments.workspace)
    for item in propose_names(workspace, request, progress):
        others = ", ".join(word for word, _ in item.alternates)
        chance = "" if item.reliable else "; no better than chance"
        progress.say(f"cluster {item.cluster}, {item.size:,} images: {item.word} (then {others}{chance})")
    return finish(request.opened(workspace).folder / "names.json")
