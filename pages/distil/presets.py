"""The presets as cards, each with what it does and the time that it takes here; the other settings are folded away."""

from __future__ import annotations

import math
from threading import Lock, Thread

import streamlit as st

from components.tiles.face import Tile, tiles
from engine.clustering.deep.forecast import human_time
from engine.distillation.foreseen import Asked, foresee
from engine.distillation.settings import TITLES, DistilSettings, Preset
from engine.jobs.tasks.results import LearnedLabels
from engine.runs.rows import Rows
from pages.shared import forms

_WHAT: dict[Preset, str] = {
    "quick": "The real images that a classifier learns best from.",
    "balanced": "The same with more tries, and measured more often.",
    "thorough": "Also the matching methods, whose rows are no images; they have not named better images so far.",
}
_USUAL: Preset = "balanced"
_CHOSEN = "distil_chosen_preset"
_LOCK = Lock()
_KNOWN: dict[Asked, float | None] = {}  # seconds by what was asked; None while it is measured, NaN where it failed


def choose_settings() -> DistilSettings:
    """Return the settings that stand in the cards and the form; draws the form, folded.

    Raises
    ------
    InputError
        A combination that the settings refuse.
    """
    with st.expander("Settings", icon=":material/tune:"):
        return forms.draw_fitted(
            DistilSettings,
            lambda given: given.resolved().model_dump(),
            key="distil",
            values={"preset": st.session_state.get(_CHOSEN, _USUAL)},
            skip={"preset", "device"},
            titles=TITLES,
            columns=4,
        )


def preset_cards(settings: DistilSettings, rows: Rows, learned: LearnedLabels) -> None:
    """Draw the cards; their times stand there as soon as they are measured."""
    shown = []
    for name in DistilSettings.presets:
        seconds = _KNOWN.get(_asked(settings, name, rows, learned))
        told = "Measuring how long it takes" if seconds is None else _told(seconds)
        shown.append(Tile(name, "", name.capitalize(), f"{told}. {_WHAT[name]}"))
    chosen = tiles("distil_presets", shown, label="How thoroughly", width=260, chosen=settings.preset)
    if chosen is not None and chosen != settings.preset:
        st.session_state[_CHOSEN] = chosen
        st.rerun()


def time_of(settings: DistilSettings, rows: Rows, learned: LearnedLabels) -> str:
    """Return the time of the chosen preset in words; empty while it is not known."""
    seconds = _KNOWN.get(_asked(settings, settings.preset, rows, learned))
    return "" if seconds is None or math.isnan(seconds) else f"about {human_time(seconds)}"


def measure(settings: DistilSettings, rows: Rows, learned: LearnedLabels) -> None:
    """Have the times measured that are not known, beside the page, and draw it again when one has come."""
    asked = [_asked(settings, name, rows, learned) for name in DistilSettings.presets]
    with _LOCK:
        new = [one for one in asked if one not in _KNOWN]
        _KNOWN.update(dict.fromkeys(new))
    if new:
        start_measuring(new)
    before = _missing(asked)
    if not before:
        if new:
            st.rerun()
        return

    @st.fragment(run_every=1.0)
    def wait() -> None:
        if _missing(asked) < before:
            st.rerun()

    wait()


def _missing(asked: list[Asked]) -> int:
    return sum(_KNOWN.get(one) is None for one in asked)


def start_measuring(asked: list[Asked]) -> None:
    """Have times measured by a process of its own; a thread takes down what it says."""
    Thread(target=_take_down, args=(asked,), daemon=True).start()


def _take_down(asked: list[Asked]) -> None:
    for one, seconds in zip(asked, foresee(asked), strict=True):
        _KNOWN[one] = math.nan if seconds is None else seconds


def _told(seconds: float) -> str:
    return "Its time is not known" if math.isnan(seconds) else f"About {human_time(seconds)} on this machine"


def _asked(settings: DistilSettings, preset: Preset, rows: Rows, learned: LearnedLabels) -> Asked:
    """Return what a time depends on: the settings as JSON, images to train on, numbers of a vector, classes."""
    n = len(rows.train) if len(rows.test) else round(len(rows) * (1 - settings.test_fraction))
    given = settings.changed(preset=preset).model_dump_json(exclude_unset=True)
    return given, n, rows.vectors.shape[1], learned.n_classes
