"""The presets as cards, each with what it does and the time that it takes here; the other settings are folded away."""

from __future__ import annotations

import logging
import math
import time
from threading import Lock, Thread

import streamlit as st

from components.tiles.face import Tile, tiles
from engine.clustering.deep.forecast import human_time
from engine.distillation.settings import DistilSettings, Preset
from engine.jobs.tasks.results import LearnedLabels
from engine.runs.rows import Rows
from pages.shared import forms

_WHAT: dict[Preset, str] = {
    "quick": "The real images that a classifier learns best from.",
    "balanced": "The matching methods, too, with few passes; the best of all is kept.",
    "thorough": "The matching methods with all their passes.",
}
_USUAL: Preset = "balanced"
_CHOSEN = "distil_chosen_preset"
_ANSWERED = 0.4  # seconds in which most answers are there on a machine that rests
_LOG = logging.getLogger(__name__)
_LOCK = Lock()
_Asked = tuple[str, int, int, int]
_KNOWN: dict[_Asked, float | None] = {}  # seconds by what was asked; None while it is measured, NaN where it failed


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
        Thread(target=_measure, args=(new,), daemon=True).start()
    end = time.monotonic() + _ANSWERED
    while new and _missing(asked) and time.monotonic() < end:
        time.sleep(0.02)
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


def _missing(asked: list[_Asked]) -> int:
    return sum(_KNOWN.get(one) is None for one in asked)


def _measure(asked: list[_Asked]) -> None:
    """Measure one after the other; runs in a thread of its own and touches nothing of Streamlit."""
    from engine.distillation.forecast import seconds_needed

    for given, n, columns, classes in asked:
        try:
            seconds = seconds_needed(DistilSettings.model_validate_json(given), n, columns, classes)
        except Exception:
            _LOG.exception("a distillation's time could not be measured")
            seconds = math.nan
        _KNOWN[given, n, columns, classes] = seconds


def _told(seconds: float) -> str:
    return "Its time is not known" if math.isnan(seconds) else f"About {human_time(seconds)} on this machine"


def _asked(settings: DistilSettings, preset: Preset, rows: Rows, learned: LearnedLabels) -> _Asked:
    """Return what a time depends on: the settings as JSON, images to train on, numbers of a vector, classes."""
    n = len(rows.train) if len(rows.test) else round(len(rows) * (1 - settings.test_fraction))
    given = settings.changed(preset=preset).model_dump_json(exclude_unset=True)
    return given, n, rows.vectors.shape[1], learned.n_classes
