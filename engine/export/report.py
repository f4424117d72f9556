"""A report as one HTML file that is worth sending: what the clustering and its labels are worth, the map, each cluster.

Pictures are inlined, nothing is loaded from elsewhere, every name is escaped and the file runs no script. It follows
the reader's light or dark theme, narrow screens and paper.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.files import write_text
from engine.export.report_map import draw_map, name_places
from engine.images.sources import shown
from engine.labels.conflicts import images
from engine.labels.quality import LabelQuality, three_digits
from engine.labels.state import SOURCE_NAMES, UNSORTED, LabelState

STYLE = Path(__file__).with_name("report.css")
_MANY = 100  # clusters; where there are more, each shows half of its pictures


def write_report(
    path: Path,
    state: LabelState,
    *,
    title: str,
    paths: Sequence[bytes],
    thumbnail: Callable[[bytes], bytes | None],
    typicality: NDArray[np.float32] | None = None,
    xy: NDArray[np.float32] | None = None,
    facts: Mapping[str, Any] | None = None,
    verdict: str = "",
    samples: int = 8,
    max_clusters: int = 500,
) -> None:
    """Write the report.

    Parameters
    ----------
    path : Path
        Where to; one .html file.
    state : LabelState
        Clusters and labels as they are now.
    title : str
        What it is about, such as the data set's name.
    paths : n bytes
        First path of each image; the pictures' descriptions.
    thumbnail : function of a content id
        JPEG bytes, None where there is no picture.
    typicality : (n,) float32, optional
        The most typical images of each cluster are shown; by default the first.
    xy : (n, 2) float32, optional
        The map; left out without it.
    facts : mapping, optional
        Lines for the figures: method, encoder, scores; numbers are shown with at most three digits.
    verdict : str
        What is known of the clustering's quality, in a sentence or two; it stands first.
    samples : int
        Pictures of each cluster.
    max_clusters : int
        The largest clusters are shown in full; the rest only counted.
    """
    order = sorted(state.clusters, key=lambda cluster: -cluster.size)
    quality = LabelQuality.count(state.sources, state.bound)
    head = {
        "Images": f"{len(state):,}",
        "With a label": f"{quality.labelled:,}",
        "Covered by an audit": f"{quality.audited:,}",
        "Clusters": f"{len(state.clusters):,}",
        "Named clusters": f"{sum(cluster.name is not None for cluster in order):,}",
        "Unsorted": f"{len(state.rows(UNSORTED)):,}",
        **{name: three_digits(value) for name, value in (facts or {}).items()},
    }
    figures = "\n".join(
        f"<div><dt>{html_text(name)}</dt><dd>{html_text(value)}</dd></div>" for name, value in head.items()
    )
    said = "\n".join(f"<p>{html_text(text)}</p>" for text in quality.sentences())
    shown_rows = members(state, typicality)
    each = samples if len(order) <= _MANY else min(samples, 4)
    sections = [
        _section(state, cluster.id, shown_rows.get(cluster.id, ())[:each], paths, thumbnail)
        for cluster in order[:max_clusters]
    ]
    rest = order[max_clusters:]
    if rest:
        count = images(sum(cluster.size for cluster in rest))
        sections.append(
            f'<section class="rest soft">{len(rest):,} smaller clusters with {count} are not shown.</section>'
        )
    parts = [
        f"<h1>{html_text(title)}</h1>",
        f'<div class="verdict"><p>{html_text(verdict)}</p></div>' if verdict else "",
        said,
        source_bar({name: count for name, count in quality.by_source.items() if count}, key=True),
        _map(state, xy, order[:max_clusters]) if xy is not None and len(xy) else "",
        f'<h2>Clusters</h2>\n<div class="cards">\n{chr(10).join(sections)}\n</div>' if sections else "",
        f"<h2>Figures</h2>\n<dl>{figures}</dl>",
        f'<footer class="soft">Made by Kindred on {time.strftime("%Y-%m-%d %H:%M")}. Nothing in it is loaded '
        "from elsewhere.</footer>",
    ]
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{plain_html(title)}</title>\n<style>{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n",
    )


def members(state: LabelState, typicality: NDArray[np.float32] | None) -> dict[int, list[int]]:
    """Return the rows of each cluster, the most typical first."""
    key = -np.nan_to_num(typicality, nan=-np.inf) if typicality is not None else np.arange(len(state))
    order = np.lexsort((key, state.cluster))
    found, starts = np.unique(state.cluster[order], return_index=True)
    parts = np.split(order, starts[1:]) if len(found) else []
    return {int(cluster): part.tolist() for cluster, part in zip(found, parts, strict=True)}


def source_bar(counts: Mapping[str, int], *, key: bool = False) -> str:
    """Return who said the labels as a bar; with its key where it stands alone."""
    total = sum(counts.values())
    if not total:
        return ""
    names = {name: name.replace(" ", "-") for name in counts}
    parts = "".join(f'<span class="by-{names[name]}" style="flex:{count}"></span>' for name, count in counts.items())
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    thin = "" if key else " thin"
    bar = f'<div class="bar{thin}" role="img" aria-label="{plain_html(told)}">{parts}</div>'
    if not key:
        return bar
    listed = "".join(
        f'<li><i class="by-{names[name]}"></i>{plain_html("no label" if name == "none" else name)} '
        f"{three_digits(100 * count / total)}%</li>"
        for name, count in counts.items()
    )
    return f'{bar}\n<ul class="key">{listed}</ul>'


def _map(state: LabelState, xy: NDArray[np.float32], order: Sequence[Any]) -> str:
    """Return the map with the names of the largest clusters on it."""
    code = base64.b64encode(draw_map(xy, state.cluster)).decode("ascii")
    names = "".join(
        f'<b style="left:{left:.1%};top:{top:.1%}">{html_text(state.title(cluster))}</b>'
        for cluster, left, top in name_places(xy, state.cluster, [cluster.id for cluster in order])
    )
    alt = f"Map of {images(len(state))}: what lies close looks alike"
    return (
        f'<h2>Map</h2>\n<div class="map"><img src="data:image/png;base64,{code}" alt="{plain_html(alt)}">{names}'
        "</div>\n"
        '<p class="soft">Every point is an image; what lies close looks alike to the encoder. Colours are clusters.</p>'
    )


def _section(
    state: LabelState,
    cluster: int,
    rows: Sequence[int],
    paths: Sequence[bytes],
    thumbnail: Callable[[bytes], bytes | None],
) -> str:
    found = state.find(cluster)
    size = found.size if found else 0
    about = [images(size)]
    inside = state.rows(cluster)
    bounds = state.bound[inside]
    proven = bounds[np.isfinite(bounds)]
    if len(proven):
        about.append(f"audited: {images(len(proven))} at least {np.floor(proven.min() * 1000 + 1e-6) / 10:g}% pure")
    counts = np.bincount(state.source[inside], minlength=len(SOURCE_NAMES)).tolist()
    said = {name: counts[code] for code, name in enumerate(SOURCE_NAMES) if counts[code]}
    about += [f"{count:,} {name}" for name, count in said.items() if name != SOURCE_NAMES[0]]
    pictures = []
    for row in rows:
        data = thumbnail(state.contents[row : row + 1].tobytes())
        name = plain_html(shown(paths[row]))
        if data:
            code = base64.b64encode(data).decode("ascii")
            pictures.append(f'<img src="data:image/jpeg;base64,{code}" alt="{name}" title="{name}" loading="lazy">')
    mosaic = f'<div class="mosaic">{"".join(pictures)}</div>\n' if pictures else ""
    ordered = {name: said[name] for name in (*SOURCE_NAMES[1:], SOURCE_NAMES[0]) if name in said}
    return (
        f"<section>\n{mosaic}<h3>{html_text(state.title(cluster))}</h3>\n"
        f'<div class="soft">{plain_html(", ".join(about))}</div>\n{source_bar(ordered)}\n</section>'
    )


def plain_html(text: str) -> str:
    """Return text as HTML, also inside an attribute; characters without an encoding become visible escapes."""
    return escape(text.encode("utf-8", "backslashreplace").decode(), quote=True)


def html_text(text: str) -> str:
    """Return text as HTML that keeps its own writing direction to itself."""
    return f"<bdi>{plain_html(text)}</bdi>"
