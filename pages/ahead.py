"""Imports what the first page needs while the browser still reads its own code."""

from __future__ import annotations

from importlib import import_module
from threading import Thread

_NEEDED = ("pages.registry", "pages.rail", "pages.images.all_images", "engine.images.report")


def import_ahead() -> None:
    """Begin to import in the background; a page that comes earlier waits for what it needs, as it would without."""
    Thread(target=_import, name="import-ahead", daemon=True).start()


def _import() -> None:
    for module in _NEEDED:
        import_module(module)
