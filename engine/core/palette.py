"""The colours of clusters and values, in one place: 20 categories that colour-blind people tell apart, and one ramp.

The categories were found by maximin search in OKLab over normal sight, protanopia, deuteranopia and tritanopia
(Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009), on
both grounds of the theme. Codes from 20 on repeat them; the cluster's id is shown on hover.
"""

from __future__ import annotations

CATEGORIES: tuple[str, ...] = (
    "#4078A8",
    "#F8B810",
    "#40D8F8",
    "#901850",
    "#B07810",
    "#2840A8",
    "#F88868",
    "#B84088",
    "#C078D8",
    "#90A810",
    "#10A0A0",
    "#905858",
    "#A0A8F8",
    "#7858C8",
    "#584870",
    "#407010",
    "#E05868",
    "#704010",
    "#30C8A0",
    "#B0D080",
)
NOISE = "#9AA0A8"
RAMP: tuple[str, ...] = (
    "#440154",
    "#482878",
    "#3E4A89",
    "#31688E",
    "#26828E",
    "#1F9E89",
    "#35B779",
    "#6CCE59",
    "#B4DE2C",
    "#FDE725",
)


def category_color(code: int) -> str:
    """Return the hex colour of a category code; codes below 0 are noise.

    Parameters
    ----------
    code : int
        0, 1, 2, ... (repeating after 20) or -1 for noise.
    """
    return NOISE if code < 0 else CATEGORIES[code % len(CATEGORIES)]
