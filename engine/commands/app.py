"""Start the app: what `streamlit run app.py` does, from any folder."""

from __future__ import annotations

import argparse
import os
import runpy
import socket
import sys
from collections.abc import Sequence

from engine.commands.data import some_path
from engine.core.errors import InputError
from engine.core.workspace import PROGRAM, Workspace

PORT = 8501
_ADDRESS = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare where to work and where to listen."""
    parser.add_argument("--workspace", type=some_path, help="where cache/ and library/ live")
    parser.add_argument(
        "--port", type=int, help=f"the port on {_ADDRESS} (default: {PORT}, or the next one that is free)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Serve the app until Ctrl-C; Streamlit finds its settings in .streamlit beside app.py.

    Raises
    ------
    InputError
        No such port, one that is taken, or the installation lacks the app.
    StorageError
        The workspace cannot be made.
    """
    if arguments.port is not None:
        check_port(arguments.port)
    app = PROGRAM / "app.py"
    if not app.is_file():
        raise InputError(f"There is no app.py in {PROGRAM}.", "Install Kindred again.")
    workspace = Workspace.open(arguments.workspace)
    os.environ["KINDRED_WORKSPACE"] = str(workspace.root)
    print(f"Kindred keeps your work in {workspace.root}", flush=True)
    if arguments.port is None and not _is_free(PORT):
        print(f"Port {PORT} is in use, so the next free one is taken; its address follows.", flush=True)
    # Without a port Streamlit takes 8501 or the next free one when it binds, so that two starts at once do not collide.
    port = [] if arguments.port is None else ["--server.port", str(arguments.port)]
    sys.argv = ["streamlit", "run", str(app), *port]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
    return 0


def check_port(wanted: int) -> None:
    """Refuse a port that cannot be listened on.

    Raises
    ------
    InputError
        There is no such port, or it is taken.
    """
    if not 0 < wanted < 65536:
        raise InputError(f"There is no port {wanted}.", "Choose one from 1024 to 65535.")
    if not _is_free(wanted):
        hint = "Choose another one, or none: then the next free one is taken."
        raise InputError(f"Port {wanted} is in use or may not be used.", hint)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        if os.name != "nt":  # as the server does: a port of a server that has just ended counts as free
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_ADDRESS, port))
        except OSError:
            return False
    return True
