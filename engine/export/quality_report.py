"""The label quality report: one HTML file that says for each label how many there are, who looked, and what is proven.

Pictures are inlined, nothing is loaded from elsewhere, every name is escaped and the file runs no script.
"""

from __future__ import annotations

import base64
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.core.files import write_text
from engine.core.ids import pack, positions
from engine.export.report import STYLE, html_text, plain_html, source_bar
from engine.images.sources import shown
from engine.labels.audit import purity_bound
from engine.labels.log import Event
from engine.labels.quality import LabelQuality, three_digits
from engine.labels.state import BY_YOU, SOURCE_NAMES, LabelState


@dataclass
class LabelFigures:
    """What is known of one label.

    Attributes
    ----------
    name : str
    count : int
        Images that have it.
    by_source : dict of str to int
    settled : int
        Those that a person looked at one by one.
    covered : int
        Those that an audit covers.
    checked, wrong : int
        Images with this label in the audits that hold, and those of them that were found wrong.
    bound : float
        The lowest share that one of these audits proves right for this label alone; NaN without one.
    right_rows, wrong_rows : list of int
        Images that were looked at and found right, and wrong, as far as they are still here.
    """

    name: str
    count: int = 0
    by_source: dict[str, int] = field(default_factory=dict)
    settled: int = 0
    covered: int = 0
    checked: int = 0
    wrong: int = 0
    bound: float = float("nan")
    right_rows: list[int] = field(default_factory=list)
    wrong_rows: list[int] = field(default_factory=list)


def label_figures(state: LabelState, events: Sequence[Event]) -> list[LabelFigures]:
    """Return the figures of every label in use or audited, the most frequent first.

    Parameters
    ----------
    state : LabelState
    events : sequence of Event
        Those that hold, in order.
    """
    found: dict[str, LabelFigures] = {}
    for code, name in enumerate(state.label_names):
        rows = np.flatnonzero(state.codes == code)
        counts = np.bincount(state.source[rows], minlength=len(SOURCE_NAMES)).tolist()
        found[name] = LabelFigures(
            name,
            len(rows),
            {source: counts[at] for at, source in enumerate(SOURCE_NAMES) if counts[at] and at},
            counts[BY_YOU],
            int(np.isfinite(state.bound[rows]).sum()),
            right_rows=rows[state.source[rows] == BY_YOU].tolist(),
        )
    for event in events:
        if event.kind == "audit":
            _count_audit(found, state, event)
    in_use = [figures for figures in found.values() if figures.count or figures.checked]
    return sorted(in_use, key=lambda figures: (-figures.count, figures.name))


def _count_audit(found: dict[str, LabelFigures], state: LabelState, event: Event) -> None:
    """Add what one audit looked at."""
    looked = pack(event.blob)[event.count :]
    rows = positions(state.contents, looked)
    wrong = np.arange(len(rows)) < int(event.detail["wrong"])
    groups = event.detail.get("labels")
    sizes: dict[str, int] = defaultdict(int)
    if groups:
        said = [label for label, count in groups for _ in range(count)]
        labels = [said[at] for at in positions(event.contents, looked).tolist()]
        for label, count in groups:
            sizes[label] += count
    else:
        labels = [event.detail.get("label")] * len(rows)
        sizes[str(event.detail.get("label"))] = event.count
    for label in dict.fromkeys(labels):
        if label is None or label not in found:
            continue
        figures, here = found[label], np.array([one == label for one in labels], bool)
        checked, bad = int(here.sum()), int((here & wrong).sum())
        figures.checked += checked
        figures.wrong += bad
        confidence = float(event.detail.get("confidence", 0.95))
        bound = purity_bound(checked, bad, population=max(sizes[label], checked), confidence=confidence)
        figures.bound = bound if np.isnan(figures.bound) else min(figures.bound, bound)
        known = set(figures.right_rows)
        figures.right_rows += [row for row in rows[here & ~wrong].tolist() if row >= 0 and row not in known]
        figures.wrong_rows += [row for row in rows[here & wrong].tolist() if row >= 0]


def write_quality_report(
    path: Path,
    state: LabelState,
    events: Sequence[Event],
    *,
    title: str,
    paths: Sequence[bytes],
    thumbnail: Callable[[bytes], bytes | None],
    samples: int = 4,
    max_labels: int = 300,
) -> None:
    """Write the report.

    Parameters
    ----------
    path : Path
        Where to; one .html file.
    state : LabelState
    events : sequence of Event
        Those of the label history that hold.
    title : str
    paths : n bytes
        First path of each image; the pictures' descriptions.
    thumbnail : function of a content id
        JPEG bytes, None where there is no picture.
    samples : int
        Right and wrong examples of each label.
    max_labels : int
        The most frequent labels are shown with pictures; the table holds all.
    """
    figures = label_figures(state, events)
    quality = LabelQuality.count(state.sources, state.bound)
    said = "\n".join(f"<p>{html_text(text)}</p>" for text in quality.sentences())
    sections = [_section(state, one, paths, thumbnail, samples) for one in figures[:max_labels]]
    rest = len(figures) - len(sections)
    if rest:
        sections.append(f'<section class="rest soft">{rest:,} rarer labels stand in the table only.</section>')
    parts = [
        f"<h1>{html_text(title)}</h1>",
        said,
        source_bar({name: count for name, count in quality.by_source.items() if count}, key=True),
        _table(figures),
        f'<h2>Examples</h2>\n<div class="cards">\n{chr(10).join(sections)}\n</div>' if sections else "",
        f'<footer class="soft">Made by Kindred on {time.strftime("%Y-%m-%d %H:%M")}. Nothing in it is loaded '
        "from elsewhere.</footer>",
    ]
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{plain_html(title)}</title>\n<style>{STYLE.read_text(encoding='utf-8')}{_OWN}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n",
    )


_OWN = (
    "table { border-collapse: collapse; width: 100%; font-size: .9rem; } "
    "th, td { text-align: right; padding: .3rem .6rem; border-top: 1px solid var(--line); } "
    "th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; } "
    "th { color: var(--soft); font-weight: 400; } .wide { overflow-x: auto; }"
)


def _table(figures: Sequence[LabelFigures]) -> str:
    if not figures:
        return "<p>No image has a label.</p>"
    heads = ("Label", "Images", "Looked at", "Settled", "Covered by an audit", "Checked", "Wrong", "At least right")
    lines = [
        f"<tr><td>{html_text(one.name)}</td>"
        + "".join(
            f"<td>{value}</td>"
            for value in (
                f"{one.count:,}",
                f"{one.settled:,}",
                f"{three_digits(100 * one.settled / one.count)}%" if one.count else "",
                f"{one.covered:,}",
                f"{one.checked:,}" if one.checked else "",
                f"{one.wrong:,}" if one.checked else "",
                "" if np.isnan(one.bound) else f"{three_digits(np.floor(1000 * one.bound + 1e-6) / 10)}%",
            )
        )
        + "</tr>"
        for one in figures
    ]
    note = (
        '<p class="soft">"Settled" is the share that a person looked at one by one. "At least right" is what the '
        "checks of a label prove for it alone, with the confidence of its audit; it holds for each label by itself, "
        "not for all at once. The bound for all labels stands above.</p>"
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<h2>Labels</h2>\n<div class="wide"><table><tr>{head}</tr>\n{chr(10).join(lines)}\n</table></div>\n{note}'


def _section(
    state: LabelState,
    one: LabelFigures,
    paths: Sequence[bytes],
    thumbnail: Callable[[bytes], bytes | None],
    samples: int,
) -> str:
    right = _pictures(state, one.right_rows[:samples], paths, thumbnail)
    wrong = _pictures(state, one.wrong_rows[:samples], paths, thumbnail)
    parts = [f"<h3>{html_text(one.name)}</h3>"]
    if right:
        parts.append(f'<div class="soft">Looked at, right</div>\n<div class="mosaic">{right}</div>')
    if wrong:
        parts.append(f'<div class="soft">Found wrong</div>\n<div class="mosaic">{wrong}</div>')
    if not right and not wrong:
        parts.append('<div class="soft">Nobody looked at an image of this label one by one.</div>')
    return f"<section>\n{chr(10).join(parts)}\n{source_bar(one.by_source)}\n</section>"


def _pictures(
    state: LabelState, rows: Sequence[int], paths: Sequence[bytes], thumbnail: Callable[[bytes], bytes | None]
) -> str:
    found = []
    for row in rows:
        data = thumbnail(state.contents[row : row + 1].tobytes())
        name = plain_html(shown(paths[row]))
        if data:
            code = base64.b64encode(data).decode("ascii")
            found.append(f'<img src="data:image/jpeg;base64,{code}" alt="{name}" title="{name}" loading="lazy">')
        else:
            found.append(f'<span class="soft">{name}</span>')
    return "".join(found)
