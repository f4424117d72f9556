"""Sends arrays to the browser once: each channel is a silent component whose payload is bytes under a version.

Streamlit resends a component's whole payload when any of it changes, so what is big and steady (ids, coordinates) goes
into channels of its own and the visible component only names the version it wants. A channel whose version is
unchanged is neither packed nor sent again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

_MAGIC = b"KDR1"
_HERE = Path(__file__).parent
_DTYPES = {"int32", "uint32", "uint16", "uint8", "float32"}


def asset(relative: str) -> str:
    """Return the text of a file of this room, such as ``gallery/gallery.js``.

    Parameters
    ----------
    relative : str
        Path below ``components/``.
    """
    return (_HERE / relative).read_text(encoding="utf-8")


def component(name: str) -> Callable[..., Mapping[str, Any]]:
    """Register the visible component ``name`` ("gallery" or "map"): its style, and a shim that calls its code.

    Parameters
    ----------
    name : str
        Folder below ``components/`` with ``<name>.css`` and the bundle ``<name>.js``.
    """
    return st.components.v2.component(
        f"kindred_{name}",
        html=f'<div class="k-{name}"></div>',
        css=asset("shared/theme.css") + "".join(asset(f"{part}/{part}.css") for part in _parts(name)),
        js=asset("shim/shim.js").replace("PART", name),
    )


@cache
def _parts(name: str) -> list[str]:
    """Return the components whose code and style a component holds, its own last."""
    parts: list[str] = json.loads(asset("bundles.json"))[name]
    return sorted(parts, key=name.__eq__)


def named(*states: str) -> dict[str, Callable[[], None]]:
    """Return the callbacks by which Streamlit learns the names of a component's values.

    Parameters
    ----------
    *states : str
    """
    return {f"on_{state}_change": _nothing for state in states}


def _nothing() -> None:
    """Streamlit wants a callback per value; the faces read the values themselves."""


@cache
def _code_carrier(name: str) -> Callable[..., Any]:
    return st.components.v2.component(f"kindred_{name}_code", js=asset(f"{name}/{name}.js"), isolate_styles=False)


def send_code(name: str, key: str) -> None:
    """Send the bundle of a component by a silent component of its own, so that it is not resent with every change.

    Parameters
    ----------
    name : str
        "gallery" or "map".
    key : str
        The key of the visible component it is for.
    """
    _code_carrier(name)(key=f"{key}#code")


@cache
def _carrier() -> Callable[..., Any]:
    return st.components.v2.component("kindred_channel", js=asset("channel/channel.js"), isolate_styles=False)


def pack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Pack a small header and arrays into one byte string that JavaScript can view without copying.

    Parameters
    ----------
    header : mapping
        JSON values; the key ``arrays`` is reserved.
    arrays : mapping of str to ndarray
        One-dimensional arrays of int32, uint32, uint16, uint8 or float32.

    Returns
    -------
    bytes
        Magic, length of the header, header (JSON), arrays; every part begins at a multiple of 8 bytes.

    Raises
    ------
    ValueError
        For another dtype or more than one dimension.
    """
    table: dict[str, list[Any]] = {}
    buffers: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.name not in _DTYPES:
            raise ValueError(f"array {name!r} must be 1-D of {sorted(_DTYPES)}, got {array.dtype} {array.shape}")
        raw = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).tobytes()
        table[name] = [array.dtype.name, offset, len(array)]
        buffers += [raw, b"\0" * (-len(raw) % 8)]
        offset += len(raw) + (-len(raw) % 8)
    text = json.dumps({**header, "arrays": table}).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([_MAGIC, len(text).to_bytes(4, "little"), text, *buffers])


def version_of(array: NDArray[Any] | None, version: str) -> str:
    """Name the content of an optional array: the given version, a digest where none was given, "" for no array.

    Parameters
    ----------
    array : ndarray or None
    version : str
    """
    if array is None:
        return ""
    if version:
        return f"given:{version}"
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def is_published(channel: str, version: str) -> bool:
    """Return whether a channel holds this version, so that its arrays need not be made.

    Parameters
    ----------
    channel, version : str
    """
    return bool(st.session_state.get(f"_kindred_channel:{channel}", {}).get("version") == version)


def publish(channel: str, version: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Make arrays available to the browser under ``channel`` and ``version``.

    Parameters
    ----------
    channel : str
        Unique name on the page, such as ``"explore_map:geometry"``; it is the Streamlit key of the carrier too.
    version : str
        Names the content. While it stays the same, `arrays` is not looked at.
    arrays : mapping of str to ndarray
        As in `pack`.
    """
    memory = st.session_state.setdefault(f"_kindred_channel:{channel}", {})
    if memory.get("version") != version:
        memory["bytes"] = pack({"channel": channel, "version": version}, arrays)
        memory["version"] = version
    _carrier()(key=f"{channel}#carrier", data=memory["bytes"], height="content")
