"""A request's fields as flags: those that a person chooses, the settings inside it one by one."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from engine.core.settings import Settings, add_flags, from_flags
from engine.jobs.tasks.requests import Request

R = TypeVar("R", bound=Request)


def add_request_flags(
    parser: argparse.ArgumentParser, model: type[Request], *, prefix: str = "", skip: Collection[str] = ()
) -> None:
    """Declare a request's own fields, with `prefix` before their names, and the settings that it holds."""
    nested = nested_settings(model)
    inside = {"dataset", "config_key", "run", *nested, *skip}
    if set(model.model_fields) - inside:
        add_flags(parser, model, prefix=prefix, skip=inside)
    for name, settings in nested.items():
        if name not in skip:
            add_flags(parser, settings)


def read_request(arguments: argparse.Namespace, model: type[R], *, prefix: str = "", **known: Any) -> R:  # noqa: ANN401
    """Build the request from the flags that were given, and from what is `known` without them.

    Raises
    ------
    InputError
        A value is out of bounds.
    """
    values = from_flags(arguments, model, prefix=prefix)
    nested = nested_settings(model)
    values = {name: value for name, value in values.items() if name not in nested and name not in known}
    values |= {
        name: settings.parse(from_flags(arguments, settings)) for name, settings in nested.items() if name not in known
    }
    return model.parse(values | known)


def nested_settings(model: type[Settings]) -> dict[str, type[Settings]]:
    """Return the fields that are settings models themselves."""
    fields = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in fields.items() if isinstance(kind, type) and issubclass(kind, Settings)}


def add_run_arguments(parser: argparse.ArgumentParser, model: type[Request], *, skip: Collection[str] = ()) -> None:
    """Declare the run, the workspace and the fields of a request about a run."""
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")
    add_request_flags(parser, model, skip=skip)


def read_run_request(arguments: argparse.Namespace, model: type[R], **known: Any) -> R:  # noqa: ANN401
    """Build a request about the run that is named."""
    return read_request(arguments, model, run=str(arguments.run), **known)
