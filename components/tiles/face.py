"""The Python face of the tiles: mounts them and hands a choice to the page, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import streamlit as st

from components import transfer


@dataclass(frozen=True)
class Tile:
    """One tile.

    Attributes
    ----------
    id : str
        What the page knows it by.
    picture : str
        Address of its picture on this server; empty for a tile without one.
    title : str
        Its name, as plain text.
    words : str
        A few plain words below the name.
    mark : str
        A word in a corner of the picture, such as "in use".
    hint : str
        What a click does or what else to know, on hover.
    """

    id: str
    picture: str
    title: str
    words: str = ""
    mark: str = ""
    hint: str = ""


@cache
def _component() -> Callable[..., Mapping[str, Any]]:
    return st.components.v2.component(
        "kindred_tiles",
        css=transfer.asset("shared/theme.css") + transfer.asset("tiles/tiles.css"),
        js=transfer.asset("tiles/tiles.js"),
    )


def tiles(
    key: str, shown: Sequence[Tile], *, label: str, width: int = 260, ratio: float = 2.0, chosen: str = ""
) -> str | None:
    """Draw tiles; return, once for each click, the id of the one that was chosen since a run last came to them.

    Parameters
    ----------
    key : str
        Unique key.
    shown : sequence of Tile
        Of ids that differ.
    label : str
        What they are, for those who do not see them.
    width : int
        The least width of a tile in pixels; the tiles share the line.
    ratio : float
        Width over height of each picture.
    chosen : str
        The id of the tile that is framed; empty for none.
    """
    memory: dict[str, Any] = st.session_state.setdefault(f"_kindred_tiles:{key}", {})
    data = {
        "label": label,
        "width": width,
        "ratio": ratio,
        "chosen": chosen,
        "tiles": [asdict(tile) for tile in shown],
    }
    _component()(key=key, data=data, height="content", on_chosen_change=partial(_note, key, memory))
    found = memory.pop("chosen", None)
    return found if found in {tile.id for tile in shown} else None


def _note(key: str, memory: dict[str, Any]) -> None:
    """Keep a choice until a run has come to the tiles; a message of another component may end the run before."""
    said = st.session_state.get(key)
    found = said.get("chosen") if isinstance(said, Mapping) else None
    if isinstance(found, str):
        memory["chosen"] = found
