"""The colours of clusters and values, in one place: 20 categories that colour-blind people tell apart, and one ramp.

The categories were found by maximin search in OKLab over normal sight, protanopia, deuteranopia and tritanopia
(Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009), on
both grounds of the theme. Codes from 20 on repeat them; the cluster's id is shown on hover.
"""

from __future__ import annotations

CATEGORIES: tuple[str, ...] = (
    "#4078A8",
    "#10F818",
    "#E01810",
    "#D8C0F8",
    "#9810F8",
    "#782078",
    "#A8B010",
    "#F878C8",
    "#9878F8",
    "#981020",
    "#40B0F0",
    "#A85080",
    "#F0B080",
    "#D830C0",
    "#C08050",
    "#106050",
    "#98D0B8",
    "#6010C0",
    "#30A088",
    "#687010",
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
