"""The parser of every command: whole flags only, and a mistake is one sentence instead of a page of usage."""

from __future__ import annotations

import argparse
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
        raise InputError(f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")
