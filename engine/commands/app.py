"""Start the app: what `streamlit run app.py` does, from any folder."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence

from engine.commands.data import some_path
from engine.core.errors import InputError
from engine.core.workspace import PROGRAM, Workspace


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare where to work and where to listen."""
    parser.add_argument("--workspace", type=some_path, help="where cache/ and library/ live")
    parser.add_argument("--port", type=int, help="the port on 127.0.0.1 (default: 8501)")


def main(arguments: argparse.Namespace) -> int:
    """Serve the app until Ctrl-C; Streamlit finds its settings in .streamlit beside app.py.

    Raises
    ------
    InputError
        No such port, or the installation lacks the app.
    StorageError
        The workspace cannot be made.
    """
    if arguments.port is not None and not 0 < arguments.port < 65536:
        raise InputError(f"There is no port {arguments.port}.", "Choose one from 1024 to 65535.")
    app = PROGRAM / "app.py"
    if not app.is_file():
        raise InputError(f"There is no app.py in {PROGRAM}.", "Install Kindred again.")
    workspace = Workspace.open(arguments.workspace)
    os.environ["KINDRED_WORKSPACE"] = str(workspace.root)
    print(f"Kindred keeps your work in {workspace.root}", flush=True)
    port = [] if arguments.port is None else ["--server.port", str(arguments.port)]
    sys.argv = ["streamlit", "run", str(app), *port]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
    return 0
