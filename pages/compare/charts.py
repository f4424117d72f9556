"""Charts that several views draw: one table of counts as a heat map or as a flow, in the theme's own colours.

Names of clusters and classes are text, whatever they hold, and are cut where they would push the chart away.
"""

from __future__ import annotations

from html import escape

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from engine.core.palette import NOISE, category_color
from pages.shared.charts import draw

MOST = 40  # clusters or classes on each side of a chart
_LONGEST = 22  # letters of a name beside an axis
_WRITTEN = 20  # columns up to which the numbers stand in the cells
_RAMP = [[0.0, "rgba(47,111,237,0.03)"], [1.0, "rgba(47,111,237,1)"]]


def largest(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the clusters or classes that a chart shows, the largest first; empty ones are left out."""
    return np.argsort(-sizes, kind="stable")[: min(MOST, int((sizes > 0).sum()))]


def plain(name: str) -> str:
    """Return a name as text for a chart, which reads a little HTML."""
    return escape(" ".join(name.split()), quote=False)


def short(name: str) -> str:
    """Return a name for an axis: at most a few words, no markup."""
    text = " ".join(name.split())
    return plain(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def heat_map(
    table: NDArray[np.int64], totals: NDArray[np.int64], x: list[str], y: list[str], title_x: str, title_y: str
) -> None:
    """Draw a table of counts, (y, x), coloured by their shares of the (y,) totals; counts stand where there is room."""
    share = table / np.maximum(totals, 1)[:, None]
    written = [[f"{number:,}" if number else "" for number in row] for row in table.tolist()]
    told = [
        [f"{number:,} images ({part:.0%})" for number, part in zip(*pair, strict=True)]
        for pair in zip(table.tolist(), share.tolist(), strict=True)
    ]
    figure = _cells(share, x, y, written, told)
    figure.update_xaxes(title=plain(title_x))
    figure.update_yaxes(title=plain(title_y))
    draw(figure, f"{title_y} against {title_x}", height=max(220, min(24 * len(y), 560) + 110))


def likeness_map(matrix: NDArray[np.float64], names: list[str]) -> None:
    """Draw how alike each two of some runs are, 0 to 1."""
    numbers = [[f"{value:.2f}" for value in row] for row in matrix.tolist()]
    draw(
        _cells(matrix, names, names, numbers, numbers), "How alike each two are", height=max(220, 30 * len(names) + 100)
    )


def _cells(
    shares: NDArray[np.float64], x: list[str], y: list[str], written: list[list[str]], told: list[list[str]]
) -> go.Figure:
    """Return the cells, coloured by shares; numbers stand in them while they are wide enough, words on hover."""
    hover = [
        [f"{plain(row)} / {plain(column)}: {words}" for column, words in zip(x, line, strict=True)]
        for row, line in zip(y, told, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            text=written,
            hovertext=hover,
            hoverinfo="text",
            colorscale=_RAMP,
            showscale=False,
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            texttemplate="%{text}" if len(x) <= _WRITTEN else None,
            textfont={"color": "#E9EAEC"} if st.context.theme.type == "dark" else None,
        )
    )
    figure.update_xaxes(
        tickvals=list(range(len(x))), ticktext=[short(name) for name in x], showgrid=False, zeroline=False
    )
    figure.update_yaxes(
        tickvals=list(range(len(y))),
        ticktext=[short(name) for name in y],
        autorange="reversed",
        showgrid=False,
        zeroline=False,
    )
    return figure


def flow(table: NDArray[np.int64], left: list[str], right: list[str]) -> None:
    """Draw how the images of each row of a table of counts spread over the columns."""
    rows, columns = np.nonzero(table)
    links = {
        "source": rows,
        "target": columns + len(left),
        "value": table[rows, columns],
        "color": [_pale(category_color(int(row))) for row in rows],
        "hovertemplate": "%{source.label} to %{target.label}: %{value:,} images<extra></extra>",
    }
    colors = [*(category_color(at) for at in range(len(left))), *[NOISE] * len(right)]
    nodes = {"label": [short(name) for name in [*left, *right]], "color": colors, "pad": 8, "thickness": 12}
    height = max(260, 26 * max(len(left), len(right)) + 60)
    draw(go.Figure(go.Sankey(node=nodes, link=links)), "Where the images of each cluster went", height=height)


def _pale(color: str) -> str:
    """Return a colour of the palette, "#RRGGBB", at 40% opacity."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.4)"
