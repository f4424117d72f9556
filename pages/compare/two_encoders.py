"""Two encoders on the same images: how many neighbours they agree on, and the images that they see most differently."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from engine.embeddings.configurations import Configuration
from engine.evaluation.neighborhoods import common_neighbors, kept_share
from engine.geometry.neighbors import NeighborGraph, kept_graph
from engine.images.sources import shown
from engine.runs.rows import Rows, graph_of
from pages.compare.made_by_job import made_by_job
from pages.shared.actions import pressed
from pages.shared.board import graph_for, rows_of
from pages.shared.frame import first_do
from pages.shared.job_view import job_view
from pages.shared.metrics import facts
from pages.shared.state import Current, escape, names_of
from pages.shared.words import count

_AT_ONCE = 10_000  # images whose neighbours are found in a moment
_PAGE = 6  # images listed at a time
_LOOKS = 10  # neighbours of each that are shown
_STYLE = """<style>
.k-pairs { display: grid; grid-template-columns: 72px 1fr; gap: 4px 12px; align-items: center; margin-bottom: 14px; }
.k-pairs > img { width: 72px; height: 72px; object-fit: contain; grid-row: span 2; border-radius: 6px;
  background: rgba(128,128,128,.12); }
.k-pairs > div { display: flex; gap: 3px; overflow: hidden; align-items: center; }
.k-pairs span { width: 44px; flex: none; font-size: 11px; opacity: .7; }
.k-pairs div img { width: 52px; height: 52px; flex: none; object-fit: contain; border-radius: 5px; opacity: .75;
  background: rgba(128,128,128,.12); box-sizing: border-box; border: 2px solid transparent; }
.k-pairs div img.both { opacity: 1; border-color: #2F6FED; }
</style>"""


def two_encoders(now: Current) -> None:
    """Let the person choose two embeddings and draw what changes between them."""
    known = {item.key: item for item in now.configurations}
    if now.dataset is None or now.configuration is None or len(known) < 2:
        first_do(now, "Two embeddings are needed: embed with another encoder.", "pages/embed/page.py", "Embed")
        return
    used = now.configuration.key
    left, right = st.columns(2)
    names = names_of(now.configurations)
    first = _pick(left, "First encoder", list(known), names, used, f"encoder_first_{used}")
    others = [key for key in known if key != first]
    second = _pick(right, "Second encoder", others, names, others[0], f"encoder_second_{first}")
    pair = known[first], known[second]
    titles = names[first], names[second]
    rows = _common(now, pair)
    if len(rows[0]) < 3:
        st.info("The two have too few images in common. Embed the rest on Embed.")
        return
    graphs = _graphs(now, rows)
    if graphs is None:
        return
    most = min(64, graphs[0].k, graphs[1].k)
    k = most if most < 2 else st.slider("Nearest neighbours that count", 1, most, min(10, most), key="encoder_k")
    share = _share(graphs, rows[0].embedding.key, rows[1].embedding.key, k)
    _figures(share, k, titles)
    _most_changed(rows[0], graphs, share, k, titles)


def _pick(
    place: DeltaGenerator,
    title: str,
    keys: list[str],
    names: dict[str, str],
    used: str,
    key: str,
) -> str:
    chosen = place.selectbox(title, keys, index=keys.index(used), format_func=names.__getitem__, key=key)
    return str(chosen)


def _common(now: Current, pair: tuple[Configuration, Configuration]) -> tuple[Rows, Rows]:
    """Return the rows that both embeddings have, in one order."""
    first, second = (rows_of(now, item) for item in pair)
    if np.array_equal(first.contents, second.contents):
        return first, second
    _, one, two = np.intersect1d(first.contents, second.contents, return_indices=True)
    order = np.argsort(one)
    return first.take(one[order].astype(np.int64)), second.take(two[order].astype(np.int64))


def _graphs(now: Current, both: tuple[Rows, Rows]) -> tuple[NeighborGraph, NeighborGraph] | None:
    """Return the neighbours by each encoder; None while a job still finds them."""
    found = []
    for rows in both:
        kept = kept_graph(now.workspace, rows.embedding.key, len(rows))
        if kept is None and len(rows) > _AT_ONCE:
            job = made_by_job(now, "graph", "Finding neighbours", rows)
            if job.state != "done":
                st.caption("The neighbours of each image are being found.")
                job_view(job)
                return None
            with st.spinner("Finding neighbours of the images that both have"):
                kept = graph_of(now.workspace, rows)
        found.append(graph_for(now, rows) if kept is None else kept)
    return found[0], found[1]


@st.cache_data(show_spinner="Comparing neighbours", max_entries=8)
def _share(_graphs: tuple[NeighborGraph, NeighborGraph], first: str, second: str, k: int) -> NDArray[np.float32]:
    return kept_share(*_graphs, k)


def _figures(share: NDArray[np.float32], k: int, titles: tuple[str, str]) -> None:
    """Draw the verdict, the figures and how they spread."""
    one, two = (escape(title) for title in titles)
    mean = float(share.mean())
    st.markdown(
        f"**{one}** and **{two}** share {mean:.0%} of the {k} nearest neighbours; "
        f"chance alone gives {min(1.0, k / max(1, len(share) - 1)):.1%}."
    )
    facts(
        (
            ("kept", f"{mean:.1%}", f"Mean share of an image's {k} nearest neighbours that both encoders name"),
            ("the same", f"{(share == 1).mean():.1%}", "Images whose neighbours are all the same"),
            ("nothing in common", f"{(share == 0).mean():.1%}", "Images of whose neighbours none is the same"),
        )
    )
    counts = np.bincount(np.rint(share * k).astype(np.int64), minlength=k + 1)
    figure = go.Figure(go.Bar(x=np.arange(k + 1), y=counts, hovertemplate="%{x} kept: %{y:,} images<extra></extra>"))
    figure.update_layout(
        height=180,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        xaxis_title=f"neighbours kept of {k}",
        yaxis_title="images",
        bargap=0.1,
    )
    st.plotly_chart(figure, width="stretch", key="encoder_spread", config={"displayModeBar": False})


def _most_changed(
    rows: Rows,
    graphs: tuple[NeighborGraph, NeighborGraph],
    share: NDArray[np.float32],
    k: int,
    titles: tuple[str, str],
) -> None:
    """Draw the images whose neighbours change most, and their neighbours by each encoder below each other."""
    st.markdown(
        "##### Images whose neighbours change most",
        help="Neighbours in falling likeness, by each encoder; framed ones are named by both",
    )
    order = np.argsort(share, kind="stable")
    pages = -(-len(order) // _PAGE)
    at = min(int(st.session_state.get("encoder_page", 0)), pages - 1)
    listed = order[at * _PAGE : (at + 1) * _PAGE]
    one, two = (np.asarray(graph.indices[listed][:, :k]) for graph in graphs)
    marks = common_neighbors(one, two)
    st.caption(" · ".join(f"{at}: {escape(title)}" for at, title in enumerate(titles, start=1)))
    if rows.dataset.kind == "vectors":
        st.dataframe(
            {
                "row": [shown(rows.paths[row]) for row in listed],
                "kept": share[listed],
                "first": [", ".join(shown(rows.paths[near]) for near in line) for line in one],
                "second": [", ".join(shown(rows.paths[near]) for near in line) for line in two],
            },
            hide_index=True,
        )
    else:
        st.html(_STYLE + "".join(_lines(rows, int(row), place, (one, two), marks) for place, row in enumerate(listed)))
    with st.container(horizontal=True, vertical_alignment="center"):
        if pressed("Previous", icon=":material/chevron_left:", disabled=at == 0, key="encoder_previous"):
            st.session_state["encoder_page"] = at - 1
            st.rerun()
        if pressed("Next", icon=":material/chevron_right:", disabled=at + 1 >= pages, key="encoder_next"):
            st.session_state["encoder_page"] = at + 1
            st.rerun()
        last = min(len(order), (at + 1) * _PAGE)
        st.caption(f"{at * _PAGE + 1:,} to {last:,} of {count(len(order), 'image')}, the most changed first")


def _lines(
    rows: Rows,
    row: int,
    place: int,
    near: tuple[NDArray[np.int32], NDArray[np.int32]],
    marks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> str:
    """Return the HTML of one image and its two rows of neighbours; only numbers of the catalog enter it."""
    parts = [f'<div class="k-pairs"><img src="/thumb/{int(rows.ids[row])}" loading="lazy" alt="">']
    for side, (neighbors, both) in enumerate(zip(near, marks, strict=True), start=1):
        kept = int(both[place].sum())
        cells = "".join(
            f'<img src="/thumb/{int(rows.ids[other])}" loading="lazy" alt="" class="{"both" if mark else ""}">'
            for other, mark in zip(neighbors[place][:_LOOKS], both[place][:_LOOKS], strict=True)
        )
        parts.append(f"<div><span>{side} · {kept}/{neighbors.shape[1]}</span>{cells}</div>")
    return "".join(parts) + "</div>"
