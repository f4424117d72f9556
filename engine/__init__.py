"""Kindred's engine: everything that is not a screen. Import rooms as you need them; this file imports none."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def _version() -> str:
    """Return the version in pyproject.toml: read there in a checkout, else from the installed package."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.is_file():
        found: str = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
        return found
    try:
        return version("kindred")
    except PackageNotFoundError:
        return "unknown"


__version__ = _version()
