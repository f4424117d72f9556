"""The parser of every command: whole flags only, and a mistake is one sentence instead of a page of usage."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from engine.core.errors import InputError


class Parser(argparse.ArgumentParser):
    """argparse whose mistakes are `InputError`s."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own options
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"{message[:1].upper()}{message[1:]}.", self._folder(message) or f"See `{self.prog} --help`.")

    def _folder(self, message: str) -> str:
        """Return how a folder is given that stands without its flag; empty where that is not what is wrong."""
        _, _, rest = message.partition("unrecognized arguments: ")
        known = "--folder" in self._option_string_actions
        return f"Give the folder as `--folder {rest}`." if known and rest and Path(rest).is_dir() else ""


def peek(given: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag before the parser is complete; whether it may lack one is for the parser to say."""
    early = Parser(add_help=False)
    early.add_argument(flag, dest="value", nargs="?")
    known, _ = early.parse_known_args(list(given))
    value: str | None = known.value
    return value
