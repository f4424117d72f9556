"""`python -m engine`, or `kindred` where it is installed: each command is a module of engine/commands.

Bad input ends with status 2 and one sentence on stderr; the last line on stdout is where the result lies.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from engine import __version__
from engine.commands.carried import rewritten
from engine.commands.parser import Parser
from engine.commands.registry import COMMANDS
from engine.core.catalog import TERMINAL, made_in
from engine.core.errors import KindredError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 2 bad input, 130 interrupted, 143 asked to end."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _command(given)
    except KindredError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt as stopped:
        print("Interrupted; what is on disk stays, and the same command goes on from it.", file=sys.stderr)
        return 128 + getattr(stopped, "signal", signal.SIGINT)
    except BrokenPipeError:  # stdout was closed; Python would complain once more when it closes it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{os.fspath(error.filename)!r}: " if error.filename is not None else ""
        print(f"{where}{error.strerror or error}.", file=sys.stderr)
    except MemoryError:
        print("The machine ran out of memory. Close other programs or use fewer images.", file=sys.stderr)
    return 2


def _command(given: list[str]) -> int:
    """Choose the command by the first word and run it on the rest."""
    name = "kindred" if Path(sys.argv[0]).stem == "kindred" else "python -m engine"
    parser = Parser(prog=name, description="See, cluster, correct and export a folder of unlabelled images.")
    parser.add_argument("--version", action="version", version=f"Kindred {__version__}")
    choices = parser.add_subparsers(dest="command", required=True, metavar="command")
    for word, (_, sentence) in COMMANDS.items():
        choices.add_parser(word, help=sentence, add_help=False)
    known, _ = parser.parse_known_args(given[:1])
    module = import_module(COMMANDS[known.command][0])
    command = Parser(prog=f"{name} {known.command}", description=module.__doc__)
    words = rewritten(given[1:])
    rest = module.expand(words) if hasattr(module, "expand") else words
    module.add_arguments(command, rest)
    with made_in(TERMINAL):
        status: int = module.main(command.parse_args(rest))
    return status


def command_line() -> NoReturn:
    """Run the command that was typed and exit with its status; `kindred` alone starts the app."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # the last line is a path: its very bytes, whatever the locale
        sys.stdout.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())
    alone = Path(sys.argv[0]).stem == "kindred" and not sys.argv[1:]
    sys.exit(main(["app"] if alone else None))


if __name__ == "__main__":
    command_line()
