"""The registry of what a job can do: a name, where its function lives, and whether it waits for the device.

A task is `function(workspace, folder, config, progress) -> dict`; it reads `config`, reports to
`progress`, writes its files and returns a small JSON result. Adding one is one function and one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.core.workspace import Workspace

TaskFunction = Callable[[Workspace, Path, dict[str, Any], Progress], dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One kind of job.

    Attributes
    ----------
    name : str
        As in config.json.
    where : str
        "module:function", imported when the job runs.
    waits : bool
        Whether it waits for the device that another job computes on.
    """

    name: str
    where: str
    waits: bool = True

    @property
    def function(self) -> TaskFunction:
        """Import and return the function."""
        module, name = self.where.split(":")
        found: TaskFunction = getattr(import_module(module), name)
        return found


_ALL = (
    Task("scan", "engine.jobs.work:scan_task", waits=False),
    Task("embed", "engine.jobs.work:embed_task"),
    Task("graph", "engine.jobs.work:graph_task"),
    Task("map", "engine.jobs.work:map_task", waits=False),
    Task("cluster", "engine.jobs.work:cluster_task"),
    Task("sweep", "engine.jobs.work:sweep_task"),
    Task("count", "engine.jobs.work:count_task"),
    Task("search", "engine.jobs.work:search_task"),
    Task("names", "engine.jobs.work:names_task"),
    Task("spread", "engine.jobs.work:spread_task", waits=False),
    Task("distil", "engine.jobs.work:distil_task"),
    Task("analysis", "engine.jobs.work:analysis_task", waits=False),
    Task("pseudo_labels", "engine.jobs.work:pseudo_label_task", waits=False),
    Task("experiment", "engine.jobs.experiment:experiment_task"),
    Task("export", "engine.jobs.work:export_task", waits=False),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}


def find_task(name: str) -> Task:
    """Return the task called `name`.

    Raises
    ------
    InputError
    """
    try:
        return TASKS[name]
    except KeyError:
        raise InputError(f"There is no kind of job called {name!r}.", f"Known: {', '.join(TASKS)}.") from None
