"""What Python and the browser say to each other about the workbench and its map; `python -m
components.workbench.protocol` writes src/protocol.ts from it, so that both sides are checked against one declaration.

Arrays (ids, marks, coordinates, colours, highlight) do not travel in these messages but in channels
(components/transfer.py); a message names the version of each that it speaks of.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, NotRequired, Required, TypedDict, Union, get_args, get_origin, get_type_hints


class GroupItem(TypedDict):
    """One card of the list: a cluster, or images with one proposal."""

    id: int
    title: str
    size: int
    named: bool
    quality: float | None
    color: int
    looks: list[int]
    note: str
    why: str


class GroupsMessage(TypedDict):
    """The list at the left. The items come in the channel `<key>:groups` as JSON of `GroupItem`s."""

    version: str
    heading: str
    chosen: list[int]
    filter: str
    sorts: list[list[str]]
    actions: list[list[str]]


class BarMessage(TypedDict):
    """What the selection bar offers beside its fixed actions."""

    own: list[list[str]]
    names: list[str]
    parts: bool
    more: list[list[str]]


class TwinMessage(TypedDict):
    """The nearest other cluster."""

    id: int
    title: str
    cosine: float
    own: list[int]
    looks: list[int]


class AuditMessage(TypedDict):
    """What an audit has proven; while one is under way, the bound for each number of wrong images."""

    words: str
    open: bool
    sample: int
    bounds: list[float]
    seen: bool


class HistoryItem(TypedDict):
    """One step that was done."""

    id: int
    before: int
    sentence: str
    effective: bool
    where: str


class ConflictItem(TypedDict):
    """Where the person's labels and the clustering disagree."""

    sentence: str
    looks: list[int]


class NextItem(TypedDict):
    """One thing to do next, with what it is expected to bring; `leads` where it only opens what is to be looked at."""

    kind: str
    words: str
    figure: str
    cluster: int
    other: int
    label: str
    ids: list[int]
    leads: bool


class NextMessage(TypedDict):
    """The best things to do next, the best first, and how much is left to gain."""

    moves: list[NextItem]
    stop: str


class InspectorMessage(TypedDict):
    """Everything about the cluster that is worked on."""

    subject: int
    title: str
    why: str
    value: str
    names: list[str]
    named: int
    total: int
    size: int
    yours: int
    states: list[list[str | int]]
    looks: list[int]
    twin: TwinMessage | None
    grow: list[int]
    audit: AuditMessage | None
    history: list[HistoryItem]
    steps: int
    conflicts: list[ConflictItem]
    suggests: bool
    next: NextMessage
    acted: float


class ColumnItem(TypedDict):
    """One thing to filter by: a number with its histogram from low to high, or words with how many images each has."""

    name: str
    title: str
    low: float
    high: float
    bins: list[int]
    choices: list[list[str | int]]
    dates: bool


class FiltersMessage(TypedDict):
    """The bar of filters: those that hold (pages/shared/filters.py writes how), what there is, and views by name."""

    where: str
    columns: list[ColumnItem]
    views: list[str]


class RegionItem(TypedDict):
    """A shape on the map; its corners follow each other as x, y in data coordinates."""

    kind: str
    op: Literal["new", "add", "remove"]
    polygon: list[float]


class MapCommand(TypedDict):
    """What Python asks of a map; a map obeys each number once, and only numbers above the last."""

    nonce: int
    focus: NotRequired[int]
    clear: NotRequired[bool]
    version: NotRequired[str]
    regions: NotRequired[list[RegionItem]]


MapTool = Literal["pan", "lasso", "box"]


class MapMessage(TypedDict):
    """A map; a colouring is value and title, an entry of the legend name, colour and whether it is noise."""

    key: str
    version: str
    n: int
    colors: str | None
    range: tuple[float, float] | None
    colorLabel: str
    colorings: list[tuple[str, str]]
    names: bool
    outlines: bool
    note: str
    legend: list[tuple[str, str, bool]]
    palette: list[str]
    noise: str
    ramp: list[str]
    highlight: str | None
    tool: MapTool
    keys: dict[str, str]
    thumbnails: bool
    height: int
    label: str
    empty: str
    emptyHint: str
    command: MapCommand | None


class WorkbenchMessage(TypedDict):
    """From Python to the browser, at each run of the page."""

    key: str
    kind: str
    acted: float
    gallery: dict[str, Any]
    map: MapMessage | None
    groups: GroupsMessage | None
    bar: BarMessage | None
    inspector: InspectorMessage | None
    filters: FiltersMessage | None
    takes_pictures: bool


class SelectionMessage(TypedDict, total=False):
    """The selected images as positions in the display order of a version (components/gallery/selection.py)."""

    v: Required[str]
    c: Required[int]
    t: Required[float]
    g: Required[bool]
    k: Required[Literal["none", "ranges", "all_but", "bits"]]
    r: list[int]
    b: str


class ActionMessage(TypedDict):
    """From the browser to Python: one thing that was asked for, sent again until `acted` has reached its time."""

    t: float
    action: str
    key: NotRequired[str]
    part: NotRequired[Literal["gallery", "map", "groups", "inspector", "bar"]]
    id: NotRequired[int | None]
    position: NotRequired[int | None]
    selection: NotRequired[SelectionMessage]
    text: NotRequired[str]
    value: NotRequired[int]
    values: NotRequired[list[int]]
    also: NotRequired[bool]
    labels: NotRequired[list[str]]


_SHARED = (
    GroupItem,
    GroupsMessage,
    BarMessage,
    TwinMessage,
    AuditMessage,
    HistoryItem,
    ConflictItem,
    NextItem,
    NextMessage,
    InspectorMessage,
    ColumnItem,
    FiltersMessage,
    RegionItem,
    MapCommand,
    MapMessage,
    WorkbenchMessage,
    SelectionMessage,
    ActionMessage,
)
_PLAIN = {int: "number", float: "number", str: "string", bool: "boolean", Any: "any", type(None): "null"}


def _typed(hint: Any) -> str:  # noqa: ANN401 - a type
    """Return a type of Python as TypeScript writes it."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (NotRequired, Required):
        return _typed(parts[0])
    if origin is Literal:
        return " | ".join(f'"{part}"' for part in parts)
    if origin in (Union, types.UnionType):
        return " | ".join(_typed(part) for part in parts)
    if origin is list:
        inner = _typed(parts[0])
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if origin is tuple:
        return f"[{', '.join(_typed(part) for part in parts)}]"
    if origin is dict:
        return f"Record<{_typed(parts[0])}, {_typed(parts[1])}>"
    return _PLAIN.get(hint) or str(hint.__name__)


def typescript() -> str:
    """Return the declarations as a TypeScript module."""
    lines = ["// Written by `python -m components.workbench.protocol`; change protocol.py, not this file."]
    for shape in _SHARED:
        lines += ["", f"/** {(shape.__doc__ or '').strip()} */", f"export interface {shape.__name__} {{"]
        for name, hint in get_type_hints(shape, include_extras=True).items():
            marked = get_origin(hint)
            optional = "" if marked is Required or (shape.__total__ and marked is not NotRequired) else "?"
            lines.append(f"  {name}{optional}: {_typed(hint)};")
        lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "src" / "protocol.ts").write_text(typescript(), encoding="utf-8")
