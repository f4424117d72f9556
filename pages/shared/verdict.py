"""What a clustering is worth, said the same way on every page: one line, its figures, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.evaluation.verdict import Verdict
from engine.runs.judge import kept_figures, kept_verdict
from engine.runs.run import Run
from pages.shared.actions import pressed
from pages.shared.job_view import job_view
from pages.shared.metrics import figures_of
from pages.shared.state import Current, escape
from pages.shared.tasks import newest, start_job
from pages.shared.words import figure

_COLORS = {"good": "green", "usable with checking": "blue", "weak": "orange", "not judged": "gray"}
_NEXT = {
    "good": ("Name them on Label", ":material/label:", "pages/label/page.py"),
    "usable with checking": ("Check them on Label", ":material/label:", "pages/label/page.py"),
    "weak": ("Try another encoder", ":material/grain:", "pages/embed/page.py"),
    "not judged": ("Find good clusters", ":material/auto_awesome:", "pages/cluster/page.py"),
}
SCORES = {
    "evidence": "ranking score",
    "silhouette": "silhouette",
    "stability": "stability",
    "agreement": "other methods agree",
}
_SHARES = {"largest_share": "largest cluster", "noise_share": "noise", "accuracy": "accuracy"}


def say_verdict(now: Current, found: Verdict, figures: Mapping[str, Any] | None = None, *, way: bool = True) -> None:
    """Draw a verdict as one line with the figures behind it, and what to do next: with `way` as a button.

    Parameters
    ----------
    figures : mapping, optional
        Such as silhouette, stability, agreement and accuracy; None or absent where not known.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(verdict_line(found, figures, next_step=not way), width="content")
        label, icon, file = _NEXT[found.word]
        if way and pressed(label, icon=icon, key=f"verdict_{found.word}", type="tertiary", help=found.next_step):
            st.switch_page(file, query_params=now.parameters)


def verdict_line(found: Verdict, figures: Mapping[str, Any] | None = None, *, next_step: bool = True) -> str:
    """Return the line in Markdown: the word, why, perhaps what to do next, and the figures."""
    known = {name: float(value) for name, value in (figures or {}).items() if value is not None}
    parts = [f"{title} {figure(known[name])}" for name, title in SCORES.items() if name in known]
    parts += [f"{title} {known[name]:.0%}" for name, title in _SHARES.items() if known.get(name, 0) >= 0.005]
    told = f" :gray[{escape(' · '.join(parts))}]" if parts else ""
    sentence = f"{found.sentence} {found.next_step}" if next_step else found.sentence
    return f":{_COLORS[found.word]}[**{found.word.capitalize()}:**] {escape(sentence)}{told}"


def _shares(run: Run) -> dict[str, Any]:
    return {name: figures_of(run).get(name) for name in _SHARES}


def verdict_of_run(now: Current, run: Run, *, way: bool = True) -> None:
    """Draw the verdict of a run; where it was never judged, the button that has it measured."""
    found = kept_verdict(run)
    if found is not None:
        say_verdict(now, found, _shares(run) | kept_figures(run), way=way)
        return
    if now.dataset is None or run.dataset != now.dataset.id:
        return
    job = newest(now.workspace, "analyse", now.dataset, run=str(run.folder))
    if job_view(job):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(":gray[This clustering was not judged yet.]", width="content")
        help = "Takes some seconds: it clusters parts of the images"
        if pressed("Judge it", icon=":material/fact_check:", type="tertiary", help=help):
            start_job(now.workspace, "analyse", "Judging", now.dataset, run=str(run.folder))
            st.rerun()
