"""Kept clusterings by what tells them apart: the method, the number of clusters, and settings in which they differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.clustering.registry import method_title
from engine.runs.run import Run
from pages.shared.metrics import figures_of
from pages.shared.words import count

_QUIET = {
    "random_state",
    "n_init",
    "max_iter",
    "n_clusters",
    "device",
    "reproducible",
}  # settings that say nothing of the result
_SETTINGS = 3  # that a name holds at most
_NUMBER = re.compile(r"^[\d,]+ clusters?$")


def own_name(run: Run) -> str:
    """Return what a person called a run; empty where it has only the name that it was made with."""
    parts = run.name.split(", ")
    made = [method_title(run.method), str(run.config.get("dataset", {}).get("name", ""))]
    rest = [part for part in parts if part not in made and not _NUMBER.match(part)]
    return run.name if rest and run.name != run.folder.name and run.name != ", ".join(made) else ""


def names_of_runs(runs: Sequence[Run]) -> dict[str, str]:
    """Return a name for each run by its folder, no two the same: "TEMI, 12 clusters, heads 16".

    A name that a person gave stays. The others hold only those settings in which runs of the same method and number of
    clusters differ; where nothing differs they are numbered, the oldest first.
    """
    runs = list({run.folder.name: run for run in runs}.values())
    names = {run.folder.name: own_name(run) or _plain(run) for run in runs}
    for name in set(names.values()):
        alike = [run for run in runs if names[run.folder.name] == name and not own_name(run)]
        if len(alike) > 1:
            names |= {run.folder.name: ", ".join([name, *told]) for run, told in _told_apart(alike)}
    seen: dict[str, int] = {}
    for run in sorted(runs, key=lambda run: run.created):
        name = names[run.folder.name]
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[run.folder.name] = f"{name} ({seen[name]})"
    return names


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Return the settings that say something, such as "reduce pca-50, linkage ward"."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if name not in _QUIET and value != ""
    )


def _plain(run: Run) -> str:
    clusters = figures_of(run).get("n_clusters")
    title = method_title(run.method)
    return f"{title}, {count(clusters, 'cluster')}" if isinstance(clusters, int) else title


def _told_apart(runs: Sequence[Run]) -> list[tuple[Run, list[str]]]:
    """Return, for each run, the settings in which some of them differ, as words."""
    settings = [dict(run.config.get("settings", {})) for run in runs]
    names = [
        name
        for name in dict.fromkeys(name for one in settings for name in one)
        if name not in _QUIET and len({str(one.get(name)) for one in settings}) > 1
    ][:_SETTINGS]
    return [
        (run, [f"{name.replace('_', ' ')} {one[name]}" for name in names if one.get(name) is not None])
        for run, one in zip(runs, settings, strict=True)
    ]
