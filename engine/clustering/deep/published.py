"""Settings of a method as a file: a paper's own for one of its data sets, by name, or a person's, by path.

A file is a JSON object of setting names and values; what it leaves out stays at the default. A run's config.json and a
search's best_hyperparameters.json are such files, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.core.errors import InputError
from engine.core.files import read_json

FOLDER = Path(__file__).with_name("published_settings")


def published(method: str) -> list[str]:
    """Return the names of a method's published settings."""
    return sorted(path.stem.removeprefix(f"{method}-") for path in FOLDER.glob(f"{method}-*.json"))


def read_settings(method: str, name: str) -> dict[str, Any]:
    """Return the settings called `name`, or those in the file at that path.

    Raises
    ------
    InputError
        Neither a published name nor a file, or not an object of settings.
    StorageError
        The file is not JSON.
    """
    known = published(method)
    path = FOLDER / f"{method}-{name}.json" if name in known else Path(name)
    if not path.is_file():
        raise InputError(
            f"There are no settings {name!r} for {method}.",
            f"Published: {', '.join(known)}; or name a JSON file." if known else "Name a JSON file.",
        )
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path.name} is not an object of settings.", 'Such as {"n_epochs": 100}.')
    kept = found.get("settings")
    if not isinstance(kept, dict):
        return found
    # A run's config.json, or the best of a search: what was given there.
    return {name: value for name, value in kept.items() if name in found.get("given", kept)}
