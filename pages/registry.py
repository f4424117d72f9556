"""The registry of screens, in the order in which a person works; adding one is one folder and one line."""

from __future__ import annotations

from pages import cluster, compare, distil, embed, explore, export, images, label

SCREENS = (
    images.SCREEN,
    embed.SCREEN,
    cluster.SCREEN,
    explore.SCREEN,
    label.SCREEN,
    compare.SCREEN,
    export.SCREEN,
    distil.SCREEN,
)
