"""Where a sweep computes: one process owns the GPU, where there is one, and the others never open it.

What a method does not compute on a GPU, and the scores of every candidate, are worked out on the processor meanwhile.
"""

from __future__ import annotations

from engine.clustering.registry import find_method, method_title
from engine.core.device import threads
from engine.selection.sweep.settings import SweepSettings


def worker_count(settings: SweepSettings, gpu: str | None) -> int:
    """Return how many workers leave the GPU alone: none where one process does everything and owns it."""
    if settings.no_parallel:
        return 1 if gpu is None else 0
    return settings.n_jobs or max(1, threads() - (gpu is not None))


def division(settings: SweepSettings, workers: int, gpu: str) -> str:
    """Return a sentence that says what is done where."""
    titles = [method_title(name) for name in settings.algorithms if find_method(name).on_gpu]
    if not workers:
        return f"One process does everything; it computes {', '.join(titles) or 'nothing'} on {gpu}."
    others = "One other process" if workers == 1 else f"{workers} other processes"
    return (
        f"One process fits {', '.join(titles) or 'nothing'} on {gpu}. {others} of one thread each fit the other "
        "methods and score all candidates on the processor."
    )
