"""The figures of a clustering in words: what each is called, how it is written and what it means."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import streamlit as st

from engine.core.errors import StorageError
from engine.runs.run import Run
from pages.shared.words import figure

_STYLE = """<style>
.k-facts { display: flex; flex-wrap: wrap; gap: 2px 20px; align-items: baseline; line-height: 1.5; }
.k-facts span { white-space: nowrap; color: color-mix(in srgb, currentColor 68%, transparent); }
.k-facts b { font-size: 18px; font-weight: 600; color: light-dark(#1D1F23, #E9EAEC); }
</style>"""


class Metric(NamedTuple):
    """How one figure is shown; the shape "figure" is that of scores, with at most three digits."""

    title: str
    shape: str
    meaning: str


METRICS = {
    "accuracy": Metric("Accuracy", "{:.1%}", "Images whose cluster, matched one to one to a class, is right"),
    "random_accuracy": Metric("Random labels", "{:.1%}", "The accuracy that random even clusters reach: the floor"),
    "nmi": Metric("NMI", "figure", "Normalised mutual information with the classes: 1 the same, 0 nothing in common"),
    "ari": Metric("ARI", "figure", "Adjusted Rand index with the classes: 1 the same, 0 no better than chance"),
    "silhouette": Metric("Silhouette", "figure", "How much nearer images are to their own cluster than to any other"),
    "balance": Metric("Balance", "figure", "1 where all clusters are of one size, near 0 where a few hold everything"),
    "composite": Metric("Composite", "figure", "Silhouette, balance and little noise in one number: 0 to 1"),
    "n_clusters": Metric("Clusters", "{:,.0f}", "Clusters that have images"),
    "active": Metric("Clusters", "{:,.0f}", "Clusters that have images"),
    "empty": Metric("Empty clusters", "{:,.0f}", "Clusters that were asked for and got no image"),
    "largest_share": Metric("Largest cluster", "{:.1%}", "Share of all images in the largest cluster"),
    "noise_share": Metric(
        "Noise", "{:.1%}", "Share of the images that the method put into no cluster, because they are like no group"
    ),
    "mean": Metric("Mean size", "{:,.1f}", "Images in a cluster, on average"),
    "std": Metric("Spread of sizes", "{:,.1f}", "Standard deviation of the cluster sizes, in images"),
    "min": Metric("Smallest", "{:,.0f}", "Images in the smallest cluster"),
    "max": Metric("Largest", "{:,.0f}", "Images in the largest cluster"),
    "cv": Metric("Variation", "figure", "Standard deviation of the cluster sizes over their mean"),
}
_OF_SEVERAL = ("silhouette", "balance", "composite")  # say nothing of fewer than two clusters


def told(name: str, value: float | None) -> str:
    """Return a figure as it is read; empty where it cannot be known."""
    if value is None:
        return ""
    shape = METRICS[name].shape
    return figure(value) if shape == "figure" else shape.format(value)


def metrics(figures: Mapping[str, Any], names: tuple[str, ...] = tuple(METRICS)) -> None:
    """Draw the figures that are known in one line, each with its word and, on hover, its meaning."""
    undefined = _OF_SEVERAL if figures.get("n_clusters", figures.get("active", 2)) < 2 else ()
    known = [name for name in names if figures.get(name) is not None and name not in undefined]
    facts((_inline(METRICS[name].title), told(name, figures[name]), METRICS[name].meaning) for name in known)


def facts(found: Iterable[tuple[str, str, str]]) -> None:
    """Draw (word, value, meaning) in one line, value before word; nothing where there are none."""
    parts = [
        f'<span title="{html.escape(meaning)}"><b>{html.escape(value)}</b> {html.escape(word)}</span>'
        for word, value, meaning in found
    ]
    if parts:
        st.html(f'{_STYLE}<div class="k-facts">{"".join(parts)}</div>')


def _inline(title: str) -> str:
    """Return a title as it stands within a line."""
    return title if title.isupper() else title[0].lower() + title[1:]


def figures_of(run: Run) -> dict[str, Any]:
    """Return a run's figures on the training images; none where results.json was damaged, so that it can be listed."""
    try:
        found: dict[str, Any] = run.results["train"]
    except StorageError:
        return {}
    return found
