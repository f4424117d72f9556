"""Let simulated persons label runs whose truth is known, by the actions of the Label page, and count their clicks.

Each run is labelled three ways: guided (what Label ranks first, done again and again), one by one, and k-means with one
name for each cluster. Two figures count: the clicks until 90% of the images have the right label while at
least 95% of the labels are right, and the right labels per click at that point. A click is one press of the mouse or
of a key; letters of new names, images looked at and answers are counted apart. The labels of the workspace are left as
they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from engine.commands.console import ConsoleProgress, finish
from engine.core.settings import add_flags, from_flags
from engine.core.workspace import Workspace
from engine.jobs.tasks.simulation import SimulateRequest, simulate_labelling, write_curves
from engine.labels.simulate.measure import PRECISION, RECALL
from engine.labels.simulate.ways import Labelling, SimulateSettings

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # of the images, in clicks: the rows of the table


def add_arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Declare the runs, the persons and the curve's file."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs with a known truth")
    parser.add_argument("--workspace", type=Path, help="where cache/ and library/ live")
    parser.add_argument("--error-rate", type=float, nargs="+", default=[0.0], help="chances of taking an image wrongly")
    parser.add_argument("--csv", type=Path, help="write every point of every curve to this file")
    add_flags(parser, SimulateSettings, skip={"error_rate"})


def main(arguments: argparse.Namespace) -> int:
    """Simulate, print curves and figures, then the file."""
    workspace, progress = Workspace.open(arguments.workspace), ConsoleProgress()
    asked = [
        SimulateSettings.parse(from_flags(arguments, SimulateSettings) | {"error_rate": rate})
        for rate in arguments.error_rate
    ]
    named = []
    for run in arguments.runs:
        for settings in asked:
            request = SimulateRequest.parse({"run": str(run), "settings": settings})
            found = simulate_labelling(workspace, request, progress)
            named.append((run.name, settings.error_rate, found))
            progress.say(f"{run.name}, error rate {settings.error_rate:.0%}")
            progress.say(table(found))
    if arguments.csv is None:
        return finish(Path(arguments.runs[-1]) / "simulation.json")
    write_curves(arguments.csv, named)
    return finish(arguments.csv)


def table(found: list[Labelling]) -> str:
    """Return figures and curves as text: medians over the persons of each way."""
    lines = []
    for way in dict.fromkeys(one.way for one in found):
        mine = [one for one in found if one.way == way]
        rates = sorted(one.curve.right_per_click() for one in mine)
        reached = [one.curve.clicks_to() for one in mine]
        clicks = "never" if None in reached else f"{median(one for one in reached if one is not None):,.0f} clicks"
        lines.append(
            f"  {way}: {median(rates):.2f} right labels per click at {PRECISION:.0%} precision "
            f"[{rates[0]:.2f}, {rates[-1]:.2f}]; {RECALL:.0%} right at {PRECISION:.0%}: {clicks}; "
            f"{median(one.count.looks for one in mine):,.0f} looks, "
            f"{median(one.count.letters for one in mine):,.0f} letters, "
            f"{median(one.contradictions for one in mine):,.0f} contradictions, "
            f"{median(len(one.conflicts) for one in mine):,.0f} conflicts"
        )
        for share in SHARES:
            at = round(share * mine[0].curve.total)
            points = [point for one in mine if (point := one.curve.at(at)) is not None]
            if points:
                lines.append(
                    f"    {at:>6,} clicks {median(p.decisions for p in points):>8,.0f} decisions "
                    f"{median(p.labelled for p in points):>8,.0f} labelled  precision "
                    f"{median(p.precision for p in points):.3f}  recall "
                    f"{median(p.right / mine[0].curve.total for p in points):.3f}"
                )
    return "\n".join(lines)
