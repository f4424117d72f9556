"""A report as one HTML file: clusters, names, sizes, audited purity and sample pictures, readable anywhere.

Pictures are inlined, nothing is loaded from elsewhere, and every name is escaped; the file runs no script.
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
from engine.images.sources import shown
from engine.labels.conflicts import images
from engine.labels.quality import LabelQuality, three_digits
from engine.labels.state import SOURCE_NAMES, UNSORTED, LabelState

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --page: #0d1117; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
       max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); } section { border-top: 1px solid var(--line); padding: 1rem 0; }
.strip { display: flex; flex-wrap: wrap; gap: 6px; margin-top: .5rem; }
.strip img { width: 96px; height: 96px; object-fit: contain;
             background: color-mix(in srgb, var(--line) 40%, transparent); }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0; overflow-wrap: anywhere; }
"""


def write_report(
    path: Path,
    state: LabelState,
    *,
    title: str,
    paths: Sequence[bytes],
    thumbnail: Callable[[bytes], bytes | None],
    typicality: NDArray[np.float32] | None = None,
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
    facts : mapping, optional
        Lines for the head: method, encoder, scores; numbers are shown with at most three digits.
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
        **{f"Labels: {name}": f"{count:,}" for name, count in quality.by_source.items() if name != "none"},
        "Covered by an audit": f"{quality.audited:,}",
        "Clusters": f"{len(state.clusters):,}",
        "Named clusters": f"{sum(cluster.name is not None for cluster in order):,}",
        "Unsorted": f"{len(state.rows(UNSORTED)):,}",
        **{name: three_digits(value) for name, value in (facts or {}).items()},
        "Written": time.strftime("%Y-%m-%d %H:%M"),
    }
    rows = "\n".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in head.items())
    first = "\n".join(f"<p>{_text(text)}</p>" for text in (verdict, *quality.sentences()) if text)
    shown_rows = members(state, typicality)
    sections = [
        _section(state, cluster.id, shown_rows.get(cluster.id, ())[:samples], paths, thumbnail)
        for cluster in order[:max_clusters]
    ]
    rest = order[max_clusters:]
    if rest:
        count = images(sum(cluster.size for cluster in rest))
        sections.append(f'<section class="soft">{len(rest):,} smaller clusters with {count} are not shown.</section>')
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_plain(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_text(title)}</h1>\n{first}\n<table>{rows}</table>\n" + "\n".join(sections) + "\n</body>\n</html>\n",
    )


def members(state: LabelState, typicality: NDArray[np.float32] | None) -> dict[int, list[int]]:
    """Return the rows of each cluster, the most typical first."""
    key = -np.nan_to_num(typicality, nan=-np.inf) if typicality is not None else np.arange(len(state))
    order = np.lexsort((key, state.cluster))
    found, starts = np.unique(state.cluster[order], return_index=True)
    parts = np.split(order, starts[1:]) if len(found) else []
    return {int(cluster): part.tolist() for cluster, part in zip(found, parts, strict=True)}


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
    said = [(name, int(np.count_nonzero(state.source[inside] == code))) for code, name in enumerate(SOURCE_NAMES)]
    about += [f"{count:,} {name}" for name, count in said[1:] if count]
    pictures = []
    for row in rows:
        data = thumbnail(state.contents[row : row + 1].tobytes())
        name = _plain(shown(paths[row]))
        if data:
            code = base64.b64encode(data).decode("ascii")
            pictures.append(f'<img src="data:image/jpeg;base64,{code}" alt="{name}" title="{name}" loading="lazy">')
    return (
        f"<section>\n<h2>{_text(state.title(cluster))}</h2>\n"
        f'<div class="soft">{_plain(", ".join(about))}</div>\n<div class="strip">{"".join(pictures)}</div>\n</section>'
    )


def _plain(text: str) -> str:
    """Return text as HTML, also inside an attribute; characters without an encoding become visible escapes."""
    return escape(text.encode("utf-8", "backslashreplace").decode(), quote=True)


def _text(text: str) -> str:
    """Return text as HTML that keeps its own writing direction to itself."""
    return f"<bdi>{_plain(text)}</bdi>"
