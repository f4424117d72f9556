"""`python -m engine`: Kindred without a screen. Each command is a module of engine/commands.

Bad input ends with status 2 and one sentence on stderr; the last line on stdout is where the result lies.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from engine.commands import COMMANDS
from engine.errors import KindredError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__.splitlines()[0])
    choices = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (_, sentence) in COMMANDS.items():
        choices.add_parser(name, help=sentence, add_help=False)
    known, rest = parser.parse_known_args(given[:1])
    module = import_module(COMMANDS[known.command][0])
    command = argparse.ArgumentParser(prog=f"python -m engine {known.command}", description=module.__doc__)
    try:
        module.add_arguments(command, given[1:])
        status: int = module.main(command.parse_args(given[1:]))
    except KindredError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; what is on disk stays, and the same command goes on from it.", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
