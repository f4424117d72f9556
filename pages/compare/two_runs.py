"""Two runs side by side: their figures, where the images of each cluster went, and the images that moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from components.gallery.face import gallery
from engine.evaluation.agreement import ari, contingency, match, nmi, sizes
from engine.images.sources import shown
from engine.runs.rows import Rows, align
from engine.runs.run import Run
from pages.compare.charts import MOST, flow, heat_map, largest
from pages.shared.metrics import METRICS, facts, figures_of, told
from pages.shared.state import escape
from pages.shared.words import count, figure

_ALIKE = ((0.9, "Nearly the same."), (0.6, "Much alike."), (0.3, "Partly alike."), (-1.0, "Different."))  # from ARI
_BETTER = {"accuracy": "more accurate", "silhouette": "tighter", "balance": "more even"}
_CLEAR = 0.01  # difference of a figure that is worth a word
_LISTED = 500  # rows of the list of images without pictures
_FIGURES = (
    "n_clusters",
    "silhouette",
    "balance",
    "composite",
    "largest_share",
    "noise_share",
    "accuracy",
    "random_accuracy",
    "nmi",
    "ari",
)


def two_runs(rows: Rows, runs: tuple[Run, Run], names: tuple[str, str]) -> None:
    """Draw the comparison of two runs on the same images; `names` tell them apart."""
    first, second = runs
    one, _ = align(first, rows)
    two, _ = align(second, rows)
    both = (one >= 0) & (two >= 0)
    if not both.any():
        st.info("The two clusterings have no images in common that both sorted. Choose another one.")
        _table(runs, names)
        return
    pairs = match(one[both], two[both])  # cluster of the second -> cluster of the first
    mapped = np.append(np.array([pairs.get(at, -1) for at in range(int(two.max()) + 1)]), -1)[two]
    differ = np.flatnonzero(both & (mapped != one))
    alike, likeness = 1 - len(differ) / both.sum(), ari(one[both], two[both])
    st.markdown(_verdict(runs, names, alike, likeness))
    facts(
        (
            ("sorted alike", f"{alike:.1%}", "Images in clusters matched one to one, of those that both runs sorted"),
            ("ARI of the two", figure(likeness), "1: the same groups; 0: no more alike than chance"),
            ("NMI of the two", figure(nmi(one[both], two[both])), "1: one tells the other; 0: nothing shared"),
        )
    )
    with st.container(key="stack_two_runs"):
        left, right = st.columns([1, 1], gap="medium")
    with left:
        _where(one[both], two[both], pairs, names)
    with right:
        _moved(rows, differ, one, two, f"{first.folder.name}-{second.folder.name}-{rows.embedding.key}")
    _table(runs, names)


def _verdict(runs: tuple[Run, Run], names: tuple[str, str], alike: float, likeness: float) -> str:
    """Return in a sentence or two how alike two runs are and in what one is ahead, in Markdown."""
    word = next(word for least, word in _ALIKE if likeness >= least)
    said = f"**{word}** {alike:.0%} of the images are sorted alike."
    ahead: dict[int, list[str]] = {0: [], 1: []}
    for name, better in _BETTER.items():
        found = [figures_of(run).get(name) for run in runs]
        values = [float(value) for value in found if isinstance(value, int | float)]
        if len(values) == 2 and abs(values[0] - values[1]) >= _CLEAR:
            at = int(values[1] > values[0])
            ahead[at].append(f"{better} ({METRICS[name].title.lower()} {_against(name, values, at)})")
    parts = [f"{escape(names[at])} is {' and '.join(words)}" for at, words in ahead.items() if words]
    return f"{said} {'; '.join(parts)}." if parts else said


def _against(name: str, values: Sequence[float], at: int) -> str:
    """Return the better figure against the other."""
    return f"{told(name, values[at])} against {told(name, values[1 - at])}"


def _table(runs: tuple[Run, Run], names: tuple[str, str]) -> None:
    """Draw the figures of the runs, a column each, and what each figure means."""
    parts = [
        (f"{at}: {name}" + (", test" if part == "test" else ""), run.results[part])
        for at, (run, name) in enumerate(zip(runs, names, strict=True), start=1)
        for part in ("train", "test")
        if run.results.get(part)
    ]
    known = [name for name in _FIGURES if any(figures.get(name) is not None for _, figures in parts)]
    table = {"figure": [METRICS[name].title for name in known]}
    table |= {title: [told(name, figures.get(name)) for name in known] for title, figures in parts}
    table |= {"what it means": [METRICS[name].meaning for name in known]}
    st.markdown("##### All figures")
    st.dataframe(
        pd.DataFrame(table),
        hide_index=True,
        width="stretch",
        column_config={title: st.column_config.TextColumn(alignment="right", width=170) for title, _ in parts},
    )


def _where(one: NDArray[np.int32], two: NDArray[np.int32], pairs: dict[int, int], runs: tuple[str, str]) -> None:
    """Draw the contingency table of the largest clusters, matched ones facing each other; no image is noise."""
    ys = largest(sizes(one))
    partner = {mine: theirs for theirs, mine in pairs.items()}
    facing = [partner[int(y)] for y in ys if int(y) in partner]
    xs = np.array([*facing, *(int(x) for x in largest(sizes(two)) if int(x) not in facing)][:MOST])
    whole = contingency(one, two)
    table = whole[np.ix_(ys, xs)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("##### Where the images went", width="content")
        view = st.segmented_control(
            "Draw",
            ["Heat map", "Flow"],
            default="Heat map",
            required=True,
            key="where_view",
            persist_state="session",
            label_visibility="collapsed",
        )
    names = [f"cluster {y}" for y in ys], [f"cluster {x}" for x in xs]
    if view == "Flow":
        flow(table, *names)
    else:
        heat_map(table, whole[ys].sum(axis=1), names[1], names[0], runs[1], runs[0])


def _moved(rows: Rows, differ: NDArray[np.int64], one: NDArray[np.int32], two: NDArray[np.int32], key: str) -> None:
    st.markdown(f"##### {count(len(differ), 'image')} sorted differently")
    if not len(differ):
        return
    differ = differ[np.lexsort((two[differ], one[differ]))]

    def captions(at: NDArray[np.int64]) -> list[str]:
        return [f"{shown(rows.paths[row])} · first {one[row]}, second {two[row]}" for row in differ[at]]

    if rows.dataset.kind != "vectors":
        gallery("compare_moved", rows.ids[differ], version=key, captions=captions, keys={}, buttons={}, height=520)
        return
    listed = differ[:_LISTED]
    table = {"row": [shown(rows.paths[row]) for row in listed], "first": one[listed], "second": two[listed]}
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch", height=320)
