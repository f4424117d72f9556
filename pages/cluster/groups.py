"""The clusters of one clustering as tiles: typical pictures of each, its name or number, and its size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.tiles.face import Tile, tiles
from engine.geometry.prototypes import Prototypes
from engine.runs.rows import Rows
from pages.shared.actions import pressed
from pages.shared.mosaics import mosaic_of
from pages.shared.words import count

_PICTURES = 10  # of a cluster
_AT_FIRST = 24  # clusters; the others follow by a click
_A_FEW_MORE = 36  # clusters that are all shown
_MANY = 12  # clusters beyond which tiles are smaller
NOISE = -1


def group_tiles(
    key: str,
    rows: Rows,
    labels: NDArray[np.int32],
    found: Prototypes,
    *,
    title_of: Callable[[int], str] = "Cluster {}".format,
    hint: str = "",
) -> int | None:
    """Draw the clusters, the largest first and noise last; return the one that was clicked, once.

    Parameters
    ----------
    key : str
        Unique key, which names the clustering too.
    labels : (n,) int32
        -1 is noise.
    found : Prototypes
        Of these labels.
    title_of : function
        Returns the name of a cluster.
    hint : str
        What a click does.
    """
    sizes = np.bincount(labels[labels >= 0])
    order = np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]
    opened = f"{key}_all"
    shown = order if st.session_state.get(opened) or len(order) <= _A_FEW_MORE else order[:_AT_FIRST]
    noise = np.flatnonzero(labels < 0)
    pictures = rows.dataset.kind != "vectors"
    drawn = [
        Tile(
            str(cluster),
            mosaic_of(rows.ids[_typical(found, int(cluster), labels)]) if pictures else "",
            title_of(int(cluster)),
            _size(int(sizes[cluster]), len(labels)),
            hint=f"{title_of(int(cluster))}. {hint}".strip(),
        )
        for cluster in shown
    ]
    if len(noise):
        words = _size(len(noise), len(labels))
        picture = mosaic_of(rows.ids[noise[:_PICTURES]]) if pictures else ""
        drawn.append(Tile(str(NOISE), picture, "Noise", words, hint="The method left these out"))
    chosen = tiles(f"{key}_tiles", drawn, label="Clusters", width=260 if len(order) <= _MANY else 184)
    if len(shown) < len(order) and pressed(
        f"Show all {count(len(order), 'cluster')}", key=f"{key}_more", type="tertiary", icon=":material/expand_more:"
    ):
        st.session_state[opened] = True
        st.rerun()
    return None if chosen is None else int(chosen)


def _typical(found: Prototypes, cluster: int, labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return rows that stand for a cluster, near ones and diverse ones, then what else is near its centre."""
    chosen = found.rows_of(cluster, _PICTURES)
    members = np.flatnonzero(labels == cluster)
    if len(chosen) >= min(_PICTURES, len(members)):
        return chosen
    near = members[np.argsort(-found.typicality[members], kind="stable")[: 2 * _PICTURES]]
    return np.array(list(dict.fromkeys([*chosen.tolist(), *near.tolist()]))[:_PICTURES], np.int64)


def _size(images: int, of: int) -> str:
    return f"{count(images, 'image')} · {images / of:.0%}"
