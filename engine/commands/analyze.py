"""Recompute everything a run says about itself from its folder, without clustering again."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from engine.commands.console import ConsoleProgress, finish
from engine.commands.requests import add_run_arguments, read_run_request
from engine.core.workspace import Workspace
from engine.evaluation.verdict import verdict_of
from engine.jobs.tasks.results import AnalyseRequest, analyse
from engine.labels.quality import three_digits


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the run and what to add."""
    add_run_arguments(parser, AnalyseRequest)


def detail_lines(part: str, found: Mapping[str, Any]) -> list[str]:
    """Return every class and every cluster of one part as lines of text; none where no truth is known."""
    lines = []
    if found.get("per_class"):
        width = max(len(str(row["class"])) for row in found["per_class"])
        lines.append(f"{part}, each class: images, its cluster, share of its images there")
        lines += [
            f"  {row['class']:<{width}}  {row['size']:>7,}  "
            + (f"cluster {row['cluster']}  {row['accuracy']:.1%}" if row["cluster"] >= 0 else "no cluster of its own")
            for row in found["per_class"]
        ]
    if found.get("per_cluster"):
        lines.append(f"{part}, each cluster: images, its most frequent class, share of that class")
        lines += [
            f"  cluster {row['cluster']:<5}  {row['size']:>7,}  "
            + (f"{row['class']}  {row['purity']:.1%}" if row["class"] is not None else "no image of a known class")
            for row in found["per_cluster"]
        ]
    return lines


def main(arguments: argparse.Namespace) -> int:
    """Analyse, print the main figures, then the file."""
    progress = ConsoleProgress()
    request = read_run_request(arguments, AnalyseRequest)
    analysis = analyse(Workspace.open(arguments.workspace), request, progress)
    if verdict := verdict_of(analysis):
        progress.say(verdict.line)
    for part in ("train", "test"):
        for name, value in (analysis[part] or {}).items():
            if isinstance(value, float):
                progress.say(f"{part} {name}: {three_digits(value)}")
    if getattr(arguments, "detailed", False):
        for part, found in (("train", analysis), ("test", analysis.get("test_details", {}))):
            for line in detail_lines(part, found):
                progress.say(line)
    return finish(arguments.run / "analysis.json")
