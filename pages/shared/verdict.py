"""What a clustering is worth, said the same way on every page, with what to do about it as a button."""

from __future__ import annotations

import streamlit as st

from engine.evaluation.verdict import Verdict
from engine.runs.judge import kept_verdict
from engine.runs.run import Run
from pages.shared.actions import pressed
from pages.shared.job_view import job_view
from pages.shared.state import Current
from pages.shared.tasks import newest, start_job

_BOXES = {"good": st.success, "usable with checking": st.info, "weak": st.warning, "not judged": st.info}
_NEXT = {
    "good": ("Name them on Label", ":material/label:", "pages/label/page.py"),
    "usable with checking": ("Check them on Label", ":material/label:", "pages/label/page.py"),
    "weak": ("Try another encoder", ":material/grain:", "pages/embed/page.py"),
    "not judged": ("Find good clusters", ":material/auto_awesome:", "pages/cluster/page.py"),
}


def say_verdict(now: Current, found: Verdict, *, way: bool = True) -> None:
    """Draw a verdict; with `way` also the button that leads to its next step."""
    _BOXES[found.word](found.line)
    label, icon, file = _NEXT[found.word]
    if way and pressed(label, icon=icon, key=f"verdict_{found.word}"):
        st.switch_page(file, query_params=now.parameters)


def verdict_of_run(now: Current, run: Run) -> None:
    """Draw the verdict of a run; where it was never judged, the button that has it measured."""
    found = kept_verdict(run)
    if found is not None:
        say_verdict(now, found)
        return
    if now.dataset is None or run.dataset != now.dataset.id:
        return
    job = newest(now.workspace, "analyse", now.dataset, run=str(run.folder))
    if job_view(job):
        return
    st.caption("This clustering was not judged yet.")
    if pressed("Judge it", icon=":material/fact_check:", help="Takes some seconds: it clusters parts of the images"):
        start_job(now.workspace, "analyse", "Judging", now.dataset, run=str(run.folder))
        st.rerun()
