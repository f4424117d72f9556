"""Links that give a file at any moment: the address stays the same while the page is drawn anew.

Streamlit's own button for a file that is made when asked for gets a new address at each run; a click in between finds
the old one gone, and the download ends. Here the file's name is its address, and a click gives what the last run of
the page offered under it.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from urllib.parse import quote

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.core.errors import KindredError
from pages.shared.pictures import is_foreign

_LOG = logging.getLogger(__name__)
_MOST = 30  # offers that are remembered; each holds the labels that it would write
_OFFERS: OrderedDict[tuple[str, str], Callable[[], bytes]] = OrderedDict()
_LOCK = Lock()

_STYLE = """<style>
.k-downloads { display: flex; flex-wrap: wrap; gap: 8px; }
.k-downloads a, .k-downloads a:visited {
  display: inline-flex; align-items: center; gap: 6px; min-height: 2.5rem; padding: 0 12px; border-radius: 8px;
  border: 1px solid light-dark(#E0E1E3, #2C2F35); color: inherit; text-decoration: none; font-size: 0.875rem;
}
.k-downloads a:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
.k-downloads a.primary, .k-downloads a.primary:visited {
  background: light-dark(#2460D8, #6EA0FF); border-color: transparent; color: light-dark(#FFFFFF, #131417);
}
.k-downloads a.primary:hover { filter: brightness(0.92); }
.k-downloads a:focus-visible { outline: 2px solid light-dark(#2460D8, #6EA0FF); outline-offset: 2px; }
.k-downloads span { font-family: "Material Symbols Rounded"; font-size: 1.25em; line-height: 1; }
</style>"""


@dataclass(frozen=True)
class Download:
    """One file that can be taken.

    Attributes
    ----------
    title : str
        What the link is called.
    name : str
        The file's name.
    make : function
        Returns its bytes; called in a thread of the server, not before somebody asks.
    primary : bool
        Whether it is what most people want.
    """

    title: str
    name: str
    make: Callable[[], bytes]
    primary: bool = False


def downloads(of: str, files: Sequence[Download]) -> None:
    """Draw the links to some files.

    Parameters
    ----------
    of : str
        What they are made of, such as a run's folder: together with a file's name it is the address.
    files : sequence of Download
        Of names that differ.
    """
    links = []
    for file in files:
        with _LOCK:
            _OFFERS[of, file.name] = file.make
            _OFFERS.move_to_end((of, file.name))
            while len(_OFFERS) > _MOST:
                _OFFERS.popitem(last=False)
        address = f"/take/{quote(of, safe='')}/{quote(file.name, safe='')}"
        kind = ' class="primary"' if file.primary else ""
        links.append(
            f'<a href="{html.escape(address)}" download="{html.escape(file.name)}"{kind}>'
            f'<span translate="no" aria-hidden="true">download</span>{html.escape(file.title)}</a>'
        )
    st.html(f'{_STYLE}<div class="k-downloads">{"".join(links)}</div>', width="content")


async def _take(request: Request) -> Response:
    """Make the file that is asked for and send it."""
    if is_foreign(request):
        return Response(status_code=403)
    name = str(request.path_params["name"])
    with _LOCK:
        make = _OFFERS.get((str(request.path_params["of"]), name))
    if make is None:
        return PlainTextResponse("Load the page again; it no longer offers this file.", status_code=404)
    try:
        data = await asyncio.to_thread(make)
    except KindredError as error:
        return PlainTextResponse(f"{error.sentence} {error.hint}", status_code=409)
    except OSError as error:
        _LOG.exception("a file could not be made")
        return PlainTextResponse(f"The file could not be made: {error}", status_code=500)
    return Response(
        data,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


ROUTES = [Route("/take/{of}/{name}", _take)]
