"""The flags of a clustering method: which one, a file of settings, and each setting of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from engine.clustering.deep.published import read_settings
from engine.clustering.registry import DEFAULT_METHOD, METHODS, find_method
from engine.commands.parser import peek
from engine.core.settings import add_flags, from_flags


def add_method_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the method and the settings of the chosen one; its device is that of the command."""
    parser.add_argument("--method", choices=[*METHODS], default=DEFAULT_METHOD, help="the clustering method")
    method = peek(given, "--method") or DEFAULT_METHOD
    if method in METHODS:
        add_flags(parser, find_method(method).settings_class, skip={"device"})


def method_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the chosen method's settings that were given: those of a settings file, then the flags over them.

    Raises
    ------
    InputError
        A setting is unknown or out of bounds.
    """
    model = find_method(arguments.method).settings_class
    kept = getattr(arguments, "settings", None)
    values = (read_settings(arguments.method, kept) if kept else {}) | from_flags(arguments, model)
    model.parse(values)
    return values | ({"device": arguments.device} if "device" in model.model_fields else {})
