"""Imports and reads what the first page needs while the browser still reads its own code."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from threading import Thread

from engine.core.errors import KindredError

_NEEDED = ("pages.registry", "pages.rail", "pages.images.all_images", "engine.images.report")


def import_ahead() -> None:
    """Begin in the background; a page that comes earlier waits for what it needs, as it would without."""
    Thread(target=_prepare, name="ahead", daemon=True).start()


def _prepare() -> None:
    for module in _NEEDED:
        import_module(module)
    with suppress(KindredError, OSError):  # the page says what is wrong
        read_ahead()
    import_module("pandas")  # Streamlit does so at the first component whose data hold a list


def read_ahead() -> None:
    """Read what the first page asks of the catalog: of the newest data set, with which the app opens."""
    from engine.core.workspace import Workspace
    from engine.embeddings.configurations import list_configurations
    from engine.images.datasets import list_datasets
    from engine.images.report import report
    from pages.shared.covers import cover_ids

    workspace = Workspace.open()
    for dataset in list_datasets(workspace)[:1]:
        list_configurations(workspace, dataset.id)
        cover_ids(workspace, dataset)
        report(workspace, dataset.id)
