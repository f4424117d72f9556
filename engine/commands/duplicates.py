"""Find images that show the same: equal pixels, the same picture in another file, or similar by their embeddings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.commands.console import ConsoleProgress, finish
from engine.commands.data import add_data_arguments, check_early, embed_data, load_data
from engine.commands.requests import add_request_flags, read_request
from engine.core.workspace import Workspace
from engine.geometry.duplicates import LEVELS
from engine.jobs.tasks.duplicates import DuplicatesRequest, duplicates, duplicates_summary


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the data, the encoder's settings and what counts as the same."""
    add_data_arguments(parser, given)
    add_request_flags(parser, DuplicatesRequest, skip=("folder",))


def main(arguments: argparse.Namespace) -> int:
    """Find them, print how many there are, then the list."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    check_early(arguments)
    dataset = load_data(arguments, workspace, progress)
    identical = getattr(arguments, "level", None) == LEVELS[0]
    key = "" if identical else embed_data(arguments, workspace, dataset, progress).embedding.config_key
    request = read_request(arguments, DuplicatesRequest, dataset=dataset.id, config_key=key, folder="")
    found = duplicates(workspace, request, progress)
    counts = duplicates_summary(found)
    told = ", ".join(f"{counts[name]:,} {name}" for name in LEVELS if counts[name])
    groups = f"{counts['groups']:,} {'group' if counts['groups'] == 1 else 'groups'}"
    progress.say(f"{groups} in {counts['images']:,} images{f': {told}' if told else ''}.")
    return finish(found.listed)
